"""Which device and how many threads each process has."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from prosam.distributed import device, launch
from prosam.distributed.device import machine, prepare_device, share_cores
from prosam.errors import InputError
from prosam.params import Params, load_params
from tests.conftest import REPOSITORY


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled by the code: the numbers of threads that torch is given."""
    given: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    monkeypatch.setattr(device, "usable_cpus", lambda: 8)
    return given


def params(**changes: Any) -> Params:
    return load_params(REPOSITORY / "params.yaml").model_copy(update=changes)


def started(monkeypatch: pytest.MonkeyPatch, *, gpus: int, processes: int, rank: int) -> list[torch.device]:
    """Pretend to be one of the processes that torchrun started; filled by the code: the current GPU."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    return current


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_of_several_processes_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch, threads: list[int], name: str):
    current = started(monkeypatch, gpus=4, processes=2, rank=1)
    assert prepare_device(params(device=name)) == torch.device("cuda", 1)
    assert current == [torch.device("cuda", 1)]


def test_one_process_takes_the_gpu_that_torch_takes(monkeypatch: pytest.MonkeyPatch, threads: list[int]):
    assert started(monkeypatch, gpus=4, processes=1, rank=0) == []
    assert prepare_device(params(device="auto")) == torch.device("cuda")


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch, threads: list[int]):
    started(monkeypatch, gpus=2, processes=4, rank=0)
    with pytest.raises(InputError, match=r"^4 processes need a GPU each, and torch finds 2; use `processes: 2`$"):
        prepare_device(params(device="auto"))


@pytest.mark.parametrize(("sam", "number"), [("tiny", 1), ("lite", 1), ("vit_b", 8), ("vit_h", 8)])
def test_one_thread_is_enough_for_the_bundled_sams_and_others_have_all_cores(
    sam: str, number: int, monkeypatch: pytest.MonkeyPatch, threads: list[int]
):
    started(monkeypatch, gpus=0, processes=1, rank=0)
    given = params(device="cpu", threads="auto")
    models = given.models.model_copy(update={"sam": given.models.sam.model_copy(update={"name": sam})})
    asked = given.model_copy(update={"models": models})
    prepare_device(asked)
    assert threads == [number]
    # unfinished work of one thread, or of all cores, goes on, however it was asked for
    same = asked.model_copy(update={"threads": 1 if number == 1 else 0})
    assert machine(asked, torch.device("cpu")) == machine(same, torch.device("cpu"))


def test_on_a_cpu_all_cores_are_shared_by_the_processes(monkeypatch: pytest.MonkeyPatch, threads: list[int]):
    for processes, number in ((1, 0), (2, 0), (100, 0), (2, 3)):
        started(monkeypatch, gpus=0, processes=processes, rank=0)
        assert prepare_device(params(device="auto", threads=number)) == torch.device("cpu")
    assert threads == [8, 4, 1, 3]


def test_processes_on_different_gpus_share_what_lies_in_the_scratch_folder():
    assert machine(params(), torch.device("cuda", 1)) == machine(params(), torch.device("cuda"))
    assert machine(params(), torch.device("cpu")) != machine(params(), torch.device("cuda"))


@pytest.mark.parametrize(
    ("gpus", "batch", "count"), [(8, 2, 2), (8, 8, 8), (3, 8, 2), (8, 6, 6), (8, None, 8), (0, 8, 1)]
)
def test_auto_is_as_many_gpus_as_can_share_the_batch(
    monkeypatch: pytest.MonkeyPatch, gpus: int, batch: int | None, count: int
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert launch._processes(params(processes="auto"), batch) == count


def test_a_batch_that_cannot_be_dealt_is_refused_before_anything_starts():
    with pytest.raises(InputError, match=r"^train\.batch_size: 2 episodes cannot be divided evenly among 3 processes"):
        launch.in_processes(params(processes=3), "no.such.module", batch=2)


@pytest.mark.parametrize(
    ("small", "allowed", "at_once", "each"), [(True, 8, 8, 1), (False, 8, 1, 8), (True, 3, 3, 1), (False, 3, 1, 3)]
)
def test_small_models_have_an_image_for_each_core_and_large_ones_all_cores_for_an_image(
    threads: list[int], monkeypatch: pytest.MonkeyPatch, small: bool, allowed: int, at_once: int, each: int
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: allowed)  # as OMP_NUM_THREADS has it
    assert share_cores(torch.device("cpu"), small=small) == at_once
    assert threads == [each]


@pytest.mark.parametrize(("small", "cores", "at_once", "each"), [(True, 2, 2, 1), (False, 2, 1, 2), (True, 1, 1, 1)])
def test_a_given_number_of_cores_is_used_rather_than_all(
    threads: list[int], small: bool, cores: int, at_once: int, each: int
):
    assert share_cores(torch.device("cpu"), small=small, cores=cores) == at_once
    assert threads == [each]


def test_a_gpu_shares_no_cores(threads: list[int]):
    assert share_cores(torch.device("cuda"), small=True) == 1
    assert threads == []
