"""A stand-in for Apple's GPU (mps): it computes as the CPU does and refuses what PyTorch's mps refuses.

What it refuses is what versions of PyTorch that ProSAM accepts refuse, as reported in PyTorch's issues:

- float64, and pinned memory;
- copies that nothing waits for (they give wrong numbers, #189690);
- gamma noise (until #179228), sampling beyond the border (#125098), and adaptive means of areas that are not multiples
  of cells (#143864);
- tensors of two devices in one operation, and generators of another device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

MPS, _CPU = torch.device("mps"), torch.device("cpu")
_MAY_MIX = ("copy_", "index", "index_put_", "_index_put_impl_")  # as on any GPU: indices may be of the CPU
_NO_FLOAT64 = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64"
_PARSE_TO = torch._C._nn._parse_to  # pyright: ignore[reportAttributeAccessIssue]
_DOUBLE = (torch.float64, torch.complex128)


class AppleTensor(torch.Tensor):
    """A tensor that says it is on mps; to PyTorch itself it is one of the CPU."""

    _held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> AppleTensor:
        if held.dtype in _DOUBLE:
            raise TypeError(_NO_FLOAT64)
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype
        )
        made._held = held
        return made

    @property
    def device(self) -> torch.device:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of Apple's GPU."""
        return MPS

    def cpu(self, *_: Any, **__: Any) -> Tensor:
        """The tensor, on the CPU."""
        return self._held.detach().clone()

    def tolist(self) -> Any:
        """Its numbers; PyTorch has no such list for subclasses."""
        return self._held.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        """Refused, as by PyTorch."""
        raise TypeError("can't convert mps:0 device type tensor to numpy. Use Tensor.cpu() first")

    def pin_memory(self, *_: Any, **__: Any) -> Any:
        """Refused, as by PyTorch."""
        raise RuntimeError("only CPU memory can be pinned")

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"AppleTensor({self._held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        _refuse(func.overloadpacket.__name__, args, given)
        wrappers = {id(value._held): value for value in given if isinstance(value, AppleTensor)}
        return tree_map(lambda value: _outside(value, wrappers), func(*_inside(args), **_inside(kwargs)))


class _OnApple(TorchFunctionMode):
    """Lets functions name mps as a device."""

    def __torch_function__(self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.to and len(args) > 1 and isinstance(args[1], Tensor):
            args = args[0], args[1].device, args[1].dtype, *args[2:]
        if func is torch.Tensor.to:
            return _moved(args[0], *_PARSE_TO(*args[1:], **kwargs))
        device = kwargs.get("device")
        if device is None or torch.device(device).type != "mps":
            return func(*args, **kwargs)
        if kwargs.get("generator") is not None:
            raise RuntimeError("Expected a 'mps' device type for generator but found 'cpu'")
        return AppleTensor(func(*args, **kwargs | {"device": _CPU}))


@contextmanager
def apple_gpu() -> Iterator[None]:
    """While it is open, this thread may compute on `mps`."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # else parameters would lose their numbers
    try:
        with _OnApple():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


def _moved(
    tensor: Tensor, device: torch.device | None, dtype: torch.dtype | None, non_blocking: bool, form: Any
) -> Tensor:
    options = {} if form is None else {"memory_format": form}
    to = tensor.device if device is None else device
    if non_blocking and MPS.type in (to.type, tensor.device.type):
        raise RuntimeError("nothing waits for this copy to or from mps")
    held = tensor._held if isinstance(tensor, AppleTensor) else tensor
    same = to.type == tensor.device.type
    if isinstance(tensor, AppleTensor) and same:
        return tensor if dtype in (None, tensor.dtype) else tensor.type(dtype)
    moved = held.to(device=_CPU if to.type == "mps" else to, dtype=dtype or tensor.dtype, copy=not same, **options)
    return AppleTensor(moved.detach()) if to.type == "mps" else moved


def _inside(values: Any) -> Any:
    return tree_map(lambda value: value._held if isinstance(value, AppleTensor) else value, values)


def _outside(value: Any, wrappers: dict[int, AppleTensor]) -> Any:
    if not isinstance(value, Tensor):
        return value
    known = wrappers.get(id(value))  # of an operation in place
    return AppleTensor(value) if known is None else known


def _refuse(name: str, args: Any, given: list[Tensor]) -> None:
    if any(value.dim() and not isinstance(value, AppleTensor) for value in given) and name not in _MAY_MIX:
        raise RuntimeError(f"{name}: Expected all tensors to be on the same device, but found mps:0 and cpu")
    if name == "_standard_gamma":
        raise NotImplementedError(f"The operator 'aten::{name}' is not currently implemented for the MPS device.")
    if name == "grid_sampler_2d" and args[3] == 1:
        raise RuntimeError("MPS: Unsupported Border padding mode")
    if name == "_adaptive_avg_pool2d" and any(a % b for a, b in zip(args[0].shape[-2:], args[1], strict=True)):
        raise RuntimeError("Adaptive pool MPS: input sizes must be divisible by output sizes")
