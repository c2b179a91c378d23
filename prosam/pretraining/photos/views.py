"""Views of photographs, with the trunk's features computed once: training steps are then cheap on a CPU.

A view of a split is a folder with one array a stride, int8 with a scale for each channel of each photo, and the masks
of the objects. View 0 shows the photos as they are, view 1 mirrored, all others crops in other colours.

Shape letters: S side of the square image, px, R = 128 side of the masks, cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from prosam.data.images import square_image
from prosam.files import atomic_folder
from prosam.models.backbones.efficientnet_lite import STAGE_CHANNELS, EfficientNetLite0, Stages
from prosam.pretraining.photos.folder import Photo
from prosam.progress import Progress

MASK_SIDE = 128  # R
_STRIDES = (4, 8, 16, 32)
_SMALLEST = 12  # cells; what is smaller is left out
_ZOOM_SHARE = 0.3  # of the views that show one object larger, as a second look at it does
_COLOURS = (0.65, 1.35)  # brightness, contrast and saturation
_GREY_SHARE = 0.06


@dataclass(frozen=True)
class Framing:
    """What of a photo a view shows: a box in px (left, top, right, bottom), mirrored or not."""

    box: tuple[int, int, int, int]
    mirrored: bool


class View:
    """One view of all photos of a split.

    Attributes:
        packed: (n, R, R / 8) uint8, the objects' masks, eight cells a byte.
        photo_of: (n,) index of the photo.
        class_of: (n,) class id.
        crowd: (n,) whether it covers a group of objects.
        visible: (n,) the share of the object that the view shows.
        cells: (n,) area of the mask.
        objects: for each photo the indices of its objects.
    """

    def __init__(self, folder: Path):
        """Open what `make_view` wrote."""
        table = np.load(folder / "objects.npz")
        self.packed, self.photo_of, self.class_of = table["masks"], table["photo"], table["class_id"]
        self.crowd, self.visible, self._scales = table["crowd"], table["visible"], table["scales"]
        self._features = [np.load(folder / f"stride{stride}.npy", mmap_mode="r") for stride in _STRIDES]
        self.cells = np.bitwise_count(self.packed).sum((1, 2), dtype=np.int64)
        self.objects: list[list[int]] = [[] for _ in range(len(self._scales))]
        for index, photo in enumerate(self.photo_of):
            self.objects[photo].append(index)

    def mask(self, index: int) -> NDArray[np.bool_]:
        """(R, R) of an object."""
        return np.unpackbits(self.packed[index], axis=1).astype(bool)

    def union(self, indices: list[int]) -> NDArray[np.bool_]:
        """(R, R) of several objects."""
        return np.unpackbits(np.bitwise_or.reduce(self.packed[indices], 0), axis=1).astype(bool)

    def stages(self, photos: list[int]) -> Stages:
        """The trunk's features of B photos."""
        levels, start = [], 0
        for features, channels in zip(self._features, STAGE_CHANNELS, strict=True):
            scales = torch.from_numpy(self._scales[photos, start : start + channels])
            whole = torch.from_numpy(np.stack([features[photo] for photo in photos]))
            levels.append(whole.float() * scales[..., None, None])
            start += channels
        return Stages(*levels)


def together(stages: list[Stages]) -> Stages:
    """Features of photos of several views, in one batch."""
    return Stages(*(torch.cat(level) for level in zip(*stages, strict=True)))


def open_view(folder: Path, photos: list[Photo], split: str, number: int, trunk: EfficientNetLite0, size: int) -> View:
    """A view of a split, made where it is not there.

    Args:
        folder: of all views of this size.
        photos: of the split.
        split: its name, for the folder's.
        number: of the view.
        trunk: frozen.
        size: S.
    """
    own = folder / f"{split}-{number}"
    if not own.is_dir():
        with atomic_folder(own) as new:
            _write_view(new, photos, number, trunk, size, name=f"view {number} of {split}")
    return View(own)


