"""Which object a study is made on."""

from __future__ import annotations

from pathlib import Path

import pytest

from prosam import layout
from prosam.data.folds import ClassImages
from prosam.data.formats.voc import VocDataset
from prosam.errors import InputError
from prosam.studies.verification.target import pick_target
from tests.conftest import DATASET


@pytest.fixture
def dataset(prepared_workspace: Path) -> VocDataset:
    return VocDataset(prepared_workspace / layout.raw(DATASET))


@pytest.fixture
def images(dataset: VocDataset) -> ClassImages:
    shown = {image: dataset.class_areas(image) for image in dataset.image_ids("val")}
    return {class_id: [image for image, areas in shown.items() if class_id in areas] for class_id in (1, 3)}


def test_only_objects_that_cover_enough_are_drawn_and_all_of_those(dataset: VocDataset, images: ClassImages):
    shares = {
        (image, class_id): dataset.class_areas(image)[class_id] / 128**2
        for class_id in images
        for image in images[class_id]
    }
    least = sorted(shares.values())[len(shares) // 2]
    drawn = [pick_target(dataset, images, min_share=least, seed=seed) for seed in range(200)]
    assert {(t.image, t.class_id) for t in drawn} == {pair for pair, share in shares.items() if share >= least}
    assert all(t.share == shares[t.image, t.class_id] for t in drawn)
    assert drawn[:5] == [pick_target(dataset, images, min_share=least, seed=seed) for seed in range(5)]


def test_no_object_that_covers_enough_is_one_line_that_names_the_key(dataset: VocDataset, images: ClassImages):
    with pytest.raises(InputError, match=r"^verification.min_share: none of \d+ objects covers 1 of its image"):
        pick_target(dataset, images, min_share=1.0, seed=0)
