"""How much time and memory does it take to turn COCO's instances_train2014.json into masks per class?

    python bench/coco_index.py                  # a generated file of the true size: 400 MB, about 6 minutes in all
    python bench/coco_index.py --scale 0.05     # a twentieth of it

Two ways are compared, each in a process of its own: `read_instances` with `class_masks`, and pycocotools' COCO with
annToRLE, which only makes a code for each annotation. No image files are involved.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TextIO

import numpy as np
import typer
from pycocotools.coco import COCO

from prosam.cli import console
from prosam.data.sources.coco_json import read_instances
from prosam.data.sources.coco_masks import Masks, class_masks

IMAGES, ANNOTATIONS, CLASSES = 82_783, 604_907, 80  # of instances_train2014.json
HEIGHT, WIDTH = 480, 640
POINTS = 30
CROWD_EVERY = 100


def write_annotation(file: TextIO, number: int, image: int, rng: np.random.Generator) -> None:
    """Write a star-shaped polygon of POINTS points on average, or now and then a crowd's run lengths."""
    if number % CROWD_EVERY == 0:
        runs = rng.integers(1, 800, 2 * HEIGHT * WIDTH // 800)
        ends = np.minimum(np.cumsum(runs), HEIGHT * WIDTH)
        counts = np.diff(ends, prepend=0)
        counts = counts[: int(np.argmin(counts)) or None].tolist()
        counts.append(HEIGHT * WIDTH - sum(counts))
        outline: object = {"counts": counts, "size": [HEIGHT, WIDTH]}
    else:
        angles = np.linspace(0, 2 * np.pi, int(rng.integers(POINTS - 20, POINTS + 21)), endpoint=False)
        radii = rng.lognormal(3.6, 0.8) * rng.uniform(0.7, 1.3, angles.size)
        x = np.clip(rng.uniform(0, WIDTH) + radii * np.cos(angles), 0, WIDTH)
        y = np.clip(rng.uniform(0, HEIGHT) + radii * np.sin(angles), 0, HEIGHT)
        outline = [np.stack([x, y], axis=1).round(2).ravel().tolist()]
    annotation = {
        "segmentation": outline,
        "area": 1234.56789,
        "iscrowd": int(number % CROWD_EVERY == 0),
        "image_id": image,
        "bbox": [199.84, 200.46, 77.71, 70.88],
        "category_id": int(rng.integers(1, CLASSES + 1)),
        "id": number,
    }
    file.write((", " if number else "") + json.dumps(annotation))


def write_instances(path: Path, scale: float) -> None:
    """Write a file like COCO's, at `scale` times its size."""
    rng = np.random.default_rng(0)
    images, annotations = round(IMAGES * scale), round(ANNOTATIONS * scale)
    with path.open("w", encoding="utf-8") as file:
        listed = [
            {
                "license": 5,
                "file_name": f"COCO_train2014_{number:012}.jpg",
                "coco_url": f"http://mscoco.org/images/{number}",
                "height": HEIGHT,
                "width": WIDTH,
                "date_captured": "2013-11-14 16:28:13",
                "flickr_url": "http://farm4.staticflickr.com/3153/2970773875_164f0c0b83_z.jpg",
                "id": number,
            }
            for number in range(images)
        ]
        categories = [{"supercategory": "thing", "id": i + 1, "name": f"class {i}"} for i in range(CLASSES)]
        file.write(f'{{"info": {{}}, "images": {json.dumps(listed)}, "licenses": [], "annotations": [')
        for number in range(annotations):
            write_annotation(file, number, number * images // annotations, rng)
        file.write(f'], "categories": {json.dumps(categories)}}}')


def ours(path: Path, masks: Masks) -> tuple[int, float]:
    """Return the number of class masks, and the seconds for reading the file."""
    start = time.perf_counter()
    instances = read_instances(path)
    read = time.perf_counter() - start
    return sum(len(class_masks(image, masks, "class")[0]) for image in instances.images), read


def theirs(path: Path) -> tuple[int, float]:
    """Return the number of annotations, and the seconds for reading the file."""
    start = time.perf_counter()
    coco = COCO(path)
    read = time.perf_counter() - start
    codes = [coco.annToRLE(annotation) for annotation in coco.anns.values()]  # pyright: ignore[reportArgumentType, reportCallIssue]
    return len(codes), read


def measured(way: Callable[[Path], tuple[int, float]], path: Path) -> tuple[int, float, float, float]:
    """Run one way; return its two results, the total seconds, and the process's peak memory in GB."""
    start = time.perf_counter()
    count, read = way(path)
    return count, read, time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def bench(scale: Annotated[float, typer.Option(help="Share of COCO's images and annotations.")] = 1.0) -> None:
    """Compare the two ways on a generated file."""
    ways: dict[str, Callable[[Path], tuple[int, float]]] = {
        "ours, exact": partial(ours, masks="exact"),
        "ours, flattened": partial(ours, masks="flattened"),
        "pycocotools": theirs,
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "instances_train2014.json"
        write_instances(path, scale)
        print(f"{path.stat().st_size / 1e6:.0f} MB of JSON")
        for name, way in ways.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                count, read, seconds, memory = pool.submit(measured, way, path).result()
            print(f"{name:16} {read:5.1f} s to read, {seconds:6.1f} s in all, {memory:5.2f} GB, {count} masks")


if __name__ == "__main__":
    console.run(bench)