@torch.no_grad()
def _write_view(folder: Path, photos: list[Photo], number: int, trunk: EfficientNetLite0, size: int, name: str) -> None:
    arrays = [
        np.lib.format.open_memmap(
            folder / f"stride{stride}.npy", "w+", np.int8, (len(photos), channels, size // stride, size // stride)
        )
        for stride, channels in zip(_STRIDES, STAGE_CHANNELS, strict=True)
    ]
    scales = np.zeros((len(photos), sum(STAGE_CHANNELS)), np.float32)
    rows: list[tuple[NDArray[np.uint8], int, int, bool, float]] = []
    with Progress(name, len(photos), "photo") as progress:
        for index, photo in enumerate(photos):
            rng = np.random.default_rng([number, index])
            pixels, masks = photo.pixels(), photo.masks()
            framing = _framing(number, masks, rng)
            seen = _seen(pixels, framing, rng if number > 1 else None)
            stages = trunk.stages(torch.from_numpy(square_image(seen, size))[None])
            start = 0
            for array, level in zip(arrays, stages, strict=True):
                scale = level[0].abs().amax((1, 2)).clamp_min(1e-6) / 127
                array[index] = (level[0] / scale[:, None, None]).round().to(torch.int8).numpy()
                scales[index, start : start + len(scale)] = scale.numpy()
                start += len(scale)
            for annotation, mask in zip(photo.image.annotations, masks, strict=True):
                cells, share = _shown(mask, framing)
                if cells.sum() >= _SMALLEST:
                    row = np.packbits(cells, axis=1)
                    rows.append((row, index, annotation.class_id, annotation.crowd, share))
            progress.advance()
    for array in arrays:
        array.flush()
    masks_, photo_of, class_of, crowd, visible = zip(*rows, strict=True)
    np.savez(
        folder / "objects.npz",
        masks=np.stack(masks_),
        photo=np.array(photo_of),
        class_id=np.array(class_of),
        crowd=np.array(crowd),
        visible=np.array(visible, np.float32),
        scales=scales,
    )


def _framing(number: int, masks: list[NDArray[np.bool_]], rng: np.random.Generator) -> Framing:
    height, width = masks[0].shape
    if number < 2:
        return Framing((0, 0, width, height), mirrored=number == 1)
    mirrored = bool(rng.random() < 0.5)
    if rng.random() < _ZOOM_SHARE:
        rows, columns = np.nonzero(masks[int(rng.integers(len(masks)))])
        if len(rows) > 100:
            zoom = rng.uniform(1.2, 3)
            w, h = (min(whole, max(64, zoom * (np.ptp(x) + 1))) for whole, x in ((width, columns), (height, rows)))
            w, h = min(width, max(w, 0.6 * h)), min(height, max(h, 0.6 * w))
            left = np.clip((columns.min() + columns.max() + 1) / 2 - w * rng.uniform(0.35, 0.65), 0, width - w)
            top = np.clip((rows.min() + rows.max() + 1) / 2 - h * rng.uniform(0.35, 0.65), 0, height - h)
            return Framing((int(left), int(top), int(left + w), int(top + h)), mirrored)
    side, aspect = rng.uniform(0.5, 1), np.exp(rng.uniform(-0.2, 0.2))
    w, h = int(min(1, side * aspect) * width), int(min(1, side / aspect) * height)
    left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    return Framing((left, top, left + w, top + h), mirrored)


def _seen(pixels: NDArray[np.uint8], framing: Framing, rng: np.random.Generator | None) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels).crop(framing.box)
    if framing.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng is not None:
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhance(image).enhance(float(rng.uniform(*_COLOURS)))
        if rng.random() < _GREY_SHARE:
            image = image.convert("L").convert("RGB")
    return np.asarray(image)


def _shown(mask: NDArray[np.bool_], framing: Framing) -> tuple[NDArray[np.bool_], float]:
    """A mask on the view's (R, R) cells, a cell when at least half of it is covered; and the share of it in view."""
    left, top, right, bottom = framing.box
    part = mask[top:bottom, left:right]
    share = float(part.sum() / max(mask.sum(), 1))
    image = Image.fromarray(part.astype(np.uint8) * 255)
    cells = np.asarray(image.resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX)) >= 128
    return (cells[:, ::-1] if framing.mirrored else cells), share
