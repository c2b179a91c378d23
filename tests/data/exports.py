"""The exact folders that annotation tools export, made from nothing."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 20, 30
OBJECT = np.zeros((HEIGHT, WIDTH), bool)
OBJECT[2:9, 3:12] = True
POLYGON = [3.0, 2.0, 12.0, 2.0, 12.0, 9.0, 3.0, 9.0]  # whose pixels are OBJECT


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(path)


def counts(mask: np.ndarray) -> list[int]:
    """Uncompressed run lengths in column order, background first."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.array([0, *changes.tolist(), flat.size])).tolist()
    return [0, *runs] if flat[0] else runs


def write(path: Path, content: Any, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding=encoding)


def cvat_coco(root: Path, subset: str, names: list[str], *, brush: bool = False) -> None:
    """CVAT's *COCO 1.0*: annotations/instances_<subset>.json, images/<subset>/<name>."""
    rle = {"counts": counts(OBJECT), "size": [HEIGHT, WIDTH]}
    content = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        "categories": [
            {"id": 1, "name": "cat", "supercategory": ""},
            {"id": 2, "name": "dog", "supercategory": ""},
        ],
        "images": [
            {
                "id": number,
                "width": WIDTH,
                "height": HEIGHT,
                "file_name": name,
                "license": 0,
                "flickr_url": "",
                "coco_url": "",
                "date_captured": 0,
            }
            for number, name in enumerate(names, 1)
        ],
        "annotations": [
            {
                "id": number,
                "image_id": number,
                "category_id": 1 + number % 2,
                "segmentation": rle if brush else [POLYGON],
                "area": 63.0,
                "bbox": [3.0, 2.0, 9.0, 7.0],
                "iscrowd": int(brush),
                "attributes": {"occluded": False},
            }
            for number in range(1, len(names) + 1)
        ],
    }
    write(root / f"annotations/instances_{subset}.json", content)
    for number, name in enumerate(names):
        picture(root / "images" / subset / name, number)


def cvat_masks(root: Path, subsets: dict[str, list[str]]) -> None:
    """CVAT's *Segmentation mask 1.1* with images; names may have folders."""
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", "cat:250,50,83::", "dog:51,221,255::"]
    (root / "labelmap.txt").write_text("\n".join(lines) + "\n")
    colours = np.array([(250, 50, 83), (51, 221, 255)], np.uint8)
    for subset, names in subsets.items():
        (root / f"ImageSets/Segmentation/{subset}.txt").write_text("".join(f"{name}\n" for name in names))
        for number, name in enumerate(names):
            picture(root / f"JPEGImages/{name}.jpg", number)
            for folder in ("SegmentationClass", "SegmentationObject"):
                path = root / folder / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(OBJECT[..., None] * colours[number % 2]).save(path)


def datumaro_coco(root: Path, subsets: list[str]) -> None:
    """Datumaro's format `coco` with all its tasks, as of version 1.10: image_info_* has the same images."""
    for subset in subsets:
        cvat_coco(root, subset, [f"{subset}-{number}.jpg" for number in range(4)], brush=True)
        content = json.loads((root / f"annotations/instances_{subset}.json").read_text())
        content |= {"categories": [], "annotations": []}
        write(root / f"annotations/image_info_{subset}.json", content)


def datumaro_voc(root: Path, subsets: list[str]) -> None:
    """Datumaro's format `voc` with all its tasks: lists in Main too, boxes in Annotations, colours in labelmap.txt."""
    cvat_masks(root, {subset: [f"{subset}-{number}" for number in range(4)] for subset in subsets})
    for subset in subsets:
        (root / "ImageSets/Main").mkdir(exist_ok=True)
        lines = [f"{subset}-{number}\n" for number in range(4)]
        (root / f"ImageSets/Main/{subset}.txt").write_text("".join(lines))
        (root / f"ImageSets/Main/cat_{subset}.txt").write_text("".join(f"{line.strip()}  1\n" for line in lines))
        (root / "Annotations").mkdir(exist_ok=True)
        for number in range(4):
            (root / f"Annotations/{subset}-{number}.xml").write_text("<annotation></annotation>")


