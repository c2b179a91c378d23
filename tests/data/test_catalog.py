"""Sources of data sets: the example in the docstring of prosam/data/catalog/source.py works as it stands there."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path, PurePosixPath
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prosam.data.catalog import source as module
from prosam.data.catalog.source import FolderImages, FolderSource, source_of
from prosam.data.formats.image_files import inspect_image, read_image
from prosam.data.formats.masks import encode
from prosam.data.formats.records import ImageRecord
from prosam.data.open import open_dataset
from prosam.params import SOURCE_NAMES, OwnDownload


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six photos of cats and six of dogs, each with its mask under the same name."""
    for class_number, name in enumerate(("cat", "dog")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            mask = np.zeros((20, 30), np.uint8)
            mask[2 + number : 12, 5 : 10 + class_number] = 255
            place = tmp_path / "photos" / name / f"{number}.jpg"
            Image.fromarray(np.full((20, 30, 3), 40 * number, np.uint8)).save(place)
            Image.fromarray(mask).save(place.with_suffix(".png"))
    return tmp_path / "photos"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that the docstring shows, under its name."""
    shown = (module.__doc__ or "").split("the module is\n")[1].split("\nwith `inspect_image`")[0]
    made: Any = ModuleType("prosam.data.catalog.classes")
    made.__dict__.update(
        FolderImages=FolderImages,
        FolderSource=FolderSource,
        ClassesDownload=SimpleNamespace,
        PurePosixPath=PurePosixPath,
        ImageRecord=ImageRecord,
        encode=encode,
        inspect_image=inspect_image,
        read_image=read_image,
    )
    exec(textwrap.dedent(shown), made.__dict__)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


@pytest.mark.usefixtures("example")
def test_a_module_as_the_docstring_shows_it_is_a_data_set(photos: Path, tmp_path: Path):
    settings, source, folder = SimpleNamespace(folder=photos), source_of("classes"), tmp_path / "out"
    folder.mkdir()
    source.write(folder, "mine", settings)
    dataset = open_dataset(folder)
    assert dataset.classes == ("cat", "dog")
    assert (len(dataset.image_ids("train")), len(dataset.image_ids("val"))) == (8, 4)
    expected = source.expected("mine", settings)
    assert (expected.train, expected.total) == (8, 12)
    assert source.bytes_written("mine", settings) == sum(path.stat().st_size for path in photos.rglob("*.jpg"))
    for class_id, name in enumerate(dataset.classes, start=1):
        for number in range(6):
            truth = np.asarray(Image.open(photos / name / f"{number}.png")) > 0
            assert np.array_equal(dataset.mask(f"{name}-{number}", class_id), truth)
            assert not dataset.mask(f"{name}-{number}", 3 - class_id).any()


def test_every_source_that_params_can_name_has_a_module():
    benchmarks = {"fss", "perseg", "davis", "isic", "lungs", "deepglobe"}
    excerpts_and_parts = {"coco128", "lvis", "pascal_part", "paco_part"}
    assert set(SOURCE_NAMES) == {"shapes", "pascal", "coco", "own", *benchmarks, *excerpts_and_parts}
    for name in SOURCE_NAMES:
        assert source_of(name).archives.__doc__


def test_an_image_with_its_mask_beside_it_is_one_image_to_the_plan(photos: Path):
    own = OwnDownload(source="own", folder=photos, val_fraction=0.25)
    expected = source_of("own").expected("mine", own)
    assert (expected.train, expected.total) == (9, 12)
