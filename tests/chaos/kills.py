"""Rounds that kill a command at a random moment, with SIGKILL, and run it again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prosam import layout
from tests.chaos.forked import Circumstances, command, forked, stage
from tests.chaos.rounds import Generator, Outcome, Site, contents, difference, leftovers
from tests.chaos.workshop import EVALUATE, EXPORT, FOLD, LEARN, PROMOTE, RUN, SEGMENT, TRAIN
from tests.workspace import DATASET

_SLOW = 0.03  # seconds that a step of a write waits, at most
_MOST_KILLS = 4


@dataclass(frozen=True)
class Task:
    """A command that is killed.

    Attributes:
        work: does it.
        writes: file or folder with all that it writes; it is removed first.
        changing: names of files whose content holds a time, and is not compared.
        forgets: further folders that are removed first, so that the work is done.
        disk: folder that may be put on a disk of its own; None if there is none.
    """

    work: Callable[[], Any]
    writes: Path
    changing: tuple[str, ...] = ()
    forgets: tuple[Path, ...] = ()
    disk: Path | None = None


TASKS = {
    "segment": Task(command(*SEGMENT, "--out", "killed"), Path("killed"), disk=Path("killed")),
    "learn": Task(command(*LEARN), Path("learned.safetensors")),
    "export": Task(command(*EXPORT), Path("exported.safetensors")),
    "promote": Task(
        stage(*PROMOTE),
        layout.in_use(DATASET, RUN, FOLD),
        changing=("history.jsonl", "decision.json", "prosam.sha256"),
        disk=layout.in_use(DATASET, RUN, FOLD),
    ),
    "folds": Task(stage("folds", DATASET), layout.folds(DATASET), disk=layout.folds(DATASET).parent),
    "sam": Task(stage("sam"), layout.sam_weights(), disk=layout.sam_weights().parent),
    "embeddings": Task(
        stage("embeddings", DATASET),
        layout.embeddings(DATASET),
        forgets=(Path(".scratch/embeddings"),),
        disk=layout.embeddings(DATASET).parent,
    ),
    "train": Task(
        stage(*TRAIN),
        layout.model(DATASET, RUN, FOLD),
        disk=layout.model(DATASET, RUN, FOLD).parent,
    ),
    "evaluate": Task(
        stage(*EVALUATE), layout.results(DATASET, RUN, FOLD), disk=layout.results(DATASET, RUN, FOLD).parent
    ),
}


def kill_round(site: Site, rng: Generator) -> Outcome:
    """Kill one of the commands, up to a few times, and compare what an undisturbed start then writes."""
    return kill(site, rng, str(rng.choice(list(TASKS))))


def kill(site: Site, rng: Generator, name: str) -> Outcome:
    """Kill a command at up to `_MOST_KILLS` random moments."""
    task = TASKS[name]
    expected, seconds = undisturbed(site, name, task)
    kills, moments = 0, []
    with site.copy() as copy:
        start_over(copy, task)
        for _ in range(int(rng.integers(1, _MOST_KILLS + 1))):
            moment = float(rng.uniform(0.02, 1.2 * seconds))
            circumstances = Circumstances(kill_after=moment, slow=_SLOW, seed=int(rng.integers(1 << 31)))
            ended = forked(copy, task.work, circumstances)
            if ended.fault:
                return Outcome(f"{name}, before the kill", ended.fault)
            kills += ended.killed
            moments.append(f"{moment:.2f}")
        did = f"{name}: killed {kills} times, at {', '.join(moments)} s"
        again = forked(copy, task.work)
        if again.fault or again.status != 0:
            return Outcome(did, again.fault or f"afterwards: {again.printed[-800:]}")
        return Outcome(did, compared(copy, task, expected), noticed=kills > 0)


def compared(copy: Path, task: Task, expected: dict[str, bytes]) -> str | None:
    """What is wrong with the files of a task that ended."""
    place = copy / task.writes
    left = leftovers(place if place.is_dir() else place.parent)
    return difference(written(copy, task), expected) or (f"left over: {', '.join(left)}" if left else None)


def written(folder: Path, task: Task) -> dict[str, bytes]:
    """The content of what a task writes, without times."""
    place = folder / task.writes
    files = contents(place) if place.is_dir() else {place.name: place.read_bytes()} if place.exists() else {}
    return {name: b"" if Path(name).name in task.changing else content for name, content in files.items()}


def undisturbed(site: Site, name: str, task: Task) -> tuple[dict[str, bytes], float]:
    key = f"kill {name}"
    if key not in site.undisturbed:
        with site.copy() as copy:
            start_over(copy, task)
            ended = forked(copy, task.work, Circumstances(slow=_SLOW))
            if ended.status != 0:
                raise RuntimeError(f"{name}: fails even undisturbed\n{ended.printed}")
            site.undisturbed[key] = written(copy, task), ended.seconds
    expected, seconds = site.undisturbed[key]  # pyright: ignore[reportGeneralTypeIssues]
    return expected, seconds


def start_over(copy: Path, task: Task) -> None:
    """Remove what a task writes."""
    for place in (copy / task.writes, *(copy / folder for folder in task.forgets)):
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