def roboflow(root: Path, project: str = "car") -> None:
    """Roboflow's *COCO Segmentation*: the project is category 0, which nothing belongs to; three folders."""
    for subset, total in (("train", 4), ("valid", 4), ("test", 1)):
        images, annotations = [], []
        for number in range(total):
            name = f"{subset}-{number}_jpg.rf.0123456789abcdef.jpg"
            images.append(
                {
                    "id": number,
                    "license": 1,
                    "file_name": name,
                    "height": HEIGHT,
                    "width": WIDTH,
                    "date_captured": "2024-01-01T00:00:00+00:00",
                    "extra": {"name": name},
                }
            )
            annotations.append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 1 + number % 2,
                    "bbox": [3, 2, 9, 7],
                    "area": 63,
                    "segmentation": [POLYGON],
                    "iscrowd": 0,
                }
            )
            picture(root / subset / name, number)
        categories = [
            {"id": 0, "name": project, "supercategory": "none"},
            {"id": 1, "name": "car", "supercategory": project},
            {"id": 2, "name": "van", "supercategory": project},
        ]
        content = {
            "info": {"year": "2024", "version": "1", "description": "Exported from roboflow.com"},
            "licenses": [{"id": 1, "url": "", "name": "Unknown"}],
            "categories": categories,
            "images": images,
            "annotations": annotations,
        }
        write(root / subset / "_annotations.coco.json", content)


def label_studio(root: Path) -> None:
    """Label Studio's *COCO*: result.json, images/, ids from 0, and Windows' separators on Windows."""
    names = [f"{number:08x}-photo.jpg" for number in range(4)]
    content = {
        "images": [
            {
                "width": WIDTH,
                "height": HEIGHT,
                "id": number,
                "file_name": f"images\\{name}" if number % 2 else f"images/{name}",
            }
            for number, name in enumerate(names)
        ],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        "annotations": [
            {
                "id": number,
                "image_id": number,
                "category_id": number % 2,
                "segmentation": [POLYGON],
                "bbox": [3.0, 2.0, 9.0, 7.0],
                "ignore": 0,
                "iscrowd": 0,
                "area": 63.0,
            }
            for number in range(4)
        ],
        "info": {"year": 2024, "version": "1.0", "description": "", "contributor": "Label Studio", "url": ""},
    }
    write(root / "result.json", content)
    for number, name in enumerate(names):
        picture(root / "images" / name, number)


def supervision(root: Path) -> None:
    """`DetectionDataset.as_coco` of supervision: a mask with a hole or of parts is a run-length code with iscrowd."""
    names = [f"{number}.jpg" for number in range(4)]
    rle = {"counts": counts(OBJECT), "size": [HEIGHT, WIDTH]}
    content = {
        "info": {},
        "licenses": [{"id": 1, "url": "https://creativecommons.org/licenses/by/4.0/", "name": "CC BY 4.0"}],
        "categories": [
            {"id": 0, "name": "cat", "supercategory": "common-objects"},
            {"id": 1, "name": "dog", "supercategory": "common-objects"},
        ],
        "images": [
            {"id": number, "license": 1, "file_name": name, "height": HEIGHT, "width": WIDTH, "date_captured": ""}
            for number, name in enumerate(names, 1)
        ],
        "annotations": [
            {
                "id": number,
                "image_id": number,
                "category_id": number % 2,
                "bbox": [3.0, 2.0, 9.0, 7.0],
                "area": 63.0,
                "segmentation": rle if number > 2 else [POLYGON],
                "iscrowd": int(number > 2),
            }
            for number in range(1, 5)
        ],
    }
    write(root / "annotations.json", content)
    for number, name in enumerate(names):
        picture(root / "images" / name, number)


def base64_png(mask: np.ndarray) -> str:
    buffer = BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def labelme_shape(kind: str, points: list[list[float]], label: str = "cat", mask: str | None = None) -> dict[str, Any]:
    """A shape with all keys that labelme 5.4 writes."""
    return {
        "label": label,
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": mask,
    }


def labelme(root: Path, shapes: list[dict[str, Any]], name: str = "a") -> Path:
    picture(root / f"{name}.jpg")
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{name}.jpg",
        "imageData": base64.b64encode((root / f"{name}.jpg").read_bytes()).decode(),
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    write(root / f"{name}.json", content)
    return root / f"{name}.json"
