"""Trees in the layouts of ultralytics' YOLO and of its excerpt COCO128-seg."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]  # left, top, right, bottom as fractions


def outline_line(number: int, box: Box) -> str:
    """The line of an object with four corners."""
    left, top, right, bottom = box
    points = (left, top, right, top, right, bottom, left, bottom)
    return " ".join([str(number), *(f"{point:.6f}" for point in points)])


def write_labelled(
    root: Path, name: str, objects: Sequence[tuple[int, Box]], *, height: int = 48, width: int = 64
) -> None:
    """An image `images/<name>` whose objects are bright, and its labels; without objects it has no label file.

    Args:
        root: of the data set.
        name: path of the image below `images`.
        objects: number of the class and place of each.
        height: of the image, px.
        width: likewise.
    """
    image, labels = root / "images" / name, (root / "labels" / name).with_suffix(".txt")
    image.parent.mkdir(parents=True, exist_ok=True)
    labels.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((height, width, 3), 60, np.uint8)
    pixels[..., 2] = np.linspace(0, 90, width).astype(np.uint8)
    for number, (left, top, right, bottom) in objects:
        region = pixels[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
        region[...] = (120 + 37 * number % 130, 90 + 53 * number % 150, 250 - 71 * number % 200)
    Image.fromarray(pixels).save(image)
    if objects:
        labels.write_text("\n".join(outline_line(*each) for each in objects) + "\n")


def write_coco128_tree(root: Path, images: int = 128, *, height: int = 96, width: int = 128) -> Path:
    """The tree of coco128-seg.zip below `root`; returns its folder.

    Image i shows class i modulo 8 on its left and class (i // 8) modulo 8 + 8 on its right, a third of the image each,
    and class 79 as 2 x 2 px. Every 63rd image, two of 128, has no label file.
    """
    folder = root / "coco128-seg"
    for number in range(images):
        objects: list[tuple[int, Box]] = [
            (number % 8, (0.1, 0.1, 0.45, 0.9)),
            (8 + number // 8 % 8, (0.55, 0.1, 0.9, 0.9)),
            (79, (0.5, 0.5, 0.5 + 2 / width, 0.5 + 2 / height)),
        ]
        labelled = [] if number % 63 == 62 else objects
        write_labelled(folder, f"train2017/{number + 9:012}.jpg", labelled, height=height, width=width)
    (folder / "README.txt").write_text("COCO128\n")
    return folder
