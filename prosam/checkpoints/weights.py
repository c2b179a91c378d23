"""Reading and writing model weights: safetensors, or torch files restricted to tensors."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from prosam.data.formats.content_kinds import kind_of_file
from prosam.errors import InputError
from prosam.files import atomic_path
from prosam.seals import check_seal


class _NothingDrawn(TorchFunctionMode):
    """Skips the random draws for which torch, on the meta device, imports its compiler (1.5 s at a stage's start)."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is nn.init.normal_:
            return kwargs["tensor"]
        if func is torch.randn:  # on the CPU: computing with a meta tensor would import the compiler too
            return torch.zeros(*args, **kwargs | {"device": "cpu"})
        return func(*args, **kwargs)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Modules built in this context have names and shapes; a checkpoint then provides the values.

    They need hardly any memory and draw no random numbers. Their values mean nothing.
    """
    with torch.device("meta"), _NothingDrawn():
        yield


def load_state(path: Path, *, without: str | None = None, inside: str | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint file.

    Args:
        path: a .safetensors file, or a torch file, which is read with `weights_only=True`.
        without: leave out tensors whose names start with this; in a safetensors file they are not read at all.
        inside: a torch file may also hold the named tensors as its only entry, which has this name.

    Raises:
        InputError: the file is missing, damaged, or holds anything but named tensors.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weight file")
    check_seal(path, "replace it with an intact copy, or run the stage that wrote it again with `dvc repro --force`")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                names = [name for name in file.keys() if not _left_out(name, without)]  # noqa: SIM118 - no mapping
                return {name: file.get_tensor(name) for name in names}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual pickles: what cannot be read is an error below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's unpickler can raise anything for a file that is not a checkpoint
        raise InputError(f"{path}: cannot be read as weights{_why(path, error)}") from error
    if inside is not None and isinstance(state, dict) and state.keys() == {inside}:
        state = state[inside]
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise InputError(f"{path}: does not hold a plain state dict of tensors")
    return {name: tensor for name, tensor in state.items() if not _left_out(name, without)}


def _why(path: Path, error: Exception) -> str:
    """The reason that a file is not weights: what it is, if that is known, or what the reader says."""
    kind = kind_of_file(path)
    is_torch = kind is not None and kind.what in ("a zip archive", "pickled Python objects")
    if is_torch and path.suffix == ".safetensors":
        return ": it is a torch file; rename it to .pth"
    if kind is not None and not is_torch:
        return f": {kind}"
    with suppress(OSError), path.open("rb") as file:
        if file.read(9)[8:] == b"{" and path.suffix != ".safetensors":
            return ": it is a safetensors file; rename it to .safetensors"
    if isinstance(error, pickle.UnpicklingError) and is_torch:
        return " (it holds pickled objects, not only tensors)"
    if isinstance(error, pickle.UnpicklingError):
        return ": it is damaged, or of another format; replace it with an intact copy"
    if kind is not None and kind.what == "a zip archive" and "reading zip archive" in str(error):
        return ": it is a torch file that is cut or damaged; replace it with an intact copy"
    reason = str(error).strip().splitlines()
    return f" ({reason[0] if reason else repr(error)})"


def _left_out(name: str, without: str | None) -> bool:
    return without is not None and name.startswith(without)


def check_state(module: nn.Module, state: Mapping[str, Tensor], path: Path, *, what: str) -> None:
    """Check that a state dict has all names and shapes of a module.

    Raises:
        InputError: one differs; the message names the file, the model and the first such tensor.
    """
    own = module.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    for names, problem in ((missing, "lacks"), (unknown, "has unknown"), (shapes, "has another shape for")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise InputError(f"{path}: is not a checkpoint of {what}: it {problem} {names[0]!r}{more}")


def read_weights(module: nn.Module, path: Path, *, what: str) -> None:
    """Load a checkpoint into a module, with every tensor.

    Args:
        module: receives the weights.
        path: as for `load_state`.
        what: names the model in the error.

    Raises:
        InputError: see `load_state` and `check_state`.
    """
    state = load_state(path)
    check_state(module, state, path, what=what)
    module.load_state_dict(state)


def write_weights(module: nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a module's state dict as safetensors, atomically; the same values give the same bytes.

    Args:
        module: its state dict is written.
        path: of the file.
        metadata: strings for the header. safetensors does not keep them in a fixed order, so at most one entry is
            accepted. Longer descriptions belong in a JSON file beside the weights.
    """
    if metadata and len(metadata) > 1:
        raise ValueError("more than one metadata entry would make the file's bytes depend on chance")
    write_state(module.state_dict(), path, metadata)


def write_state(state: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors; see `write_weights`."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata)
