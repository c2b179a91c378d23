"""CVAT's export *Segmentation mask 1.1* as references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam.errors import InputError
from prosam.exchange.references import read_references

LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\ndog:51,221,255::\n"


def cvat_export(root: Path) -> dict[str, np.ndarray]:
    """The folder as CVAT writes it; (H, W) label numbers by image."""
    colours = np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)], np.uint8)
    for folder in ("JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    (root / "labelmap.txt").write_text(LABELMAP)
    labels = {}
    for number, name in enumerate(("one", "two")):
        labels[name] = np.random.default_rng(number).integers(0, 3 - number, (9, 14))
        Image.fromarray(colours[labels[name]]).save(root / "SegmentationClass" / f"{name}.png")
        Image.fromarray(colours[labels[name]]).save(root / "SegmentationObject" / f"{name}.png")
        Image.new("RGB", (14, 9)).save(root / "JPEGImages" / f"{name}.jpg")
    (root / "ImageSets" / "Segmentation" / "default.txt").write_text("one\ntwo\n")
    return labels


def test_masks_exported_by_cvat_are_references(tmp_path: Path):
    labels = cvat_export(tmp_path)
    references = read_references(tmp_path)
    assert {label: [image.name for image, _ in found] for label, found in references.items()} == {
        "cat": ["one.jpg", "two.jpg"],
        "dog": ["one.jpg"],
    }
    for number, label in ((1, "cat"), (2, "dog")):
        for image, annotation in references[label]:
            assert np.array_equal(annotation.draw(9, 14), labels[image.stem] == number)


def test_an_export_without_images_is_one_line(tmp_path: Path):
    cvat_export(tmp_path)
    (tmp_path / "JPEGImages" / "two.jpg").unlink()
    with pytest.raises(InputError, match=r"two\.jpg: not found"):
        read_references(tmp_path)
