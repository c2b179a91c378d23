"""Assigns GPUs to stages that run at the same time."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.graph import metas
from prosam.params import Params

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_PATIENCE_S = 20  # so that a driver that hangs does not block the pipeline


class Gpus:
    """Assigns the GPUs of this machine: each stage that computes on one GPU gets the one with the fewest stages."""

    def __init__(self, names: Sequence[str], on_one: frozenset[str]):
        """Begin with all GPUs free.

        Args:
            names: names of the GPUs, as in CUDA_VISIBLE_DEVICES; with fewer than two, none is assigned.
            on_one: the stages that get one GPU; all other stages see all GPUs.
        """
        self._names, self._on_one = (names, on_one) if len(names) > 1 else ((), frozenset[str]())
        self._stages = Counter[str]()
        self._lock = threading.Lock()

    @contextmanager
    def dealt(self, stage: str) -> Iterator[dict[str, str]]:
        """The environment variables that give a stage its GPU, which it has until the block ends."""
        if stage not in self._on_one:
            yield {}
            return
        with self._lock:
            name = min(self._names, key=lambda name: self._stages[name])
            self._stages[name] += 1
        try:
            yield {_VISIBLE: name}
        finally:
            with self._lock:
                self._stages[name] -= 1


NONE = Gpus((), frozenset())


def gpus(root: Path, params: Params, jobs: int) -> Gpus:
    """The GPUs to assign to the stages of a DAG, of which `jobs` run at a time.

    No GPU is assigned if one stage runs at a time, since it may then use all GPUs, or if params.yaml sets a number of
    processes for each stage. `meta.gpus: all` in dvc.yaml marks the stages that use all GPUs by themselves.
    """
    if jobs == 1 or params.device == "cpu" or params.processes not in (1, "auto"):
        return NONE
    names = gpu_names(os.environ)
    return Gpus(names, on_one(metas(root))) if len(names) > 1 else NONE


def on_one(meta_of: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """The stages of pool gpu that compute on a single GPU."""
    return frozenset(
        stage for stage, meta in meta_of.items() if meta.get("pool") == "gpu" and meta.get("gpus") != "all"
    )


def gpu_names(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that a process with an environment sees. The driver is asked, since torch takes seconds to import."""
    if _VISIBLE in environment:
        return [name.strip() for name in environment[_VISIBLE].split(",") if name.strip() not in ("", "-1")]
    command = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if command is None:
        return []
    question = [command, "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(question, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return found.stdout.split() if found.returncode == 0 else []
