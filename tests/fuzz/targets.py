"""The readers of strangers' files, each with its good files and the way to damage them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prosam.errors import InputError
from tests.fuzz import seeds
from tests.fuzz.mutations import mutated_bytes, mutated_json, mutated_lines, mutated_tensors
from tests.workspace import REPOSITORY

Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
Reader = Callable[[bytes, Path], Any]


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        seeds: good files.
        mutate: damages one.
        read: reads a file's content, in an empty folder where it may write.
    """

    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutation
    read: Reader


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _with_images(folder: Path) -> None:
    content = _picture()
    for number in range(1, 5):
        _file(folder, f"{number}.png", content)


@cache
def _picture() -> bytes:
    return seeds.picture()


@cache
def _mask() -> bytes:
    import io

    import numpy as np
    from PIL import Image

    labels = np.zeros((seeds.SIDE, seeds.SIDE), np.uint8)
    labels[2:9, 2:9], labels[12:18, 2:9] = 1, 2
    image = Image.fromarray(labels)
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _used(references: dict[str, list[tuple[Path, Any]]]) -> None:
    """Draw all annotations, as learning does."""
    for pairs in references.values():
        for _, annotation in pairs:
            annotation.draw(seeds.SIDE, seeds.SIDE)


def references(content: bytes, folder: Path) -> None:
    """A COCO or labelme file as references."""
    from prosam.exchange.references import read_references

    _with_images(folder)
    _used(read_references(_file(folder, "labels.json", content)))


def own_coco(content: bytes, folder: Path) -> None:
    """A COCO file as own data."""
    _with_images(folder / "images")
    _file(folder, "labels.json", content)
    _own(folder)


def _own(folder: Path) -> None:
    from prosam.data.sources.own import own_records

    own_records(folder, layout="auto", val_fraction=0.5, seed=0, crowd="class")


def _own_voc(name: str) -> Reader:
    def read(content: bytes, folder: Path) -> None:
        for number in range(1, 5):
            _file(folder, f"JPEGImages/{number}.png", _picture())
            _file(folder, f"SegmentationClass/{number}.png", _mask())
        if name != "labelmap.txt":
            _file(folder, "classes.txt", seeds.CLASSES)
        for split in ("train", "val") if "ImageSets" in name else ():
            _file(folder, f"ImageSets/Segmentation/{split}.txt", b"3\n4\n")
        _file(folder, name, content)
        _own(folder)

    return read


def voc_references(content: bytes, folder: Path) -> None:
    """A labelmap as references."""
    from prosam.exchange.references import read_references

    for number in range(1, 3):
        _file(folder, f"JPEGImages/{number}.png", _picture())
        _file(folder, f"SegmentationClass/{number}.png", _mask())
    _file(folder, "labelmap.txt", content)
    _used(read_references(folder))


def image(content: bytes, folder: Path) -> None:
    """An image, as a photo and as a mask of another one."""
    from prosam.data.formats.image_files import inspect_image, read_image
    from prosam.data.formats.label_maps import read_label_map
    from prosam.predictor.annotations import Mask

    path = _file(folder, "image.png", content)
    for read in (read_image, inspect_image, read_label_map, lambda p: Mask(p).draw(seeds.SIDE, seeds.SIDE)):
        try:
            read(path)
        except InputError:
            continue


def params(content: bytes, folder: Path) -> None:
    """params.yaml."""
    from prosam.params import load_params

    load_params(_file(folder, "params.yaml", content))


def concept(content: bytes, folder: Path) -> None:
    """A concept."""
    from prosam.predictor.concept import Concept

    Concept.load(_file(folder, "c.safetensors", content)).digest  # noqa: B018


def exported(content: bytes, folder: Path) -> None:
    """An exported model: its header, its run and its tensors."""
    from prosam.checkpoints.model_source import open_model
    from prosam.checkpoints.trained import read_run
    from prosam.checkpoints.weights import load_state

    files = open_model(_file(folder, "m.safetensors", content))
    read_run(files.description, files.name)
    load_state(files.weights)


def described_model(content: bytes, folder: Path) -> None:
    """model.json."""
    from prosam.checkpoints.frozen_search import find_frozen
    from prosam.checkpoints.model_source import open_model
    from prosam.checkpoints.trained import read_run

    _file(folder, "model.json", content)
    files = open_model(folder)
    read_run(files.description, files.name)
    find_frozen(files)


def vrp_sam(content: bytes, folder: Path) -> None:
    """A checkpoint of VRP-SAM."""
    from prosam.checkpoints.vrp_sam import convert_checkpoint

    convert_checkpoint(_file(folder, "best.pt", content), folder / "out")


def _archive(name: str) -> Reader:
    def read(content: bytes, folder: Path) -> None:
        from prosam.fetching.archives import extract

        extract(_file(folder, name, content), folder / "out")

    return read


