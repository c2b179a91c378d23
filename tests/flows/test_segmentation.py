"""`prosam/segment`: shards as task runs, attempts after a failure, progress, and what a failure leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from flows import fleet
from flows.fleet import Fleet
from flows.segmentation import segment_images
from flows.stage_log import artifact_key
from flows.stage_processes import StageProcesses
from tests.flows.shown import Shown, run_and_show
from tests.output.test_shards import by_hand

Tell = Callable[[str], None]


class Commands:
    """Stands in for the processes that `prosam shards` runs in.

    Attributes:
        fails: number of attempts of each shard that fail, by the shard's name.
        ran: the words of each command.
    """

    def __init__(self, folder: Path, shards: int, fails: dict[str, int]):
        self._folder, self._shards, self.fails, self.ran = folder, shards, Counter(fails), list[list[str]]()

    def run_module(self, processes: StageProcesses, module: str, words: Sequence[str], tell: Tell) -> int:
        assert module == "prosam.cli.shards"
        self.ran.append(list(words))
        if words[0] == "cut":
            by_hand(self._folder, self._shards, 100)
            for path in (self._folder / "shards").iterdir():
                path.unlink()
        elif words[0] == "segment":
            shard = words[2]
            if self.fails[shard] > 0:
                self.fails[shard] -= 1
                tell("error: photos: not found on this machine")
                return 2
            (self._folder / "shards" / f"{shard}.parquet").write_bytes(b"")
            tell(f"{shard}: cat in 7 of 100 images")
        return 0


@pytest.fixture
def run(server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Shown, Commands]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fleet.run_shard, "retry_delay_seconds", 0)

    def run(shards: int, fails: dict[str, int], tasks: Sequence[str], **more: object) -> tuple[Shown, Commands]:
        commands = Commands(tmp_path / "found", shards, fails)
        monkeypatch.setattr(StageProcesses, "run_module", lambda *given: commands.run_module(*given))
        asked = {"images": "photos", "concept": "cat.safetensors", "out": "found", "where": "here", **more}
        return run_and_show(segment_images, tasks, **asked), commands

    return run


def test_a_shard_that_fails_is_tried_again_and_all_are_joined(run: Callable[..., tuple[Shown, Commands]]):
    names = ["000000", "000001", "000002"]
    shown, commands = run(3, {"000001": 2}, names, write=["coco"], jobs=2)
    assert shown.run.state_name == "Completed"
    assert shown.message == "300 images; 3 of 3 shards ran"
    assert {shown.state(name).name for name in names} == {"Completed"}
    assert shown.state("000000").message == "cat in 7 of 100 images"
    segmented = Counter(words[2] for words in commands.ran if words[0] == "segment")
    assert segmented == {"000000": 1, "000001": 3, "000002": 1}
    assert [words[0] for words in commands.ran][-1] == "join"
    assert commands.ran[-1][2:] == ["--write", "coco"]
    assert shown.data(artifact_key("segment-found")) == 100
    assert any("300/300 image" in line and "images/s" in line for line in shown.log())


def test_a_shard_that_always_fails_leaves_the_others_done(run: Callable[..., tuple[Shown, Commands]]):
    shown, commands = run(3, {"000000": 9}, ["000000", "000001", "000002"], write=["coco"])
    assert shown.run.state_name == "Failed"
    assert shown.message == ("1 of 3 shards are not done; 000000: error: photos: not found on this machine")
    assert "join" not in [words[0] for words in commands.ran]
    assert shown.state("000002").name == "Completed"

    shown, commands = run(3, {}, [])  # by_hand makes the folder anew
    assert shown.run.state_name == "Completed"


def test_when_the_first_shards_all_fail_no_more_are_begun(run: Callable[..., tuple[Shown, Commands]]):
    names = [f"{number:06d}" for number in range(10)]
    shown, commands = run(10, dict.fromkeys(names, 9), names[:3])
    assert shown.message.startswith("10 of 10 shards are not done; ")
    assert {words[2] for words in commands.ran if words[0] == "segment"} == set(names[:3])


def test_as_many_shards_run_as_workers_are_online_and_the_flow_itself_takes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fleet, "number_online", {"gpu": 2, "cpu": 3}.get)
    monkeypatch.setattr(fleet, "committed_head", lambda root: "0" * 40)
    assert Fleet(tmp_path, "found", where="auto", jobs=1).capacity() == {"gpu": 2, "cpu": 2}
    monkeypatch.setattr(fleet, "number_online", {"gpu": 0, "cpu": 1}.get)
    assert Fleet(tmp_path, "found", where="auto", jobs=4).capacity() == {fleet.HERE: 4}
