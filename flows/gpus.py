"""Which GPU each of several stages at once computes on."""

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
_PATIENCE_S = 20  # a driver that hangs is no reason to


class Gpus:
    """Deals the GPUs of this machine to stages: the one with the fewest stages to each that computes on one."""

    def __init__(self, names: Sequence[str], on_one: frozenset[str]):
        """Begin with all of them free.

        Args:
            names: of the GPUs, as CUDA_VISIBLE_DEVICES has them; of fewer than two none is dealt.
            on_one: the stages that get one; all others see what there is.
        """
        self._names, self._on_one = (names, on_one) if len(names) > 1 else ((), frozenset[str]())
        self._stages = Counter[str]()
        self._lock = threading.Lock()

    @contextmanager
    def dealt(self, stage: str) -> Iterator[dict[str, str]]:
        """What a stage's environment needs for the GPU that is the stage's until the block ends."""
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
    """Those to deal to the stages of a DAG, so many at once.

    None with one stage at a time, which may then take all GPUs, nor where params.yaml has a number of processes for
    each stage. `meta.gpus: all` in dvc.yaml marks the stages that take all by themselves.
    """
    if jobs == 1 or params.device == "cpu" or params.processes not in (1, "auto"):
        return NONE
    names = gpu_names(os.environ)
    return Gpus(names, on_one(metas(root))) if len(names) > 1 else NONE


def on_one(meta_of: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """The stages of pool gpu that compute on a single one."""
    return frozenset(
        stage for stage, meta in meta_of.items() if meta.get("pool") == "gpu" and meta.get("gpus") != "all"
    )


def gpu_names(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that a process with such an environment sees, asked of the driver: torch takes seconds to import."""
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
