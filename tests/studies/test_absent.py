"""Targets that do not show the kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from prosam.data.dataset import Dataset
from prosam.errors import InputError
from prosam.evaluation.evaluate import evaluate_episodes
from prosam.evaluation.presence import presence
from prosam.features.pairs import AnnotatedReference
from prosam.params.studies import AbsentParams
from prosam.studies.absent import rows as absent
from prosam.studies.study import StudyRow, Subject
from tests.studies.conftest import assert_batch_does_not_matter

TWO = AbsentParams(targets=2)


@pytest.fixture
def rows(subject: Subject) -> list[StudyRow]:
    return list(absent.rows(subject, TWO))


def test_each_episode_has_its_own_target_and_others_without_a_pixel_of_the_class(
    subject: Subject, rows: list[StudyRow]
):
    val = subject.dataset.image_ids("val")
    for number, episode in enumerate(subject.episodes):
        true, *others = [row for row in rows if row["episode"] == number]
        assert (true["image"], true["present"]) == (episode.target, True)
        assert len({row["image"] for row in others}) == 2
        for row in others:
            assert not row["present"]
            assert row["image"] in val
            assert not subject.dataset.mask(str(row["image"]), episode.class_id).any()
            assert row["false_area"] == row["area"]


def test_shares_are_those_of_the_evaluations_prediction(subject: Subject, rows: list[StudyRow]):
    outcomes = evaluate_episodes({"run": subject.method}, subject.tensors, subject.episodes, subject.batch)
    for (episode, found), row in zip(outcomes, [row for row in rows if row["present"]], strict=True):
        truth = subject.dataset.mask(episode.target, episode.class_id)
        valid = ~subject.dataset.void(episode.target, episode.class_id)
        claimed = found["run"].prediction
        assert row["area"] == pytest.approx(claimed[valid].mean())
        assert row["false_area"] == pytest.approx((claimed & ~truth)[valid].mean())


def test_presence_is_the_largest_cosine_of_a_place_in_the_target_and_one_under_the_annotation(
    subject: Subject, rows: list[StudyRow]
):
    for number, episode in enumerate(subject.episodes):
        references = subject.tensors.references([AnnotatedReference(episode.reference, episode.class_id)])
        of_reference = references.foreground[0].T.numpy()
        for row in (row for row in rows if row["episode"] == number):
            of_target = subject.tensors.targets([str(row["image"])]).level4[0].flatten(1).T.numpy()
            best = max(
                float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-7)) for a in of_reference for b in of_target
            )
            assert row["presence"] == pytest.approx(best, abs=1e-4)


def test_the_reference_itself_is_sure_to_show_what_is_annotated_in_it(subject: Subject):
    """Its level 4 under the annotation alone is found again, where the whole annotated image is the target."""
    level4 = torch.rand(1, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    assert presence([level4[0].flatten(1)[:, 3:5]], level4).item() == pytest.approx(1, abs=1e-5)
    other = torch.zeros_like(level4)
    assert presence([level4[0].flatten(1)[:, 3:5]], other).item() == 0


def test_the_batch_does_not_matter(subject: Subject):
    assert_batch_does_not_matter(subject, lambda s: list(absent.rows(s, TWO)))


def test_fewer_images_than_wanted_are_taken_again(subject: Subject):
    class_id = subject.episodes[0].class_id
    images = [i for i in subject.dataset.image_ids("val") if not subject.dataset.mask(i, class_id).any()]
    many = AbsentParams(targets=len(images) + 1)
    first = [row for row in absent.rows(replace(subject, episodes=subject.episodes[:1]), many) if not row["present"]]
    assert sorted({str(row["image"]) for row in first}) == sorted(images)
    assert len(first) == len(images) + 1


def test_a_class_that_every_image_shows_is_an_error(subject: Subject, monkeypatch: pytest.MonkeyPatch):
    every = {1: 5, 2: 5, 3: 5, 4: 5}
    monkeypatch.setattr(type(subject.dataset), "class_areas", lambda self, image: every)
    with pytest.raises(InputError, match=r"every image of the split val shows '[abcd]'"):
        list(absent.rows(subject, TWO))


@pytest.fixture
def voids(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, int], slice]:
    """Rows of images that are void for a class, by image and class; to be filled."""
    found: dict[tuple[str, int], slice] = {}

    def void(self: Dataset, image_id: str, class_id: int) -> np.ndarray:
        region = np.zeros(self.mask(image_id, class_id).shape, bool)
        region[found.get((image_id, class_id), slice(0))] = True
        return region

    monkeypatch.setattr(type(subject.dataset), "void", void)
    return found


def taken(subject: Subject) -> list[str]:
    """The images without the class, of the first episode."""
    only = replace(subject, episodes=subject.episodes[:1])
    return [str(row["image"]) for row in absent.rows(only, AbsentParams(targets=1)) if not row["present"]]


def test_an_image_with_a_crowd_of_the_class_does_not_count_as_without_it(subject: Subject, voids):
    """A crowd that is void is of its class alone."""
    class_id, usual = subject.episodes[0].class_id, taken(subject)
    voids[usual[0], class_id] = slice(0, 5)
    voids[usual[0], class_id % 4 + 1] = slice(0, 2)  # a smaller one of another class within it
    assert set(taken(subject)).isdisjoint(usual)


def test_what_is_void_for_all_classes_hides_none(subject: Subject, voids):
    usual = taken(subject)
    voids |= {(usual[0], class_id): slice(0, 5) for class_id in range(1, 5)}
    assert taken(subject) == usual


def test_a_crowd_of_another_class_hides_none(subject: Subject, voids):
    usual = taken(subject)
    voids[usual[0], subject.episodes[0].class_id % 4 + 1] = slice(0, 5)
    assert taken(subject) == usual
