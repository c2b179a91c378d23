"""Good files of each format, small, and with all that the format can hold."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 24  # px of all images


def picture(form: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    """A small image file."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def images() -> list[bytes]:
    """Of each format that people send."""
    deep = io.BytesIO()
    Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) * 99).save(deep, "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    one = Image.open(io.BytesIO(picture()))
    return [
        *(picture(form) for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")),
        *(picture("PNG", mode) for mode in ("P", "L", "1", "RGBA", "LA")),
        picture("JPEG", exif=exif),
        picture("JPEG", "CMYK"),
        picture("TIFF", compression="tiff_lzw"),
        picture("GIF", save_all=True, append_images=[one, one]),
        deep.getvalue(),
    ]


def coco() -> bytes:
    """Polygons, run-length codes of both kinds, a crowd and a box."""
    counts = [5 * SIDE, 40, SIDE * SIDE - 5 * SIDE - 40]
    annotations = [
        {"segmentation": [[1, 1, 9, 1, 9, 9]], "iscrowd": 0},
        {"segmentation": [[2, 2, 20, 2, 20, 20, 2, 20], [1, 1, 3, 1, 3, 3]], "iscrowd": 0},
        {"segmentation": {"size": [SIDE, SIDE], "counts": counts}, "iscrowd": 1},
        {"segmentation": {"size": [SIDE, SIDE], "counts": "l3P110N2O1O1"}, "iscrowd": 0},
        {"bbox": [1, 1, 5, 5], "iscrowd": 0},
    ]
    return json.dumps(
        {
            "images": [{"id": i, "file_name": f"{i}.png", "height": SIDE, "width": SIDE} for i in range(1, 5)],
            "categories": [{"id": 1, "name": "cat"}, {"id": 7, "name": "dog", "supercategory": "animal"}],
            "annotations": [
                {"id": n, "image_id": 1 + n % 4, "category_id": (1, 7)[n % 2], "area": 9, **annotation}
                for n, annotation in enumerate(annotations * 2)
            ],
        }
    ).encode()


def labelme() -> bytes:
    """Every type of shape."""
    import base64

    mask = base64.b64encode(picture("PNG", "1")).decode()
    kinds: dict[str, Any] = {
        "polygon": [[1, 1], [9, 1], [9, 9]],
        "rectangle": [[1, 1], [9, 9]],
        "circle": [[9, 9], [12, 9]],
        "line": [[1, 1], [9, 9]],
        "linestrip": [[1, 1], [9, 9], [9, 1]],
        "point": [[4, 4]],
        "points": [[4, 4], [5, 5]],
        "mask": [[0, 0], [SIDE - 1, SIDE - 1]],
    }
    shapes = [
        {"label": "cat" if number % 2 else "dog", "shape_type": kind, "points": points, "group_id": None, "flags": {}}
        | ({"mask": mask} if kind == "mask" else {})
        for number, (kind, points) in enumerate(kinds.items())
    ]
    content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": "1.png", "imageData": None}
    return json.dumps(content | {"imageHeight": SIDE, "imageWidth": SIDE}).encode()


LABELMAP = b"# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\ndog:0,128,0:head,tail:runs\n"
CLASSES = b"cat\ndog\n"
LIST = b"1\n2\n"


def tensors(metadata: dict[str, str], names: dict[str, tuple[int, ...]]) -> bytes:
    """A safetensors file."""
    import torch
    from safetensors.torch import save

    return save({name: torch.ones(shape) for name, shape in names.items()}, metadata)


def vrp_sam() -> list[bytes]:
    """Torch files that begin like a checkpoint of VRP-SAM; a whole one has 100 MB."""
    import torch

    found = []
    for layer in ("layer1.0.conv1.weight", "layer1.0.weight"):
        state = {"transformer_decoder.supp_q_feat.weight": torch.ones(2, 256), layer: torch.ones(1)}
        for zipped in (True, False):
            buffer = io.BytesIO()
            torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
            found.append(buffer.getvalue())
    return found


def zips() -> list[bytes]:
    """Stored and deflated, with a folder and a link."""
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as zipped:
            zipped.writestr("data/a.txt", b"a" * 300)
            zipped.writestr("data/b/c.txt", b"c")
            link = zipfile.ZipInfo("data/link")
            link.create_system, link.external_attr = 3, 0o120777 << 16
            zipped.writestr(link, "a.txt")
        found.append(buffer.getvalue())
    return found


def tars(mode: str) -> list[bytes]:
    """In both dialects, with a folder, links of both kinds and a long name."""
    found = []
    for dialect in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(None, mode, buffer, format=dialect) as tar:  # pyright: ignore[reportCallIssue, reportArgumentType]
            for name, kind, target in (
                ("data", tarfile.DIRTYPE, ""),
                ("data/a.txt", tarfile.REGTYPE, ""),
                ("data/" + "n" * 120, tarfile.REGTYPE, ""),
                ("data/hard", tarfile.LNKTYPE, "data/a.txt"),
                ("data/soft", tarfile.SYMTYPE, "a.txt"),
            ):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, target
                info.size = 5 if kind == tarfile.REGTYPE else 0
                tar.addfile(info, io.BytesIO(b"hello") if info.size else None)
        found.append(buffer.getvalue())
    return found


def concept() -> bytes:
    """A concept of the bundled model's shape."""
    import torch

    from prosam.methods.prompting import PromptConcept
    from prosam.predictor.concept import Concept
    from prosam.predictor.concept_state import built_state

    parts = {name: torch.ones(1, 2, 3) for name in ("prototype", "queries", "annotated", "annotation", "mask", "level")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.safetensors"
        for _ in range(len(parts) + 4):
            try:
                state = built_state(PromptConcept, parts | {"foreground.0": torch.ones(3, 2)})
            except KeyError as missing:
                parts[str(missing.args[0])] = torch.ones(1, 2, 3)
                continue
            Concept("cat", "0" * 64, "a model", ("mask",), state, ("1" * 64,)).save(path)
            return path.read_bytes()
    raise AssertionError("no state could be built")
