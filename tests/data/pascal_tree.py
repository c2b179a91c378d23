"""Small trees of PASCAL VOC 2012 and SBD in their true formats."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from prosam.data.formats.voc import voc_palette

VOC = Path("VOCdevkit/VOC2012")
SBD = Path("benchmark_RELEASE/dataset")

_BORDER = 255
_BORDER_WIDTH = 2  # px


def generated_labels(classes: Sequence[int], height: int = 96, width: int = 128, *, border: bool = True) -> np.ndarray:
    """(H, W) uint8 labels with a rectangle for each class, side by side, and VOC's border of 255 around each.

    With n classes each covers about 3/4 of 1/n of the image.
    """
    labels = np.zeros((height, width), np.uint8)
    edges = np.linspace(0, width, len(classes) + 1).astype(int)
    margin = height // 16
    for class_id, left, right in zip(classes, edges[:-1], edges[1:], strict=True):
        cell = labels[margin : height - margin, left + 1 : right - 1]
        cell[:] = _BORDER if border else class_id
        cell[_BORDER_WIDTH:-_BORDER_WIDTH, _BORDER_WIDTH:-_BORDER_WIDTH] = class_id
    return labels


def write_pascal_tree(
    root: Path,
    *,
    train: Mapping[str, np.ndarray],
    val: Mapping[str, np.ndarray],
    sbd_train: Mapping[str, np.ndarray],
    sbd_val: Mapping[str, np.ndarray],
    main_val: Collection[str] = (),
    photos_in_sbd: Collection[str] = (),
) -> None:
    """Write VOC 2012 and SBD; the photos show noise, tinted by class.

    Example:
        write_pascal_tree(
            root,
            train={"2007_000001": generated_labels([1, 15])},
            val={"2007_000002": generated_labels([8, 12])},
            sbd_train={"2008_000003": generated_labels([3, 15, 20], border=False)},
            sbd_val={"2008_000004": generated_labels([2], border=False)},
        )

    Args:
        root: gets VOCdevkit/VOC2012 and benchmark_RELEASE/dataset.
        train: VOC's segmentation train: image id -> (H, W) uint8 labels, 0 to 20 and 255.
        val: VOC's segmentation val, likewise.
        sbd_train: SBD's train: image id -> labels, 0 to 20. Ids that VOC has too share its photo.
        sbd_val: SBD's val, likewise.
        main_val: what ImageSets/Main/val.txt has besides `val`.
        photos_in_sbd: ids of SBD's whose photo is in its img folder alone.
    """
    for folder in (VOC / "JPEGImages", VOC / "SegmentationClass", SBD / "cls", SBD / "img"):
        (root / folder).mkdir(parents=True)
    voc, sbd = {**train, **val}, {**sbd_train, **sbd_val}
    for image, labels in voc.items():
        mask = Image.fromarray(labels)
        mask.putpalette(voc_palette().tobytes())
        mask.save(root / VOC / "SegmentationClass" / f"{image}.png")
    for image, labels in sbd.items():
        write_sbd_mask(root / SBD / "cls" / f"{image}.mat", labels)
    for number, (image, labels) in enumerate({**sbd, **voc}.items()):
        if image not in photos_in_sbd:
            _write_photo(root / VOC / "JPEGImages" / f"{image}.jpg", labels, number)
        if image in sbd:
            _write_photo(root / SBD / "img" / f"{image}.jpg", labels, number)
    segmentation, main = VOC / "ImageSets/Segmentation", VOC / "ImageSets/Main"
    lists = {
        segmentation / "train.txt": train,
        segmentation / "val.txt": val,
        segmentation / "trainval.txt": sorted(voc),
        main / "train.txt": sorted({*train, *sbd} - {*val, *main_val}),
        main / "val.txt": sorted({*val, *main_val}),
        SBD / "train.txt": sbd_train,
        SBD / "val.txt": sbd_val,
    }
    for file, images in lists.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("".join(f"{image}\n" for image in images))


def write_sbd_mask(path: Path, labels: np.ndarray) -> None:
    """A MATLAB file as SBD has them: the struct GTcls with the boundary of each class, labels and classes present."""
    boundaries = np.empty((20, 1), object)
    for index in range(20):
        mask = labels == index + 1
        inner = mask & np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 1) & np.roll(mask, -1, 1)
        boundaries[index, 0] = csc_matrix(mask & ~inner)
    present = np.setdiff1d(labels, [0]).astype(np.uint8)[:, None]
    struct = {"Boundaries": boundaries, "Segmentation": labels, "CategoriesPresent": present}
    savemat(path, {"GTcls": struct}, do_compression=True)


def _write_photo(path: Path, labels: np.ndarray, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(-40, 40, (*labels.shape, 3))
    tint = voc_palette()[np.where(labels == _BORDER, 0, labels)].astype(int)
    Image.fromarray(np.clip(tint + 60 + noise, 0, 255).astype(np.uint8)).save(path, quality=90)
