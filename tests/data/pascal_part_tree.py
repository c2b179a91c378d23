"""A small tree of PASCAL-Part with merged parts, in the form that Matcher publishes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from prosam.data.formats.masks import encode

HEIGHT, WIDTH = 50, 70
GROUPS = {"animals": ("bird", "dog"), "indoor": ("bottle",), "person": ("person",), "vehicles": ("aeroplane", "bus")}
PARTS = ("HEAD", "TAIL")


def write_pascal_part_tree(root: Path, *, photos: bool = True) -> Path:
    """Two train and three val images of each object, in a tree as the archive has it; returns the folder VOC2010.

    Each image shows the object twice, in boxes of 20 x 30 px. Each has a HEAD of two pieces, together 5 x 4 px, and the
    second a TAIL of 3 x 3 px too. `bus+LEG` has no val image, so it is no class.
    """
    folder = root / "Pascal-Part/VOCdevkit/VOC2010"
    annotations = folder / "Annotations_Part_json_merged_part_classes"
    annotations.mkdir(parents=True)
    index: dict[str, dict[str, dict[str, dict[str, dict[str, dict[str, list[str]]]]]]] = {}
    number = 0
    for group, objects in GROUPS.items():
        index[group] = {"object": {}}
        for name in objects:
            lists: dict[str, list[str]] = {"train": [], "val": []}
            for split in ("train", "train", "val", "val", "val"):
                image = f"2008_{number:06}"
                number += 1
                lists[split].append(image)
                described = {
                    "folder": "VOC2010",
                    "object": [_object(name, 5, tail=False), _object(name, 40, tail=True)],
                }
                (annotations / f"{image}.json").write_text(json.dumps(described))
                if photos:
                    (folder / "JPEGImages").mkdir(exist_ok=True)
                    pixels = np.full((HEIGHT, WIDTH, 3), 50 + number * 7 % 180, np.uint8)
                    Image.fromarray(pixels).save(folder / "JPEGImages" / f"{image}.jpg")
            parts = {part: {"train": lists["train"], "val": lists["val"]} for part in PARTS}
            if name == "bus":
                parts["LEG"] = {"train": lists["train"], "val": []}
            index[group]["object"][name] = {"part": parts}
    (folder / "all_obj_part_to_image.json").write_text(json.dumps(index))
    return folder


def _object(name: str, left: int, *, tail: bool) -> dict[str, object]:
    def code(x: int, y: int, width: int, height: int) -> dict[str, object]:
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[y : y + height, x : x + width] = True
        return {"size": [HEIGHT, WIDTH], "counts": encode(mask)}

    parts = [{"name": "HEAD", "mask": [code(left + 2, 12, 5, 2)]}, {"name": "HEAD", "mask": [code(left + 2, 14, 5, 2)]}]
    parts += [{"name": "TAIL", "mask": [code(left + 10, 30, 3, 3)]}] if tail else []
    box = {"xmin": str(left), "ymin": "10", "xmax": str(left + 20), "ymax": "40"}
    return {"name": name, "bndbox": box, "parts": parts}
