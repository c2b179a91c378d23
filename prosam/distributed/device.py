"""The device that the models run on."""

from __future__ import annotations

import os

import torch

from prosam.distributed.cpus import usable_cpus
from prosam.errors import InputError
from prosam.params import Params


def prepare_device(params: Params) -> torch.device:
    """The device that params.yaml names, with its number of CPU threads set.

    If torchrun has started several processes, each has a GPU of its own, or its share of the cores.

    Raises:
        InputError: params.yaml asks for a GPU, and there is none, or fewer than one for each process.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(params.cpu_threads or max(1, usable_cpus() // processes))
    if params.device == "cuda" and not torch.cuda.is_available():
        raise InputError("params.yaml: device: cuda, but torch finds no GPU here; use auto or cpu")
    if params.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False  # as for matrix products by default: float32 means float32
    if processes == 1:
        return torch.device("cuda")
    if processes > (count := torch.cuda.device_count()):
        raise InputError(f"{processes} processes need a GPU each, and torch finds {count}; use `processes: {count}`")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device


def share_cores(device: torch.device, *, small: bool, cores: int | None = None) -> int:
    """Divide the cores among images, and set torch's number of threads for that.

    The operations of a small network are too short to be divided: two threads took as long as one, and several times
    as long beside other work on the same cores, since threads spin while they wait for one another. Therefore each
    image has one thread, and there is an image for each core. A large network has all cores for one image.

    Args:
        device: of the models; on a GPU, nothing changes.
        small: whether the models are as small as the bundled ones.
        cores: how many cores to use; None for all that this process may use (affinity, cgroup quota, OMP_NUM_THREADS).

    Returns:
        The number of images to work on at the same time, each in a thread of its own.
    """
    if device.type != "cpu":
        return 1
    cores = cores or min(usable_cpus(), torch.get_num_threads())
    torch.set_num_threads(1 if small else cores)
    return cores if small else 1


def all_alike(device: torch.device) -> list[torch.device]:
    """The devices to divide work among: all GPUs if `device` is `cuda` without an index, else the device itself."""
    if device.type != "cuda" or device.index is not None:
        return [device]
    return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]


def named_device(name: str) -> torch.device:
    """The device of a name: `auto`, which is a GPU if there is one and the CPU otherwise, or a name that torch knows.

    Raises:
        InputError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (  # the type depends on how torch was built
        RuntimeError,
        AssertionError,
        NotImplementedError,
    ) as error:
        raise InputError(f"there is no device {name!r} here; use auto or cpu") from error
    return device


def machine(params: Params, device: torch.device) -> dict[str, str | int]:
    """What changes the bits of a computation: the type of device and, on a CPU, the threads, which order sums.

    The model of the GPU and the number of processes are left out, so that work which was begun with one of them can be
    finished with another.
    """
    return {"device": device.type} | ({"threads": params.cpu_threads} if device.type == "cpu" else {})
