"""Small trees of LVIS v1 and PACO-LVIS v1 on COCO 2017, in the form of the published files."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 60, 80


def write_json(path: Path, content: dict[str, Any], form: str = "") -> None:
    """A JSON file as it is, with gzip (`.gz`), or in an archive (`.zip`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content)
    if form == ".gz":
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(text.encode()))
    elif form == ".zip":
        with zipfile.ZipFile(path.with_name(path.name + ".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.name, text)
    else:
        path.write_text(text)


def save_photo(path: Path, number: int) -> None:
    """An image of WIDTH x HEIGHT px."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((HEIGHT, WIDTH, 3), 40 + number * 13 % 150, np.uint8)
    pixels[:, WIDTH // 2 :, number % 3] += 60
    Image.fromarray(pixels).save(path)


def rectangle(left: float, top: float, right: float, bottom: float) -> list[float]:
    """A polygon."""
    return [left, top, right, top, right, bottom, left, bottom]


def lvis_content(
    images: Sequence[tuple[int, str, Sequence[tuple[int, list[list[float]]]]]], categories: int
) -> dict[str, Any]:
    """What a file of LVIS v1 holds: annotations stand before images, and images have no `file_name`.

    Args:
        images: id, folder, and category with polygons of each object.
        categories: their number; ids count from 1, and they are listed in descending order.
    """
    objects = [(number, category, outline) for number, _, shown in images for category, outline in shown]
    return {
        "info": {"description": "LVIS v1", "nested": {"annotations": [1, {"id": [2]}]}},
        "annotations": [
            {"id": i, "image_id": number, "category_id": category, "segmentation": outline, "area": 1.5}
            for i, (number, category, outline) in enumerate(reversed(objects), start=1)
        ],
        "images": [
            {
                "id": number, "height": HEIGHT, "width": WIDTH, "license": 1, "not_exhaustive_category_ids": [],
                "coco_url": f"http://images.cocodataset.org/{folder}/{number:012}.jpg", "neg_category_ids": [3],
            }
            for number, folder, _ in images
        ],
        "licenses": [],
        "categories": [
            {"id": i, "name": f"kind_{i}", "synset": f"kind.n.{i:02}", "frequency": "r", "image_count": 1}
            for i in range(categories, 0, -1)
        ],
    }  # fmt: skip


def write_lvis_tree(root: Path, *, form: str = ".zip", categories: int = 12, images_2014: bool = False) -> Path:
    """LVIS's files and images: each category is on two train and two val images, of which one is from train2017.

    Category c covers 8 x 10 px on each; on train images it has two polygons, 8 x 10 and 4 x 4 px. Category 11 is on one
    val image only.
    """
    listed: dict[str, list[tuple[int, str, list[tuple[int, list[list[float]]]]]]] = {"train": [], "val": []}
    for category in range(1, categories + 1):
        for copy in range(4):
            split = "train" if copy < 2 else "val"
            if split == "val" and category == 11 and copy == 3:
                continue
            number, folder = 10 * category + copy, "val2017" if copy == 3 else "train2017"
            outline = [rectangle(4, 5, 14, 13), *([rectangle(40, 40, 44, 44)] if split == "train" else [])]
            listed[split].append((number, folder, [(category, outline)]))
            name = f"{number:012}.jpg"
            if images_2014:
                folder = "val2014" if number % 2 else "train2014"
                name = f"COCO_{folder}_{name}"
            save_photo(root / folder / name, number)
    for split, images in listed.items():
        write_json(root / f"lvis_v1_{split}.json", lvis_content(images, categories), form)
    return root


def write_paco_tree(root: Path, *, classes: int = 8, form: str = "archive") -> Path:
    """PACO-LVIS's files and images, all from train2017.

    Part c of category 100 + c is on two train and two val images. Each image shows two objects, each an annotation that
    names itself; the part of the first is a polygon of 4 x 4 px and of the second a run-length code of 2 x 3 px.
    The category 1 is the object, and 99 a part that nothing shows. In the archive both files lie beside one another.
    """
    files = {}
    for split, start in (("train", 0), ("val", 2)):
        images, annotations = [], []
        for c in range(1, classes + 1):
            for number in (10 * c + start, 10 * c + start + 1):
                name = f"train2017/{number:012}.jpg"
                images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH})
                save_photo(root / name, number)
                first, second = 10 * number, 10 * number + 1
                code = _code(right=(50, 40))
                annotations += [
                    {"id": 10 * number + 5, "image_id": number, "category_id": 100 + c, "obj_ann_id": first,
                     "segmentation": [rectangle(10, 12, 14, 16)], "bbox": [10, 12, 4, 4]},
                    {"id": 10 * number + 6, "image_id": number, "category_id": 100 + c, "obj_ann_id": second,
                     "segmentation": code, "bbox": [50, 40, 2, 3]},
                    {"id": first, "image_id": number, "category_id": 1, "obj_ann_id": first,
                     "segmentation": [rectangle(5, 6, 25, 36)], "bbox": [5.5, 6.2, 20.0, 30.0]},
                    {"id": second, "image_id": number, "category_id": 1, "obj_ann_id": second,
                     "segmentation": [rectangle(40, 30, 80, 60)], "bbox": [40, 30, 60, 30]},
                ]  # fmt: skip
        categories = [{"id": 1, "name": "bottle", "supercategory": "OBJECT"}]
        categories += [{"id": 100 + c, "name": f"bottle:{c}", "supercategory": "PART"} for c in range(1, classes + 1)]
        categories.append({"id": 99, "name": "bottle:none", "supercategory": "PART"})
        files[split] = {"images": images, "annotations": annotations, "categories": categories}
    for split, content in files.items():
        if form == "archive":
            with zipfile.ZipFile(root / "paco_lvis_v1.zip", "a", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"paco_lvis_v1_{split}.json", json.dumps(content))
        else:
            write_json(root / f"paco_lvis_v1_{split}.json", content, form)
    return root


def _code(right: tuple[int, int]) -> dict[str, Any]:
    """An uncompressed run-length code of 2 x 3 px at a place."""
    left, top = right
    counts = [left * HEIGHT + top, 3, HEIGHT - 3, 3]
    return {"size": [HEIGHT, WIDTH], "counts": [*counts, HEIGHT * WIDTH - sum(counts)]}