@cache
def _page() -> Any:
    from starlette.testclient import TestClient

    from prosam import Predictor
    from prosam.demo.app import build_app

    headers = {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"}
    client = TestClient(
        build_app(Predictor.load("bundled:shapes", device="cpu", keep=2)), "http://127.0.0.1:7860", headers=headers
    )
    client.__enter__()
    sent = client.post("/api/images", params={"name": "a.png"}, content=seeds.picture())
    return client, sent.json()["id"]


class AnsweredError(Exception):
    """The page answered with an error of its own instead of a refusal."""


def _asked(path: str) -> Reader:
    def read(content: bytes, folder: Path) -> None:
        client, known = _page()
        answer = client.post(path, params={"name": "../../a<b>.png"}, content=content.replace(b"IMAGE", known.encode()))
        if answer.status_code >= 500:
            raise AnsweredError(answer.text)
        if answer.status_code >= 400:
            raise InputError(answer.json()["error"])

    return read


def question(more: dict[str, Any]) -> list[bytes]:
    """Questions with each kind of drawing."""
    import base64
    import json

    png = "data:image/png;base64," + base64.b64encode(seeds.picture("PNG", "RGBA")).decode()
    drawings = [
        {"kind": "point", "points": [[3, 4], [5, 6]]},
        {"kind": "box", "box": [1, 1, 9, 9]},
        {"kind": "mask", "png": png},
        {"kind": "scribble", "png": png},
    ]
    return [json.dumps({"reference": "IMAGE", "drawing": drawing, **more}).encode() for drawing in drawings]


@cache
def _service() -> Any:
    from prosam import Predictor
    from prosam.api.concepts import NamedConcepts
    from prosam.api.service import Service

    predictor = Predictor.load("bundled:shapes", device="cpu")
    return Service(predictor, NamedConcepts(None, predictor.checked))


def api_form(content: bytes, folder: Path) -> None:
    """A form that asks `prosam api` to segment an image."""
    from prosam.api.forms import parts_of_form
    from prosam.api.questions import segmentation_of

    (answer,) = _service().answers([segmentation_of(parts_of_form("multipart/form-data; boundary=part", content))])
    if isinstance(answer, Exception):
        raise answer


def _forms() -> list[bytes]:
    """Forms with each kind of annotation."""
    picture = seeds.picture()
    annotations = {"point": b"3,4", "box": b"1,1,9,9", "scribble": b"3,4 5,6", "mask": picture}
    return [
        b"".join(_field(name, content) for name, content in (("image", picture), ("reference", picture), drawn))
        + b"--part--\r\n"
        for drawn in annotations.items()
    ]


def _field(name: str, content: bytes) -> bytes:
    file = '; filename="a.png"' if content[1:4] == b"PNG" else ""
    return f'--part\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


def _descriptions() -> list[bytes]:
    import json

    from prosam.checkpoints.bundled import BUNDLED_MODELS
    from prosam.checkpoints.exported import read_exported_description

    return [json.dumps(read_exported_description(path)).encode() for path in BUNDLED_MODELS.values()]


def _exports() -> list[bytes]:
    return [
        seeds.tensors({"prosam_model": content.decode()}, {"queries.weight": (2, 3), "merge.weight": (3,)})
        for content in _descriptions()
    ]


TARGETS: dict[str, Target] = {
    "coco as references": Target(lambda: [seeds.coco()], mutated_json, references),
    "labelme": Target(lambda: [seeds.labelme()], mutated_json, references),
    "coco as own data": Target(lambda: [seeds.coco()], mutated_json, own_coco),
    "cvat labelmap": Target(lambda: [seeds.LABELMAP], mutated_lines, _own_voc("labelmap.txt")),
    "labelmap as references": Target(lambda: [seeds.LABELMAP], mutated_lines, voc_references),
    "classes.txt": Target(lambda: [seeds.CLASSES], mutated_lines, _own_voc("classes.txt")),
    "voc list": Target(lambda: [seeds.LIST], mutated_lines, _own_voc("ImageSets/Segmentation/train.txt")),
    "image": Target(seeds.images, mutated_bytes, image),
    "params.yaml": Target(lambda: [(REPOSITORY / "params.yaml").read_bytes()], mutated_lines, params),
    "concept": Target(lambda: [seeds.concept()], mutated_tensors, concept),
    "exported model": Target(_exports, mutated_tensors, exported),
    "model.json": Target(_descriptions, mutated_json, described_model),
    "vrp-sam": Target(seeds.vrp_sam, mutated_bytes, vrp_sam),
    "zip": Target(seeds.zips, mutated_bytes, _archive("a.zip")),
    "tar": Target(lambda: seeds.tars("w"), mutated_bytes, _archive("a.tar")),
    "tar.gz": Target(lambda: seeds.tars("w:gz"), mutated_bytes, _archive("a.tar.gz")),
    "api: form": Target(_forms, mutated_bytes, api_form),
    "page: image": Target(lambda: [i for i in seeds.images() if i[:2] != b"II"], mutated_bytes, _asked("/api/images")),
    "page: question": Target(lambda: question({"target": "IMAGE"}), mutated_json, _asked("/api/segment")),
    "page: zip": Target(
        lambda: question({"targets": ["IMAGE"], "threshold": 0.5}), mutated_json, _asked("/api/download")
    ),
}
