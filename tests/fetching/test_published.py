"""Getting the parts of a published data set into a folder."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from prosam.data.catalog.source import source_of
from prosam.data.sources.published import COCO_ANNOTATIONS, SBD, VOC, ArchivePart, gather, is_gathered
from prosam.errors import InputError
from prosam.params import CocoDownload, PascalDownload
from tests.fetching.archive_files import unpacked, write_tar, write_zip
from tests.fetching.conftest import Answer, Server, described

IMAGES = {"photos/1.jpg": b"one", "photos/2.jpg": b"two"}


@pytest.fixture
def part(server: Server, tmp_path: Path) -> ArchivePart:
    """A part whose archive a server offers, with a file that is not needed."""
    archive = write_zip(tmp_path / "made.zip", IMAGES | {"photos/read.me": b"no"}).read_bytes()
    url = server.offer("/photos.zip", archive)
    return ArchivePart("photos", described("photos.zip", archive, url), lambda member: member.endswith(".jpg"))


def test_what_is_nowhere_is_fetched_and_extracted_once(part: ArchivePart, server: Server, tmp_path: Path):
    folder = tmp_path / "sources"
    assert not is_gathered(part, folder, None)
    gather([part], folder, None)
    assert {name: data for name, data in unpacked(folder).items() if name != "photos.zip"} == IMAGES
    assert is_gathered(part, folder, None)
    gather([part], folder, None)
    assert len(server.requests) == 1


def test_once_extracted_the_archive_may_go(part: ArchivePart, server: Server, tmp_path: Path):
    folder = tmp_path / "sources"
    gather([part], folder, None)
    (folder / "photos.zip").unlink()
    gather([part], folder, None)
    assert len(server.requests) == 1
    assert is_gathered(part, folder, None)


def test_what_was_removed_is_extracted_again_from_the_archive(part: ArchivePart, server: Server, tmp_path: Path):
    folder = tmp_path / "sources"
    gather([part], folder, None)
    shutil.rmtree(folder / "photos")
    gather([part], folder, None)
    assert {name: data for name, data in unpacked(folder).items() if name != "photos.zip"} == IMAGES
    assert len(server.requests) == 1


def test_a_transfer_that_was_cut_goes_on(part: ArchivePart, server: Server, tmp_path: Path):
    server.script["/photos.zip"] = [Answer(cut=100)]
    gather([part], tmp_path / "sources", None)
    assert [request.range for request in server.requests] == [None, "bytes=100-"]


def test_a_folder_that_the_user_has_is_linked_and_left_as_it_is(part: ArchivePart, server: Server, tmp_path: Path):
    given = tmp_path / "mine" / "photos"
    given.mkdir(parents=True)
    (given / "1.jpg").write_bytes(b"mine")
    folder = tmp_path / "sources"
    for _ in range(2):
        gather([part], folder, tmp_path / "mine")
        assert (folder / "photos").resolve() == given
    assert is_gathered(part, folder, tmp_path / "mine")
    assert server.requests == []
    assert {path.name for path in (tmp_path / "mine").rglob("*")} == {"photos", "1.jpg"}
    other = tmp_path / "other" / "photos"
    other.mkdir(parents=True)
    gather([part], folder, tmp_path / "other")  # data_root has changed
    assert (folder / "photos").resolve() == other
    gather([part], folder, None)  # and was taken out
    assert not (folder / "photos").is_symlink()
    assert (folder / "photos" / "1.jpg").read_bytes() == b"one"


def test_an_archive_that_the_user_has_is_verified_and_extracted_elsewhere(
    part: ArchivePart, server: Server, tmp_path: Path
):
    mine, folder = tmp_path / "mine", tmp_path / "sources"
    mine.mkdir()
    archive = server.files["/photos.zip"]
    (mine / "photos.zip").write_bytes(archive[:-1] + b"?")
    with pytest.raises(InputError, match=r"mine/photos\.zip: is not the published archive") as caught:
        gather([part], folder, mine)
    assert "\n" not in str(caught.value)
    (mine / "photos.zip").write_bytes(archive)
    gather([part], folder, mine)
    assert unpacked(folder) == IMAGES
    assert server.requests == []
    assert [path.name for path in mine.iterdir() if not path.name.startswith(".")] == ["photos.zip"]


def test_a_data_root_that_is_not_there_or_in_the_way_is_one_line(part: ArchivePart, tmp_path: Path):
    with pytest.raises(InputError, match=r"no such folder; params\.yaml names it as data_root"):
        gather([part], tmp_path / "sources", tmp_path / "nowhere")
    (tmp_path / "mine" / "photos").mkdir(parents=True)
    with pytest.raises(InputError, match=r"mine/photos: holds none of photos or photos\.zip; params\.yaml names it"):
        gather([part], tmp_path / "sources", tmp_path / "mine" / "photos")  # one level too low
    (tmp_path / "sources" / "photos").mkdir(parents=True)
    with pytest.raises(InputError, match="is a folder; remove it"):
        gather([part], tmp_path / "sources", tmp_path / "mine")


def test_a_data_root_that_has_a_part_of_the_data_set_is_completed(part: ArchivePart, server: Server, tmp_path: Path):
    (tmp_path / "mine" / "lists").mkdir(parents=True)
    lists = replace(part, content="lists", archive=replace(part.archive, name="lists.zip"))
    gather([lists, part], tmp_path / "sources", tmp_path / "mine")
    assert (tmp_path / "sources" / "photos" / "1.jpg").read_bytes() == b"one"
    assert len(server.requests) == 1


def test_a_data_root_that_is_the_folder_of_the_sources_is_taken_as_it_is(part: ArchivePart, tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(b"mine")
    gather([part], tmp_path, tmp_path)
    assert (tmp_path / "photos" / "1.jpg").read_bytes() == b"mine"


def test_the_parts_are_those_of_the_published_data_sets():
    pascal, coco = PascalDownload(source="pascal"), CocoDownload(source="coco")
    assert [part.content for part in source_of("pascal").archives(pascal)] == ["VOCdevkit", "benchmark_RELEASE"]
    assert [part.content for part in source_of("pascal").archives(pascal.model_copy(update={"pool": "voc"}))] == [
        "VOCdevkit"
    ]
    assert {part.content for part in source_of("coco").archives(coco)} == {"train2014", "val2014", "annotations"}
    # DATA.md: 1,999,639,040 + 1,419,539,633 and 13,510,573,713 + 6,645,013,297 + 252,872,794
    assert sum(part.archive.size or 0 for part in source_of("pascal").archives(pascal)) == 3_419_178_673
    assert sum(part.archive.size or 0 for part in source_of("coco").archives(coco)) == 20_408_459_804


@pytest.mark.parametrize(
    ("part", "members", "needed"),
    [
        (
            VOC,
            ["VOCdevkit/VOC2012/JPEGImages/a.jpg", "VOCdevkit/VOC2012/SegmentationClass/a.png",
             "VOCdevkit/VOC2012/ImageSets/Main/val.txt", "VOCdevkit/VOC2012/SegmentationObject/a.png",
             "VOCdevkit/VOC2012/Annotations/a.xml"],
            3,
        ),
        (
            SBD,
            ["benchmark_RELEASE/dataset/cls/a.mat", "benchmark_RELEASE/dataset/train.txt",
             "benchmark_RELEASE/dataset/val.txt", "benchmark_RELEASE/dataset/img/a.jpg",
             "benchmark_RELEASE/dataset/inst/a.mat"],
            3,
        ),
        (COCO_ANNOTATIONS, ["annotations/instances_val2014.json", "annotations/captions_val2014.json"], 1),
    ],
)  # fmt: skip
def test_of_an_archive_only_what_is_needed_is_extracted(
    part: ArchivePart, members: list[str], needed: int, tmp_path: Path
):
    archive = write_tar(tmp_path / "made.tar", {member: member.encode() for member in members})
    content = archive.read_bytes()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "made.tar").write_bytes(content)
    known = replace(part.archive, name="made.tar", size=len(content), md5=hashlib.md5(content).hexdigest())
    gather([replace(part, archive=known)], tmp_path / "sources", tmp_path / "mine")
    assert set(unpacked(tmp_path / "sources")) == set(members[:needed])
