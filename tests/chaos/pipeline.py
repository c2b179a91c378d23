"""Rounds on a clone whose DAG has run: `make repro` and `dvc repro` are killed, and their outputs are damaged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.chaos.damage import WAYS, damaged
from tests.chaos.rounds import Generator, Outcome, Site, leftovers
from tests.pipeline.clone import OUTPUTS, SMALL, Clone

_SLOW = Path(__file__).parent / "slow"
_REPRO = ("python", "-m", "flows.local", "--jobs", "2")  # what `make repro` runs
_DVC = ("python", "-m", "dvc", "repro")
_LONGEST = 60  # seconds until a kill
_QUICK = {"train.steps": 10, "pipeline.runs": ["prosam"], "folds.episodes": 20}


class SlowClone(Clone):
    """A clone in which the steps of every write wait."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"PYTHONPATH": str(_SLOW), "CHAOS_SLOW": "0.05"}


def pipeline_round(site: Site, rng: Generator) -> Outcome:
    """Remove the outputs of some stages, or damage one, and run everything that is out of date."""
    base = _base(site)
    command = _REPRO if rng.integers(2) else _DVC
    root = site.root / "pipeline-round"
    shutil.rmtree(root, ignore_errors=True)
    clone = SlowClone(base.copy(root).root, forked=False)
    try:
        if rng.integers(3) == 0:
            return _damage(base, clone, command, rng)
        return _kill(base, clone, command, rng)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _base(site: Site) -> Clone:
    root = site.root / "clone"
    if not (root / "report/index.html").exists():
        shutil.rmtree(root, ignore_errors=True)
        clone = Clone.of_working_tree(root, SMALL | _QUICK, forked=False)
        clone.local()
    return Clone(root, forked=False)


def _kill(base: Clone, clone: SlowClone, command: tuple[str, ...], rng: Generator) -> Outcome:
    outs = sorted(path for of_stage in base.lock().values() for path in of_stage)
    chosen = sorted(rng.choice(outs, int(rng.integers(1, 4)), replace=False).tolist())
    for out in map(clone.root.joinpath, chosen):
        shutil.rmtree(out) if out.is_dir() else out.unlink()
    shutil.rmtree(clone.root / ".dvc/cache/runs", ignore_errors=True)
    moment = float(rng.uniform(1, _LONGEST))
    did = f"{' '.join(command[2:4])}: killed after {moment:.1f} s, to make {', '.join(chosen)}"
    process = clone.start(*command)
    try:
        process.communicate(timeout=moment)
        killed = False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        killed = True
    return Outcome(did, _goes_on(base, clone, command), noticed=killed)


def _damage(base: Clone, clone: SlowClone, command: tuple[str, ...], rng: Generator) -> Outcome:
    files = [*sorted(base.outputs()), "dvc.lock"]
    chosen, way = str(rng.choice(files)), str(rng.choice(WAYS))
    path = clone.root / chosen
    spoiled = damaged(path.read_bytes(), way, rng)
    path.unlink()
    if spoiled is not None:
        path.write_bytes(spoiled)
    did = f"{' '.join(command[2:4])}: {way} in {chosen}"
    ended = Clone(clone.root, forked=False).run(*command, check=False)
    if ended.code == 0:
        return Outcome(did, _different(base, clone), noticed=True)
    if "Traceback" in ended.output or chosen not in ended.output:
        return Outcome(did, f"exit {ended.code}: {ended.output[-1000:]}")
    return Outcome(did, noticed=True)


def _goes_on(base: Clone, clone: SlowClone, command: tuple[str, ...]) -> str | None:
    ended = Clone(clone.root, forked=False).run(*command, check=False)
    if ended.code:
        return f"afterwards exit {ended.code}: {ended.output[-1500:]}"
    return _different(base, clone)


def _different(base: Clone, clone: Clone) -> str | None:
    found, expected = clone.outputs(), base.outputs()
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            return f"{name} differs, is missing or too much"
    if clone.lock() != base.lock():
        return "dvc.lock has other digests"
    left = [path for folder in OUTPUTS for path in leftovers(clone.root / folder)]
    return f"left over: {', '.join(left)}" if left else None
