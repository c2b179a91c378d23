"""Several references for one target."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from prosam.features.pairs import AnnotatedReference
from prosam.params.studies import ReferencesParams
from prosam.studies.references import rows as references
from prosam.studies.study import StudyRow, Subject
from tests.studies.conftest import assert_batch_does_not_matter, counts, evaluated

THREE = ReferencesParams(counts=(1, 3), choices=3)


def chosen(rows: list[StudyRow], merge: str, k: int, choice: int = 0) -> list[StudyRow]:
    return [row for row in rows if (row["merge"], row["k"], row["choice"]) == (merge, k, choice)]


def lists(subject: Subject, length: int, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The references that the study takes for each episode, in order."""
    asked: list[list[str]] = []
    real = type(subject.tensors).references

    def overhear(self: object, wanted: list[AnnotatedReference]):
        asked.append([reference.image for reference in wanted])
        return real(subject.tensors, wanted)

    whole = replace(subject, batch=len(subject.episodes))
    with monkeypatch.context() as patch:
        patch.setattr(type(subject.tensors), "references", overhear)
        list(references.rows(whole, ReferencesParams(counts=(1,), choices=length)))
    return [list(of_episode) for of_episode in zip(*asked, strict=True)]


def test_one_reference_is_the_evaluation_however_merged(subject: Subject):
    rows = list(references.rows(subject, THREE))
    for merge in ("single", "concatenated", "averaged"):
        assert [counts(row) for row in chosen(rows, merge, 1)] == evaluated(subject), merge


def test_references_are_other_images_of_the_class_and_start_with_the_episodes_own(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
):
    for images, episode in zip(lists(subject, 3, monkeypatch), subject.episodes, strict=True):
        assert images[0] == episode.reference
        assert len(set(images)) == 3
        assert episode.target not in images
        assert all(subject.dataset.mask(image, episode.class_id).any() for image in images)


def test_further_choices_do_not_change_the_first_ones(subject: Subject, monkeypatch: pytest.MonkeyPatch):
    few, more = lists(subject, 2, monkeypatch), lists(subject, 4, monkeypatch)
    assert [images[:2] for images in more] == few


def test_prompts_are_put_together_by_hand(subject: Subject, monkeypatch: pytest.MonkeyPatch):
    rows = list(references.rows(subject, THREE))
    images = lists(subject, 3, monkeypatch)
    for i, episode in enumerate(subject.episodes):
        targets = subject.tensors.targets([episode.target])
        prompts = []
        with torch.no_grad():
            for image in images[i]:
                concept = subject.method.learn(
                    subject.tensors.references([AnnotatedReference(image, episode.class_id)])
                )
                prompts.append(subject.method.prompts(concept, targets).mean)
            sets = {
                ("concatenated", 0): torch.cat(prompts, 1),
                ("averaged", 0): (prompts[0] + prompts[1] + prompts[2]) / 3,
                ("single", 1): prompts[1],
                ("single", 2): prompts[2],
            }
            for (merge, choice), tokens in sets.items():
                logits = subject.method.decode(targets, tokens[:, None])[0]
                truth = subject.dataset.mask(episode.target, episode.class_id)
                void = subject.dataset.void(episode.target, episode.class_id)
                full = torch.nn.functional.interpolate(logits[None], truth.shape, mode="bilinear")[0, 0].numpy() > 0
                (row,) = [r for r in chosen(rows, merge, 1 if merge == "single" else 3, choice) if r["episode"] == i]
                assert abs(int(row["intersection"]) - int((full & truth & ~void).sum())) <= 2
                assert abs(int(row["union"]) - int(((full | truth) & ~void).sum())) <= 2


def test_where_a_class_has_too_few_images_rows_are_left_out(subject: Subject):
    pools = {e.class_id: len(subject.masks.annotations.images(e.class_id)) for e in subject.episodes}
    rows = list(references.rows(subject, ReferencesParams(counts=(1, 50), choices=50)))
    for number, episode in enumerate(subject.episodes):
        there = pools[episode.class_id] - 1  # all but the target
        of_episode = [row for row in rows if row["episode"] == number]
        assert [row["choice"] for row in of_episode if row["merge"] == "single"] == list(range(there))
        assert {row["k"] for row in of_episode} == {1}


def test_the_batch_does_not_matter(subject: Subject):
    assert_batch_does_not_matter(subject, lambda s: list(references.rows(s, THREE)))
