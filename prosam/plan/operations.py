"""Counting the operations of a model, by running it on the meta device, which has shapes but no numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

OperationKind = Literal["matrix", "batch", "attention", "convolution", "memory", "reading"]


@dataclass(frozen=True)
class Operation:
    """One call of a kernel.

    Attributes:
        kind: what bounds its speed: products of matrices, batches of small products, attention, convolutions, or
            memory; `reading` is an image read from its file.
        flops: floating-point operations; a multiplication with an addition counts as two. 0 for `memory` and `reading`.
        bytes: bytes read and written; for products, bytes written; for `reading`, the decoded bytes.
    """

    kind: OperationKind
    flops: int
    bytes: int


Work = Mapping[Operation, float]
"""Operations, and how often each is performed."""


def count_operations(function: Callable[[], object]) -> Work:
    """Run a function on meta tensors and count its operations, including those of a backward pass.

    The FLOPs are those of torch.utils.flop_counter.FlopCounterMode.
    """
    with _Recorder() as recorder:
        function()
    return recorder.work


def add(*parts: tuple[Work, float]) -> Work:
    """The sum of several works, each times a factor."""
    together: dict[Operation, float] = {}
    for work, times in parts:
        for operation, count in work.items():
            together[operation] = together.get(operation, 0) + count * times
    return together


def flops_of(work: Work) -> float:
    """All floating-point operations of some work."""
    return sum(operation.flops * count for operation, count in work.items())


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.work: Counter[Operation] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.namespace == "prim" or func.is_view or func._schema.name in _FREE:
            return result
        packet = func._overloadpacket
        flops = flop_registry[packet](*args, **(kwargs or {}), out_val=result) if packet in flop_registry else 0
        kind = _kind(packet.__name__) if flops else "memory"
        moved = _size(result) + (0 if flops else _size(args))  # products overlap reading with arithmetic
        self.work[Operation(kind, int(flops), moved)] += 1
        return result


_FREE = {"aten::empty", "aten::empty_like", "aten::detach", "aten::_unsafe_view", "aten::new_empty"}


def _size(values: object) -> int:
    return sum(leaf.numel() * leaf.element_size() for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def _kind(name: str) -> OperationKind:
    if "attention" in name:
        return "attention"
    if "convolution" in name:
        return "convolution"
    return "batch" if name in ("bmm", "baddbmm") else "matrix"
