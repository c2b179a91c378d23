"""The folder of the models in use, killed at any moment."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prosam.errors import InputError
from prosam.registry.in_use import ModelsInUse, identity

KILLED = 77
WHAT_CHANGES_A_DISK = ("mkdir", "replace", "rename", "symlink", "unlink", "rmdir", "fsync")


def trained(folder: Path, content: str) -> Path:
    """A trained run as far as its files go."""
    folder.mkdir(parents=True)
    (folder / "prompt_encoder.safetensors").write_text(content)
    (folder / "model.json").write_text(json.dumps({"format": 1, "commit": f"commit of {content}"}))
    (folder / "training.csv").write_text("step\n")
    return folder


def decision(model: Path, verdict: str = "replaced") -> dict[str, Any]:
    return {"verdict": verdict, "new": identity(model, "")}


def bring_into_use(place: Path, model: Path, keep: int | None = None) -> None:
    models = ModelsInUse(place)
    with models.alone("test"):
        models.replace(model, decision(model), keep=keep)


def content(model: Path) -> str:
    return (model / "prompt_encoder.safetensors").read_text()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def numbers_in_history(place: Path) -> list[int]:
    return [json.loads(line)["in_use"] for line in (place / "history.jsonl").read_text().splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "in_use" / "0"


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [trained(tmp_path / "runs" / name, name) for name in "abcd"]


def test_current_is_a_whole_copy_and_older_models_stay_under_their_numbers(place: Path, runs: list[Path]):
    for run in runs[:3]:
        bring_into_use(place, run)
    shutil.rmtree(runs[0].parent)
    assert ModelsInUse(place).number() == 3
    assert [content(place / name) for name in ("1", "2", "3", "current")] == ["a", "b", "c", "c"]
    assert names(place) == {"1", "2", "3", "current", "history.jsonl"}
    assert names(place / "current") == {
        "prompt_encoder.safetensors",
        "model.json",
        "decision.json",
        "prosam.sha256",
    }
    assert [(r["verdict"], r["in_use"], r["new"]["commit"]) for r in ModelsInUse(place).history()] == [
        ("replaced", 1, "commit of a"),
        ("replaced", 2, "commit of b"),
        ("replaced", 3, "commit of c"),
    ]


def test_the_link_is_relative_so_that_the_folder_can_be_moved(place: Path, runs: list[Path], tmp_path: Path):
    bring_into_use(place, runs[0])
    place.parent.rename(tmp_path / "elsewhere")
    assert content(tmp_path / "elsewhere" / "0" / "current") == "a"


def test_keep_bounds_the_older_models_and_spares_the_one_just_replaced(place: Path, runs: list[Path]):
    for run in runs[:3]:
        bring_into_use(place, run)
    (place / "current").unlink()
    (place / "current").symlink_to("1")  # as someone who went back
    bring_into_use(place, runs[3], keep=1)
    assert names(place) == {"1", "4", "current", "history.jsonl"}
    assert content(place / "current") == "d"


def test_going_back_is_a_link_and_stays(place: Path, runs: list[Path]):
    for run in runs[:2]:
        bring_into_use(place, run)
    (place / "current").unlink()
    (place / "current").symlink_to("1")
    with ModelsInUse(place).alone("test"):
        assert ModelsInUse(place).number() == 1


def test_a_decision_that_changes_nothing_is_told(place: Path, runs: list[Path]):
    bring_into_use(place, runs[0])
    models = ModelsInUse(place)
    with models.alone("test"):
        models.tell(decision(runs[1], "kept"))
    assert [(r["verdict"], r["in_use"]) for r in models.history()] == [("replaced", 1), ("kept", 1)]
    assert content(models.current) == "a"


def test_a_model_that_changed_meanwhile_is_refused_and_nothing_changes(place: Path, runs: list[Path]):
    bring_into_use(place, runs[0])
    seen = decision(runs[1])
    (runs[1] / "prompt_encoder.safetensors").write_text("trained again")
    models = ModelsInUse(place)
    with models.alone("test"), pytest.raises(InputError, match="changed while it was being evaluated; run this again"):
        models.replace(runs[1], seen)
    assert names(place) == {"1", "current", "history.jsonl"}
    assert content(models.current) == "a"


def die_before(count: int, patch: Callable[[str, Callable[..., Any]], None]) -> None:
    """Let the process end at once, with no clean-up, before its `count`-th change of the disk."""
    left = [count]

    def ending(change: Callable[..., Any]) -> Callable[..., Any]:
        def do(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os._exit(KILLED)
            return change(*args, **options)

        return do

    for name in WHAT_CHANGES_A_DISK:
        patch(name, ending(getattr(os, name)))


def killed(place: Path, model: Path, count: int, keep: int | None) -> bool:
    """Bring a model into use in a process that dies before its `count`-th change; whether it came to that."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            die_before(count, lambda name, function: setattr(os, name, function))
            bring_into_use(place, model, keep)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


@pytest.mark.parametrize("older", [0, 2])
def test_killed_at_any_moment_the_current_model_is_whole_and_the_next_call_ends_as_undisturbed(
    older: int, runs: list[Path], tmp_path: Path
):
    start, new, keep = tmp_path / "start", runs[older], 1
    start.mkdir()
    for run in runs[:older]:
        bring_into_use(start, run)
    before, moments = ["a", "b"][older - 1] if older else None, 0
    seen = set()
    while True:
        place = tmp_path / f"killed-{moments}"
        shutil.copytree(start, place, symlinks=True)
        if not killed(place, new, moments, keep):
            break
        moments += 1
        current = content(place / "current") if (place / "current").is_symlink() else None
        seen.add(current)
        assert current in {before, content(new)}
        models = ModelsInUse(place)
        with models.alone("test"):
            number = models.number()
            if number is None or content(models.current) != content(new):
                models.replace(new, decision(new), keep=keep)
        assert content(place / "current") == content(new)
        assert numbers_in_history(place) == list(range(1, older + 2))
        assert not [name for name in names(place) if name.startswith(".")]
        assert {str(older), str(older + 1)} - {"0"} <= names(place)
    assert moments > 10
    assert seen == {before, content(new)}


def test_links_that_a_copy_left_out_are_made_again(place: Path, runs: list[Path]):
    for run in runs[:2]:
        bring_into_use(place, run)
    (place / "current").unlink()
    with ModelsInUse(place).alone("test"):
        assert content(place / "current") == "b"


@pytest.mark.parametrize("spoil", ["a folder", "a link to nothing"])
def test_a_current_that_is_no_link_to_a_model_is_one_line(spoil: str, place: Path, runs: list[Path]):
    for run in runs[:2]:
        bring_into_use(place, run)
    (place / "current").unlink()
    if spoil == "a folder":
        shutil.copytree(place / "2", place / "current")
    else:
        (place / "current").symlink_to("9")
    with pytest.raises(InputError, match=r"current: is not a link to a model; remove it and .*, with one of 1, 2$"):
        ModelsInUse(place).number()


def test_a_damaged_line_of_the_history_is_named(place: Path, runs: list[Path]):
    bring_into_use(place, runs[0])
    with (place / "history.jsonl").open("a") as file:
        file.write("{")
    with pytest.raises(InputError, match=r"history\.jsonl, line 2: is damaged"):
        ModelsInUse(place).history()
