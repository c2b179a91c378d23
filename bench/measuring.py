"""The cost of a piece of work. It is counted once, and timed in turns with others, since the machine is never quiet."""

from __future__ import annotations

import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from prosam.plan.operations import count_operations

Work = Callable[[], object]


@dataclass(frozen=True)
class Cost:
    """The cost of a piece of work. All but the peak are the same on every machine.

    Attributes:
        flops: floating-point operations.
        moved: bytes read and written by operators; for matrix products, only those written.
        saved: the largest number of bytes held for a backward pass at any time, without parameters.
        peak: the largest number of bytes allocated at any time, beyond those allocated before.
        calls: number of calls of operators, without views; on a GPU, of kernels.
    """

    flops: int
    moved: int
    saved: int
    peak: int
    calls: int

    def line(self, name: str) -> str:
        """One line of a table that begins with `Cost.HEADER`."""
        columns = self.flops / 1e9, self.moved / 2**20, self.saved / 2**20, self.peak / 2**20
        return f"{name:>14}" + "".join(f"{value:>12,.1f}" for value in columns) + f"{self.calls:>10,}"

    HEADER = f"{'':>14}" + "".join(f"{title:>12}" for title in ("GFLOP", "moved MiB", "saved MiB", "peak MiB"))
    HEADER += f"{'calls':>10}"


def cost(work: Work, parameters: Sequence[Tensor], device: torch.device) -> Cost:
    """Run some work a few times and count its cost.

    Args:
        work: the work, which must leave nothing behind except gradients that were there before.
        parameters: tensors that do not count as saved.
        device: the device that it runs on.
    """
    with FlopCounterMode(display=False) as counter:
        work()
    operations = count_operations(work)
    moved = sum(operation.bytes * count for operation, count in operations.items())
    saved, allocated = SavedBytes(parameters), AllocatedBytes()
    with saved, allocated:
        work()
    peak, calls = allocated.most, round(sum(operations.values()))
    if device.type == "cuda":
        peak, calls = _gpu_peak(work, device), _kernels(work, device)
    return Cost(counter.get_total_flops(), int(moved), saved.most, peak, calls)


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take_turns(forms: Mapping[str, Work], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each form in each round, after a round that does not count. Every other round goes backwards.

    With one CPU thread, processor time is measured, which other processes disturb less.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for number in range(rounds + 1):
        for name in list(forms) if number % 2 else reversed(list(forms)):
            synchronise(device)
            start = clock()
            forms[name]()
            synchronise(device)
            if number:
                seconds[name].append(clock() - start)
    return seconds


def ratio(slow: Sequence[float], fast: Sequence[float]) -> str:
    """The median of the ratios of all rounds, with their range."""
    ratios = sorted(a / b for a, b in zip(slow, fast, strict=True))
    return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


class SavedBytes(saved_tensors_hooks):
    """Adds up the storages that autograd holds for a backward pass.

    Attributes:
        most: bytes, at any time so far.
    """

    def __init__(self, parameters: Sequence[Tensor] = ()):
        """Begin with nothing held; `parameters` do not count."""
        self._known = {parameter.untyped_storage().data_ptr() for parameter in parameters}
        self._holders: Counter[tuple[int, int]] = Counter()
        self._held = self.most = 0
        super().__init__(self._pack, lambda box: box.tensor)

    def _pack(self, tensor: Tensor) -> _Box:
        storage, box = tensor.untyped_storage(), _Box(tensor)
        if storage.data_ptr() not in self._known:
            key = storage.data_ptr(), storage.nbytes()
            self._holders[key] += 1
            if self._holders[key] == 1:
                self._held += storage.nbytes()
                self.most = max(self.most, self._held)
            weakref.finalize(box, self._release, key)
        return box

    def _release(self, key: tuple[int, int]) -> None:
        self._holders[key] -= 1
        if not self._holders[key]:
            self._held -= key[1]


class _Box:
    def __init__(self, tensor: Tensor):
        self.tensor = tensor


class AllocatedBytes(TorchDispatchMode):
    """Adds up the storages of all results, without the memory that operators need internally.

    Attributes:
        most: bytes, at any time so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self._alive: set[int] = set()
        self._held = self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {_storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and (key := _storage(leaf)) not in given | self._alive:
                storage = leaf.untyped_storage()
                self._alive.add(key)
                self._held += storage.nbytes()
                weakref.finalize(storage, self._release, key, storage.nbytes())
        self.most = max(self.most, self._held)
        return result

    def _release(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self._held -= size


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _gpu_peak(work: Work, device: torch.device) -> int:
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before


def _kernels(work: Work, device: torch.device) -> int:
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        work()
        synchronise(device)
    return sum(event.device_type.name == "CUDA" for event in profiler.events() or [])
