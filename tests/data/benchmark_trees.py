"""Small trees of the benchmarks in the formats in which they are published, with noise for photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from prosam.data.catalog.benchmark import Benchmark, BenchmarkSource
from prosam.data.catalog.source import source_of
from prosam.data.formats.voc import voc_palette

BRIGHT_OF = {  # RGB of DeepGlobe's land cover
    "agriculture": (255, 255, 0),
    "urban": (0, 255, 255),
    "rangeland": (255, 0, 255),
    "forest": (0, 255, 0),
    "water": (0, 0, 255),
    "barren": (255, 255, 255),
    "unknown": (0, 0, 0),
}


def box(height: int, width: int, number: int) -> np.ndarray:
    """(H, W) bool: a rectangle of its own for each number, of a ninth to a quarter of the image."""
    mask = np.zeros((height, width), bool)
    top, left = height // 6 + number % 4, width // 6 + number % 5
    mask[top : top + height // 2 - number % 3, left : left + width // 2 - number % 2] = True
    return mask


def write_photo(path: Path, mask: np.ndarray, seed: int = 0) -> None:
    """Noise, brighter where a mask (H, W) is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 90, (*mask.shape, 3))
    Image.fromarray((noise + 120 * (mask > 0)[..., None]).astype(np.uint8)).save(path, quality=90)


def write_mask(path: Path, values: np.ndarray) -> None:
    """A mask as it is, of grey values or colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_fss_tree(root: Path, lists: Mapping[str, Sequence[str]], *, images: int = 10, side: int = 64) -> None:
    """FSS-1000: lists `trn`, `val` and `test`; masks are RGB, with soft edges below 128."""
    for number, name in enumerate(name for names in lists.values() for name in names):
        for index in range(1, images + 1):
            mask = box(side, side, number + index)
            place = root / "FSS-1000" / name / f"{index}.jpg"
            write_photo(place, mask, seed=100 * number + index)
            grey = np.where(mask, 255, 0).astype(np.uint8)
            grey[:2] = 127  # not foreground
            write_mask(place.with_suffix(".png"), np.repeat(grey[..., None], 3, axis=2))
    (root / "splits").mkdir(parents=True)
    for name, classes in lists.items():
        (root / "splits" / f"{name}.txt").write_text("".join(f"{one}\n" for one in classes))


def write_perseg_tree(root: Path, photos: Mapping[str, int], *, side: int = 64) -> None:
    """PerSeg: the number of photos of each object; masks are dark red on black."""
    for number, (name, count) in enumerate(photos.items()):
        for index in range(count):
            mask = box(side, side + 8, number + index)
            write_photo(root / "Images" / name / f"{index:02}.jpg", mask, seed=10 * number + index)
            colours = np.zeros((*mask.shape, 3), np.uint8)
            colours[mask] = 128, 0, 0
            write_mask(root / "Annotations" / name / f"{index:02}.png", colours)


def write_davis_tree(root: Path, sequences: Mapping[str, Sequence[np.ndarray]]) -> None:
    """DAVIS 2017: the label maps (H, W) uint8 of the frames of each sequence of the validation set."""
    base = root / "DAVIS"
    for name, frames in sequences.items():
        for number, labels in enumerate(frames):
            write_photo(base / "JPEGImages" / "480p" / name / f"{number:05}.jpg", labels, seed=number)
            image = Image.fromarray(labels)
            image.putpalette(voc_palette().tobytes())
            place = base / "Annotations" / "480p" / name / f"{number:05}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            image.save(place)
    (base / "ImageSets" / "2017").mkdir(parents=True)
    (base / "ImageSets" / "2017" / "val.txt").write_text("".join(f"{name}\n" for name in sequences))


def write_isic_tree(root: Path, classes: Mapping[str, str], *, side: int = 64) -> None:
    """ISIC 2018, task 1: the class of each image id."""
    for number, image in enumerate(classes):
        mask = box(side, side + 16, number)
        write_photo(root / "ISIC2018_Task1-2_Training_Input" / f"{image}.jpg", mask, seed=number)
        place = root / "ISIC2018_Task1_Training_GroundTruth" / f"{image}_segmentation.png"
        write_mask(place, np.where(mask, 255, 0).astype(np.uint8))
    lines = "".join(f"{image},{name}\n" for image, name in classes.items())
    (root / "class_id.csv").write_text(f"ID,Class\n{lines}")


def write_lungs_tree(root: Path, ids: Sequence[str], *, without: Sequence[str] = (), side: int = 64) -> None:
    """Chest X-rays as grey PNG; those of `without` have masks under another name, as Montgomery's do."""
    for number, image in enumerate((*ids, *without)):
        mask = box(side, side, number)
        write_mask(root / "CXR_png" / f"{image}.png", np.where(mask, 60, 200).astype(np.uint8))
        name = f"{image}_mask.png" if image in ids else f"{image}.png"
        write_mask(root / "masks" / name, np.where(mask, 255, 0).astype(np.uint8))


def write_deepglobe_tree(root: Path, covers: Mapping[str, np.ndarray]) -> None:
    """DeepGlobe's land cover: the class names (H, W) of each image id."""
    for number, (image, cover) in enumerate(covers.items()):
        colours = np.array([[BRIGHT_OF[name] for name in row] for row in cover], np.uint8)
        write_photo(root / "train" / f"{image}_sat.jpg", colours[..., 0], seed=number)
        write_mask(root / "train" / f"{image}_mask.png", colours)


def read_benchmark(source: str, name: str, folder: Path) -> Benchmark:
    """What a source of benchmarks reads from a folder."""
    found = source_of(source)
    assert isinstance(found, BenchmarkSource)
    return found.read(name, folder)
