"""Frozen episodes and the training's batches."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prosam.data.episodes import Episode, draw_episodes, freeze_episodes, read_episodes, write_episodes
from prosam.data.sampling import TrainingSampler
from prosam.errors import InputError

ORDER = [f"i{n}" for n in (5, 3, 9, 1, 7, 0, 2, 8, 4, 6)]
IMAGES = {3: ["i5", "i3", "i9", "i1"], 4: ["i3", "i7", "i0"], 8: ["i2", "i8"]}


def frozen(count: int = 300, **changes) -> list[Episode]:
    arguments = {"targets": "in-order", "seed": 0, "fold": 0, "purpose": "test"} | changes
    return draw_episodes(IMAGES, ORDER, count, **arguments)


@pytest.mark.parametrize("targets", ["in-order", "uniform-class"])
def test_reference_and_target_are_two_images_of_the_class(targets: str):
    for episode in frozen(targets=targets):
        assert episode.reference != episode.target
        assert {episode.reference, episode.target} <= set(IMAGES[episode.class_id])


def test_targets_go_round_in_list_order():
    expected = ["i5", "i3", "i9", "i1", "i7", "i0", "i2", "i8"]  # i4 and i6 show no class
    assert [episode.target for episode in frozen(20)] == (expected * 3)[:20]


def test_class_and_reference_are_uniform():
    episodes = [episode for episode in frozen(8000) if episode.target == "i3"]
    classes = Counter(episode.class_id for episode in episodes)
    assert set(classes) == {3, 4}
    assert abs(classes[3] - 500) < 80  # five standard deviations of a fair coin thrown 1000 times
    references = Counter(episode.reference for episode in episodes if episode.class_id == 3)
    assert set(references) == {"i5", "i9", "i1"}
    assert max(references.values()) < 1.4 * min(references.values())


def test_with_uniform_classes_the_rare_are_drawn_as_often_and_images_of_a_class_alike():
    episodes = frozen(9000, targets="uniform-class")
    classes = Counter(episode.class_id for episode in episodes)
    assert all(abs(classes[class_id] - 3000) < 225 for class_id in IMAGES)  # five standard deviations
    targets = Counter(episode.target for episode in episodes if episode.class_id == 3)
    assert set(targets) == set(IMAGES[3])
    assert max(targets.values()) < 1.25 * min(targets.values())
    assert episodes[:37] == frozen(37, targets="uniform-class")


def test_classes_come_in_turn_and_their_images_alike():
    episodes = frozen(9000, targets="class-in-turn")
    assert [episode.class_id for episode in episodes] == [3, 4, 8] * 3000
    assert all({e.reference, e.target} <= set(IMAGES[e.class_id]) and e.reference != e.target for e in episodes)
    targets = Counter(episode.target for episode in episodes if episode.class_id == 3)
    assert set(targets) == set(IMAGES[3])
    assert max(targets.values()) < 1.25 * min(targets.values())


def test_every_image_that_shows_a_class_is_a_target_once_however_many_are_asked_for():
    arguments: Any = {"targets": "each-once", "seed": 0, "fold": 0, "purpose": "test"}
    for count in (1, 600):
        episodes = freeze_episodes(IMAGES, ORDER, count, **arguments)
        assert [episode.target for episode in episodes] == ["i5", "i3", "i9", "i1", "i7", "i0", "i2", "i8"]


def test_a_longer_list_starts_with_the_shorter():
    assert frozen(200)[:37] == frozen(37)


@pytest.mark.parametrize("change", [{"seed": 1}, {"fold": 1}, {"purpose": "monitor"}, {"purpose": "shift"}])
def test_lists_of_other_seeds_folds_and_purposes_differ(change: dict):
    assert frozen() == frozen()
    assert frozen(**change) != frozen()


@pytest.mark.parametrize("targets", ["in-order", "uniform-class"])
def test_where_there_are_no_more_episodes_than_asked_for_each_comes_once(targets: Any):
    arguments: Any = {"targets": targets, "seed": 0, "fold": 0, "purpose": "test"}
    possible = {(r, t, c) for c, ids in IMAGES.items() for r, t in permutations(ids, 2)}
    assert len(possible) == 4 * 3 + 3 * 2 + 2 * 1
    frozen = freeze_episodes(IMAGES, ORDER, 20, **arguments)
    assert sorted((e.reference, e.target, e.class_id) for e in frozen) == sorted(possible)
    assert freeze_episodes(IMAGES, ORDER, 600, **arguments) == frozen
    assert freeze_episodes(IMAGES, ORDER, 19, **arguments) == draw_episodes(IMAGES, ORDER, 19, **arguments)


def test_episodes_read_as_they_were_written(tmp_path: Path):
    write_episodes(tmp_path / "episodes.csv", frozen())
    assert read_episodes(tmp_path / "episodes.csv") == frozen()
    assert (tmp_path / "episodes.csv").read_text().startswith("reference,target,class_id\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1"),
        ("target,reference,class_id\nb,a,1\n", "line 1"),
        ("reference,target,class_id\n", "lists no episodes"),
        ("reference,target,class_id\na,b,1\na,b\n", "line 3"),
        ("reference,target,class_id\na,a,1\n", "line 2"),
        ("reference,target,class_id\na,b,cat\n", "line 2"),
        ("reference,target,class_id\na,b,0\n", "line 2"),
    ],
)
def test_a_damaged_list_names_file_and_line(content: str, message: str, tmp_path: Path):
    path = tmp_path / "episodes-0.csv"
    with pytest.raises(InputError, match="not found"):
        read_episodes(path)
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_episodes(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def sampler(sampling, *, seed: int = 0, batch_size: int = 16, variants: int = 5) -> TrainingSampler:
    return TrainingSampler(IMAGES, batch_size=batch_size, seed=seed, sampling=sampling, variants=variants)


@pytest.mark.parametrize("sampling", ["class", "image"])
def test_a_batch_follows_from_seed_and_step_alone(sampling: str):
    in_order = sampler(sampling)
    batches = [in_order.batch(step) for step in range(20)]
    shuffled = sampler(sampling)
    for step in np.random.default_rng(0).permutation(20):
        assert shuffled.batch(int(step)) == batches[step]
        assert len(batches[step]) == 16
    assert batches[0] != batches[1]
    assert sampler(sampling, seed=1).batch(0) != batches[0]


@pytest.mark.parametrize("sampling", ["class", "image"])
def test_training_episodes_are_pairs_of_the_class_with_any_variant(sampling: str):
    episodes = [episode for step in range(20) for episode in sampler(sampling).batch(step)]
    assert all(e.reference != e.target and {e.reference, e.target} <= set(IMAGES[e.class_id]) for e in episodes)
    assert {episode.variant for episode in episodes} == {0, 1, 2, 3, 4}
    assert {episode.variant for episode in sampler(sampling, variants=1).batch(0)} == {0}


def test_sampling_by_class_is_uniform_over_classes_then_pairs():
    episodes = [episode for step in range(400) for episode in sampler("class").batch(step)]  # 6400
    classes = Counter(episode.class_id for episode in episodes)
    assert all(abs(classes[class_id] / 6400 - 1 / 3) < 0.03 for class_id in IMAGES)
    pairs = Counter((e.reference, e.target) for e in episodes if e.class_id == 4)
    assert len(pairs) == 6
    assert all(abs(count / classes[4] - 1 / 6) < 0.045 for count in pairs.values())


def test_sampling_by_image_takes_each_image_once_an_epoch_in_new_order():
    draw = sampler("image", batch_size=4)  # eight images: two batches an epoch
    epochs = [[e.target for step in (2 * i, 2 * i + 1) for e in draw.batch(step)] for i in range(6)]
    everything = sorted({image for images in IMAGES.values() for image in images})
    assert all(sorted(targets) == everything for targets in epochs)
    assert len({tuple(targets) for targets in epochs}) == 6
