"""A few rounds of the campaign that `make chaos` runs, of the kinds that take fractions of a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.chaos.campaign import Kind, run_campaign, table
from tests.chaos.damage import WAYS, damage, damaged
from tests.chaos.readers import FAMILIES, digest_of
from tests.chaos.rounds import Generator, Outcome, Site
from tests.chaos.together import fetch_twice

_OF_WHOLE = ("results", "model in use")  # take an evaluation
_SLOW = ("kept embeddings", "journal", "checkpoint")  # compute again what is damaged


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, prepared_workspace: Path) -> Site:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PROSAM_SCRATCH", raising=False)
        made = Site(tmp_path_factory.mktemp("chaos"), prepared_workspace, whole=False)
        assert made.workshop.is_dir()
        return made


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in (*_OF_WHOLE, *_SLOW)])
def test_damage_is_noticed_by_name_or_changes_nothing(site: Site, name: str):
    for number, way in enumerate(WAYS):
        outcome = damage(site, np.random.default_rng([len(name), number]), name, way)
        assert outcome.fault is None, outcome


def test_of_two_fetches_one_waits_for_the_other(site: Site):
    outcome = fetch_twice(site, np.random.default_rng(0))
    assert outcome.fault is None, outcome


def test_a_changed_bit_a_cut_and_a_block_of_zeros_are_what_they_are_called():
    content, rng = bytes(range(1, 256)) * 20, np.random.default_rng(0)
    bit, cut, zeros = (damaged(content, way, rng) for way in ("bit", "cut", "zeros"))
    assert bit is not None
    assert cut is not None
    assert zeros is not None
    assert sum((one ^ other).bit_count() for one, other in zip(bit, content, strict=True)) == 1
    assert content.startswith(cut)
    assert len(cut) < len(content) == len(zeros)
    assert zeros.count(0) == 512
    assert damaged(content, "gone", rng) is None


def test_equal_values_have_equal_digests_and_others_do_not():
    values = [np.arange(3), np.arange(3.0), [0, 1, 2], {"a": 1}, {"a": 2}, "a", b"a", None]
    assert len({digest_of(value) for value in values}) == len(values)
    assert digest_of({"a": [np.arange(3)]}) == digest_of({"a": [np.arange(3)]})


class KilledError(Exception):
    pass


def test_a_killed_campaign_goes_on_with_the_same_rounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    done: list[float] = []

    def run(site: Site, rng: Generator) -> Outcome:
        drawn = float(rng.random())
        if len(done) == 3:
            done.append(-1)
            raise KeyboardInterrupt
        done.append(drawn)
        return Outcome(f"drew {drawn}", fault="bad" if len(done) == 2 else None)

    kinds, state = {"one": Kind(run, 1), "other": Kind(run, 2)}, tmp_path / "state.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_campaign(kinds, Site(tmp_path), 7, 6, state)
    with state.open("a") as file:
        file.write('{"number": 3, "ki')  # as a kill in the middle of a line leaves it
    records = run_campaign(kinds, Site(tmp_path), 7, 6, state)
    assert "3 of 6 rounds are done from an earlier start" in capsys.readouterr().out
    assert [record.number for record in records] == list(range(6))
    assert [record.fault for record in records] == [None, "bad", None, None, None, None]
    again = run_campaign(kinds, Site(tmp_path), 7, 6, tmp_path / "other.jsonl")
    assert [record.did for record in again] == [record.did for record in records]
    assert table(records).splitlines()[0].split() == ["kind", "rounds", "noticed", "same", "faults", "seconds"]
