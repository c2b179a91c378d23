"""Measuring masks at the photos' own resolution, on a folder of generated pictures in COCO's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prosam.pretraining.photos.edges import edges
from prosam.pretraining.photos.folder import Photos
from prosam.pretraining.photos.whole_masks import draw_whole_masks
from tests.pretraining.test_photos import folder, photos

__all__ = ["folder", "photos"]


def test_episodes_show_a_category_of_both_splits_at_the_photos_own_size(photos: Photos):
    train, val = photos.splits["train"], photos.splits["val"]
    drawn = draw_whole_masks(train, val, 40, seed=3)
    assert len({episode.class_id for episode in drawn}) > 3
    for episode in drawn:
        assert episode.reference in train
        assert episode.target in val
        for photo, mask in (
            (episode.reference, episode.reference_mask),
            (episode.target, episode.target_mask),
        ):
            shown = [
                outline
                for annotation, outline in zip(photo.image.annotations, photo.masks(), strict=True)
                if annotation.class_id == episode.class_id
            ]
            assert np.array_equal(mask, np.any(shown, 0))
            assert mask.mean() >= 0.01
    again, other = (draw_whole_masks(train, val, 40, seed=seed) for seed in (3, 4))
    assert [(e.class_id, e.target.path) for e in again] == [(e.class_id, e.target.path) for e in drawn]
    assert [(e.class_id, e.target.path) for e in other] != [(e.class_id, e.target.path) for e in drawn]


def test_the_command_prints_both_kinds_of_masks_and_the_gain(folder: Path, capsys: pytest.CaptureFixture[str]):
    edges(folder, "bundled:shapes", episodes=3, seed=0, timed=False)
    printed = capsys.readouterr().out
    figures = dict(line.split(": ", 1) for line in printed.splitlines() if ": " in line)
    plain, refined, gain = figures["plain"], figures["refined"], figures["gain in boundary F at 0.75 %"]
    assert plain.startswith("mIoU")
    before, after = (float(line.split("boundary F ")[1].split()[0]) for line in (plain, refined))
    assert float(gain.split(",")[0]) == pytest.approx(after - before, abs=0.0021)  # rounded to 0.001
