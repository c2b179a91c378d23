"""Careless annotations of the reference."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prosam.data.annotations import AnnotationRow, Annotations, write_annotations
from prosam.data.drawing import draw_box
from prosam.features.episode_tensors import EpisodeTensors
from prosam.features.reference_masks import DrawnMasks, GridRule
from prosam.params import AnnotationKind
from prosam.params.studies import AnnotationNoiseParams
from prosam.studies.annotation_noise import rows as annotation_noise
from prosam.studies.study import Subject
from tasks.inputs import RunInputs
from tests.studies.conftest import assert_batch_does_not_matter, counts, evaluated

FEW = AnnotationNoiseParams(shift=(0.5,), erode=(0.25, 0.5), dilate=(0.5,), wrong=True)


def given_annotations(
    subject: Subject, settings: AnnotationNoiseParams, monkeypatch: pytest.MonkeyPatch
) -> list[list[NDArray[np.bool_]]]:
    """What the study hands to the tensors: for each change a list over all episodes."""
    given: list[list[NDArray[np.bool_]]] = []
    real = EpisodeTensors.masked_references

    def overhear(self: EpisodeTensors, images: Any, masks: Any) -> Any:
        given.append([mask.mask.numpy() for mask in masks])
        return real(self, images, masks)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeTensors, "masked_references", overhear)
        list(annotation_noise.rows(replace(subject, batch=len(subject.episodes)), settings))
    return given


def of_kind(subject: Subject, inputs: RunInputs, kind: AnnotationKind, folder: Path) -> Subject:
    """The same, with the val split's objects annotated so; points are the object's first pixel."""
    rows = []
    for image in inputs.dataset.image_ids("val"):
        for class_id in inputs.dataset.class_areas(image):
            mask = inputs.dataset.mask(image, class_id)
            point = np.arange(mask.size).reshape(mask.shape) == np.flatnonzero(mask)[0]
            rows.append(AnnotationRow.of(draw_box(mask) if kind == "box" else point, image, class_id, 0))
    write_annotations(folder / "test.parquet", rows)
    annotations = Annotations(folder / "test.parquet")
    masks = DrawnMasks(annotations, kind, GridRule.of(inputs.models, "covered"))
    return replace(subject, tensors=inputs.tensors(masks), masks=masks)


def test_the_annotation_as_it_is_gives_the_evaluation(subject: Subject):
    rows = [row for row in annotation_noise.rows(subject, FEW) if row["change"] == "none"]
    assert [counts(row) for row in rows] == evaluated(subject)


def test_masks_are_moved_shrunk_and_grown(subject: Subject, monkeypatch: pytest.MonkeyPatch):
    shift, less, least, more, _ = given_annotations(subject, FEW, monkeypatch)
    for i, episode in enumerate(subject.episodes):
        mask = subject.dataset.mask(episode.reference, episode.class_id)
        assert not np.array_equal(shift[i], mask)
        assert shift[i].sum() <= mask.sum()
        assert 0 < least[i].sum() < less[i].sum() < mask.sum() < more[i].sum()
        assert not (less[i] & ~mask).any()
        assert not (least[i] & ~less[i]).any()
        assert not (mask & ~more[i]).any()


def test_a_shift_goes_as_far_as_it_says_in_a_direction_of_the_episodes_own(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
):
    """By the centre of mass, where nothing was cut off."""
    near, far = given_annotations(
        subject, AnnotationNoiseParams(shift=(0.25, 0.5), erode=(), dilate=(), wrong=False), monkeypatch
    )
    seen = 0
    for i, episode in enumerate(subject.episodes):
        mask = subject.dataset.mask(episode.reference, episode.class_id)
        if far[i].sum() < mask.sum() or near[i].sum() < mask.sum():
            continue
        seen += 1
        steps = [np.argwhere(moved).mean(0) - np.argwhere(mask).mean(0) for moved in (near[i], far[i])]
        for step, share in zip(steps, (0.25, 0.5), strict=True):
            assert np.hypot(*step) == pytest.approx(share * np.sqrt(mask.sum()), abs=0.71)  # rounded on both axes
        assert np.dot(*steps) > 0.9 * np.linalg.norm(steps[0]) * np.linalg.norm(steps[1])
    assert seen >= 2


def test_the_wrong_object_is_another_class_of_the_reference_and_left_out_where_there_is_none(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
):
    settings = AnnotationNoiseParams(shift=(), erode=(), dilate=(), wrong=True)
    (wrong,) = given_annotations(subject, settings, monkeypatch)
    rows = list(annotation_noise.rows(subject, settings))
    flagged = {row["episode"] for row in rows if row["change"] == "wrong"}
    for i, episode in enumerate(subject.episodes):
        others = [c for c in subject.masks.annotations.classes(episode.reference) if c != episode.class_id]
        assert (i in flagged) == bool(others)
        drawn = [c for c in others if np.array_equal(wrong[i], subject.dataset.mask(episode.reference, c))]
        assert len(drawn) == bool(others)
    assert flagged


def test_a_box_is_drawn_anew_around_the_changed_mask(
    subject: Subject, inputs: RunInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    boxed = of_kind(subject, inputs, "box", tmp_path)
    masks = given_annotations(subject, FEW, monkeypatch)
    boxes = given_annotations(boxed, FEW, monkeypatch)
    assert len(boxes) == len(masks) == 5
    for of_masks, of_boxes in zip(masks, boxes, strict=True):
        for mask, box in zip(of_masks, of_boxes, strict=True):
            assert np.array_equal(box, draw_box(mask))


def test_points_are_shifted_and_have_no_outline_to_move(
    subject: Subject, inputs: RunInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pointed = of_kind(subject, inputs, "point", tmp_path)
    assert {row["change"] for row in annotation_noise.rows(pointed, FEW)} == {"none", "shift", "wrong"}
    shift, _ = given_annotations(pointed, FEW, monkeypatch)
    assert [drawn.sum() for drawn in shift] == [1] * 6


def test_the_batch_does_not_matter(subject: Subject):
    assert_batch_does_not_matter(subject, lambda s: list(annotation_noise.rows(s, FEW)))


def test_given_annotations_are_those_of_the_table_when_they_are_the_same(subject: Subject, prepared_workspace: Path):
    from prosam.features.pairs import AnnotatedReference

    tensors, episodes = subject.tensors, subject.episodes
    drawn = [subject.masks.annotations.get(e.reference, e.class_id) for e in episodes]
    with contextlib.chdir(prepared_workspace):
        read = tensors.references([AnnotatedReference(e.reference, e.class_id) for e in episodes])
        given = tensors.masked_references([e.reference for e in episodes], [subject.masks.on_grid(d) for d in drawn])
    for name, value in vars(read).items():
        assert all(bool((a == b).all()) for a, b in zip(value, getattr(given, name), strict=True)), name
