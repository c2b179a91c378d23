"""The published data sets: their archives, and putting the content into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prosam.errors import InputError
from prosam.fetching.archives import extract, forget_unpacking
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.transfer import fetch
from prosam.fetching.verified import what_is_wrong
from prosam.files import write_text

_COCO = "http://images.cocodataset.org/"  # the certificate of its https address is invalid; the MD5 protects
_SBD = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz"
_ISIC = (
    "https://isic-challenge-data.s3.amazonaws.com/2018/",
    "https://isic-archive.s3.amazonaws.com/challenges/2018/",
)


_ULTRALYTICS = "https://github.com/ultralytics/assets/releases/download/v0.0.0/"


@dataclass(frozen=True)
class ArchivePart:
    """A part of a published data set.

    Attributes:
        content: the folder that its archive holds.
        archive: the file to fetch.
        wanted: whether a member of the archive is needed, by its path.
        growth: approximate number of bytes extracted per byte of the archive.
        about: approximate number of bytes of the archive, if its exact size is not known.
        forms: names of files each of which serves in place of the archive. If there are some, the archive is among
            them, and it is read without being extracted.
    """

    content: str
    archive: RemoteFile
    wanted: Callable[[str], bool]
    growth: float = 1.0
    about: int = 0
    forms: tuple[str, ...] = ()


VOC = ArchivePart(
    "VOCdevkit",
    RemoteFile(
        "VOCtrainval_11-May-2012.tar",
        (
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "http://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
        ),
        size=1_999_639_040,
        md5="6cd6e144f989b92b3379bac3b3de84fd",
    ),
    lambda member: any(f"/{folder}/" in member for folder in ("JPEGImages", "SegmentationClass", "ImageSets")),
)
SBD = ArchivePart(
    "benchmark_RELEASE",
    RemoteFile("benchmark.tgz", (_SBD,), size=1_419_539_633, md5="82b4d87ceb2ed10f6038a1cba92111cb"),
    lambda member: "/dataset/cls/" in member or member.endswith(("/dataset/train.txt", "/dataset/val.txt")),
)
COCO_TRAIN = ArchivePart(
    "train2014",
    RemoteFile(
        "train2014.zip",
        (f"{_COCO}zips/train2014.zip",),
        size=13_510_573_713,
        md5="0da8c0bd3d6becc4dcb32757491aca88",
    ),
    lambda _: True,
)
COCO_VAL = ArchivePart(
    "val2014",
    RemoteFile(
        "val2014.zip", (f"{_COCO}zips/val2014.zip",), size=6_645_013_297, md5="a3d79f5ed8d289b7a7554ce06a5782b3"
    ),
    lambda _: True,
)
COCO_ANNOTATIONS = ArchivePart(
    "annotations",
    RemoteFile(
        "annotations_trainval2014.zip",
        (f"{_COCO}annotations/annotations_trainval2014.zip",),
        size=252_872_794,
        md5="0a379cfc70b0e71301e0f377548639bd",
    ),
    lambda member: "/instances_" in member,
    growth=2.0,
)
DAVIS = ArchivePart(
    "DAVIS",
    RemoteFile(
        "DAVIS-2017-trainval-480p.zip",
        ("https://data.vision.ee.ethz.ch/csergi/share/davis/DAVIS-2017-trainval-480p.zip",),
        size=832_766_765,
        sha256="e3d0b5b77c3d031b000a19e0e25e3e2cac65d183755601bc2cf066df1a2aa492",
    ),
    lambda _: True,
)
ISIC_MASKS = ArchivePart(
    "ISIC2018_Task1_Training_GroundTruth",
    RemoteFile(
        "ISIC2018_Task1_Training_GroundTruth.zip",
        tuple(f"{place}ISIC2018_Task1_Training_GroundTruth.zip" for place in _ISIC),
        size=27_402_895,
        md5="ee5e5db7771d48fa2613abc7cb5c24e2",
        sha256="99f8b2bb3c4d6af483362010715f7e7d5d122d9f6c02cac0e0d15bef77c7604c",
    ),
    lambda member: member.endswith(".png"),
)
ISIC_IMAGES = ArchivePart(
    "ISIC2018_Task1-2_Training_Input",
    RemoteFile(
        "ISIC2018_Task1-2_Training_Input.zip",
        tuple(f"{place}ISIC2018_Task1-2_Training_Input.zip" for place in _ISIC),
        md5="8b5be801f37b58ccf533df2928a5906b",
        sha256="80f98572347a2d7a376227fa9eb2e4f7459d317cb619865b8b9910c81446675f",
    ),
    lambda member: member.endswith(".jpg"),
    about=11_000_000_000,
)
VOC_2010 = ArchivePart(
    "VOCdevkit",
    RemoteFile(
        "VOCtrainval_03-May-2010.tar",
        ("http://host.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar",),
        md5="da459979d0c395079b5c75ee67908abb",
    ),
    lambda member: "/JPEGImages/" in member,
    about=1_300_000_000,
)
COCO128 = ArchivePart(
    "coco128-seg",
    RemoteFile(  # GitHub forwards to a store; its digest was published nowhere
        "coco128-seg.zip",
        (f"{_ULTRALYTICS}coco128-seg.zip", "https://ultralytics.com/assets/coco128-seg.zip"),
    ),
    lambda member: member.endswith((".jpg", ".txt")),
    about=7_000_000,
)


def gather(parts: Sequence[ArchivePart], folder: Path, data_root: Path | None) -> None:
    """Put the content of all parts into a folder: linked, extracted, or fetched and extracted.

    Existing content is kept. Content or archives in `data_root` are used from there and never copied.

    Args:
        parts: of the data set.
        folder: for the `content` of each part.
        data_root: the user's folder with the data set, or None.

    Raises:
        InputError: data_root is not a folder or holds nothing of the data set, or a file is wrong, cannot be fetched or
            does not fit on the disk.
    """
    if data_root is not None:
        _check_data_root(parts, data_root)
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        if part.forms:
            if kept_file(part.forms, folder, data_root) is None:
                fetch(part.archive, folder)
            continue
        content, given = folder / part.content, data_root.resolve() / part.content if data_root else None
        if content.is_symlink():
            content.unlink()  # linked again below, in case data_root has changed
        if given is not None and given.is_dir():
            _link(content, given)
        elif not _extracted(folder, part):
            archive = _archive_of(part, folder, data_root)
            if not content.is_dir():
                forget_unpacking(archive, folder)  # its content was unpacked before and then removed
            extract(archive, folder, wanted=part.wanted)
            write_text(_stamp(folder, part), f"{part.archive.md5 or part.archive.sha256}\n")


def kept_file(names: Sequence[str], folder: Path, data_root: Path | None) -> Path | None:
    """The first of some files that is in `data_root`, in a folder, or in `annotations` of one of them; None if none."""
    for place in filter(None, (data_root, folder)):
        for name in names:
            for path in (place / name, place / "annotations" / name):
                if path.is_file():
                    return path
    return None


def is_gathered(part: ArchivePart, folder: Path, data_root: Path | None) -> bool:
    """Whether a part is complete, so that nothing has to be fetched."""
    if part.forms:
        return kept_file(part.forms, folder, data_root) is not None
    if _extracted(folder, part) or (folder / part.archive.name).is_file():
        return True
    return data_root is not None and _is_in(data_root, part)


def _check_data_root(parts: Sequence[ArchivePart], data_root: Path) -> None:
    if not data_root.is_dir():
        raise InputError(f"{data_root}: no such folder; params.yaml names it as data_root")
    if not any(_is_in(data_root, part) for part in parts):  # for example one level too high or too low
        wanted = ", ".join(f"{part.content} or {part.archive.name}" for part in parts)
        raise InputError(f"{data_root}: holds none of {wanted}; params.yaml names it as data_root")


def _is_in(data_root: Path, part: ArchivePart) -> bool:
    if part.forms:
        return kept_file(part.forms, data_root, None) is not None
    return (data_root / part.content).is_dir() or (data_root / part.archive.name).is_file()


def _link(content: Path, given: Path) -> None:
    if content.is_dir() and content.samefile(given):
        return
    if content.is_dir():
        raise InputError(f"{content}: is a folder; remove it, so that data_root's {given} can be linked there")
    content.symlink_to(given, target_is_directory=True)
    print(f"{content} is {given}")


def _archive_of(part: ArchivePart, folder: Path, data_root: Path | None) -> Path:
    given = data_root / part.archive.name if data_root else None
    if given is None or not given.is_file():
        if given is not None and not (folder / part.archive.name).is_file():
            print(f"{data_root}: has neither {part.content} nor {part.archive.name}; fetching it")
        return fetch(part.archive, folder)
    if wrong := what_is_wrong(part.archive, given):
        raise InputError(f"{given}: is not the published archive ({wrong}); remove it to have it fetched")
    return given


def _extracted(folder: Path, part: ArchivePart) -> bool:
    return (folder / part.content).is_dir() and _stamp(folder, part).is_file()


def _stamp(folder: Path, part: ArchivePart) -> Path:
    return folder / f".{part.content}.extracted"
