"""A small tree in the true format of COCO 2014."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

# Of COCO 2014: category id, name and supercategory of all 80; ids go up to 90.
CATEGORIES = {
    "person": "1 person",
    "vehicle": "2 bicycle, 3 car, 4 motorcycle, 5 airplane, 6 bus, 7 train, 8 truck, 9 boat",
    "outdoor": "10 traffic light, 11 fire hydrant, 13 stop sign, 14 parking meter, 15 bench",
    "animal": "16 bird, 17 cat, 18 dog, 19 horse, 20 sheep, 21 cow, 22 elephant, 23 bear, 24 zebra, 25 giraffe",
    "accessory": "27 backpack, 28 umbrella, 31 handbag, 32 tie, 33 suitcase",
    "sports": "34 frisbee, 35 skis, 36 snowboard, 37 sports ball, 38 kite, 39 baseball bat, 40 baseball glove, "
    "41 skateboard, 42 surfboard, 43 tennis racket",
    "kitchen": "44 bottle, 46 wine glass, 47 cup, 48 fork, 49 knife, 50 spoon, 51 bowl",
    "food": "52 banana, 53 apple, 54 sandwich, 55 orange, 56 broccoli, 57 carrot, 58 hot dog, 59 pizza, 60 donut, "
    "61 cake",
    "furniture": "62 chair, 63 couch, 64 potted plant, 65 bed, 67 dining table, 70 toilet",
    "electronic": "72 tv, 73 laptop, 74 mouse, 75 remote, 76 keyboard, 77 cell phone",
    "appliance": "78 microwave, 79 oven, 80 toaster, 81 sink, 82 refrigerator",
    "indoor": "84 book, 85 clock, 86 vase, 87 scissors, 88 teddy bear, 89 hair drier, 90 toothbrush",
}
IDS = {
    entry.split(" ", 1)[1]: int(entry.split(" ", 1)[0]) for list_ in CATEGORIES.values() for entry in list_.split(", ")
}


def write_coco_tree(
    root: Path,
    *,
    train: Sequence[Sequence[str]],
    val: Sequence[Sequence[str]],
    height: int = 96,
    width: int = 128,
    crowd: bool = True,
    seed: int = 0,
) -> Path:
    """Write train2014, val2014 and annotations/instances_{train,val}2014.json; the same input gives the same bytes.

    Objects are stars of about a third of the image in the colour of their category, and overlap where an image has
    several. Every other one has two polygons. The images are COCO_train2014_000000000001.jpg and so on; val's numbers
    go on where train's end.

    Args:
        root: made if it is missing.
        train: for each image the names of the categories that it shows, one object each; a name may come twice, and an
            image without any has no annotations.
        val: likewise.
        height: of all images, px.
        width: likewise.
        crowd: whether the first image of each split has one annotation more, the last: a crowd of its first category,
            as an uncompressed run-length code.
        seed: of shapes and noise.

    Returns:
        The root.
    """
    (root / "annotations").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    number = annotation_id = 0
    for folder, images in (("train2014", train), ("val2014", val)):
        (root / folder).mkdir()
        listed: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index, names in enumerate(images):
            number += 1
            picture = Image.fromarray(rng.integers(90, 150, (height, width, 3), np.uint8))
            objects: list[tuple[str, Any, int]]
            objects = [(name, _outline(rng, height, width, parts=1 + i % 2), 0) for i, name in enumerate(names)]
            if crowd and index == 0 and names:
                objects.append((names[0], _crowd(height, width), 1))
            for name, outline, is_crowd in objects:
                annotation_id += 1
                annotations.append(_annotation(annotation_id, number, name, outline, is_crowd, height, width))
                if not is_crowd:
                    for polygon in outline:
                        ImageDraw.Draw(picture).polygon(polygon, fill=_colour(name))
            file_name = f"COCO_{folder}_{number:012}.jpg"
            picture.save(root / folder / file_name, quality=95)
            listed.append(_image(number, file_name, height, width))
        content = {
            "info": {"description": "generated", "url": "http://mscoco.org", "version": "1.0", "year": 2014},
            "images": listed,
            "licenses": [
                {"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"}
            ],
            "annotations": annotations,
            "categories": _categories(),
        }
        (root / "annotations" / f"instances_{folder}.json").write_text(json.dumps(content))
    return root


def run_counts(mask: np.ndarray) -> list[int]:
    """The uncompressed run-length code of an (H, W) mask: down the columns, background first."""
    runs = [(bool(value), len(list(group))) for value, group in groupby(mask.ravel(order="F").tolist())]
    return [0] * runs[0][0] + [length for _, length in runs]


def _categories() -> list[dict[str, Any]]:
    return [
        {"supercategory": above, "id": int(entry.split(" ", 1)[0]), "name": entry.split(" ", 1)[1]}
        for above, list_ in CATEGORIES.items()
        for entry in list_.split(", ")
    ]


def _image(number: int, file_name: str, height: int, width: int) -> dict[str, Any]:
    return {
        "license": 4,
        "file_name": file_name,
        "coco_url": f"http://mscoco.org/images/{number}",
        "height": height,
        "width": width,
        "date_captured": "2013-11-14 16:28:13",
        "flickr_url": f"http://farm4.staticflickr.com/{number}.jpg",
        "id": number,
    }


def _annotation(
    number: int, image: int, name: str, outline: Any, is_crowd: int, height: int, width: int
) -> dict[str, Any]:
    if is_crowd:
        box, area = [0, 0, width, height // 5], sum(outline["counts"][1::2])
    else:
        points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in outline])
        box, area = (
            [*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist()],
            float(np.ptp(points, axis=0).prod()),
        )
    return {
        "segmentation": outline,
        "area": area,
        "iscrowd": is_crowd,
        "image_id": image,
        "bbox": box,
        "category_id": IDS[name],
        "id": number,
    }


def _outline(rng: np.random.Generator, height: int, width: int, parts: int) -> list[list[float]]:
    """Stars with two decimals, as COCO's polygons; they may reach the image's edge but not beyond."""
    polygons = []
    for _ in range(parts):
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        radii = rng.uniform(0.25, 0.4, angles.size) / parts**0.5
        x = np.clip(width * (rng.uniform(0.3, 0.7) + radii * np.cos(angles)), 0, width)
        y = np.clip(height * (rng.uniform(0.3, 0.7) + radii * np.sin(angles)), 0, height)
        polygons.append(np.stack([x, y], axis=1).round(2).ravel().tolist())
    return polygons


def _crowd(height: int, width: int) -> dict[str, Any]:
    mask = np.zeros((height, width), bool)
    mask[: height // 5, ::2] = True
    return {"counts": run_counts(mask), "size": [height, width]}


def _colour(name: str) -> tuple[int, int, int]:
    number = IDS[name]
    return 40 + 53 * number % 200, 40 + 97 * number % 200, 40 + 151 * number % 200
