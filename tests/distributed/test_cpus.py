"""How many cores a process counts, with made-up cgroup files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prosam.distributed.cpus import usable_cpus


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


def usable(root: Path, own: str, files: dict[str, str]) -> int:
    """What is counted when /proc/self/cgroup says `own`, and these files lie below /sys/fs/cgroup."""
    for name, content in files.items():
        (root / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "fs" / name).write_text(content)
    (root / "own").write_text(own)
    return usable_cpus(root / "fs", root / "own")


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),  # 64 cores
        ({"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),
        ({"a/cpu.max": "max 100000\n", "a/b/cpu.max": "500000 100000\n"}, 5),
        ({"other/cpu.max": "100000 100000\n"}, 8),
        ({"cpu.max": "damaged"}, 8),
    ],
)
def test_a_quota_of_cgroup_version_2_limits_the_cores(tmp_path: Path, files: dict[str, str], count: int):
    assert usable(tmp_path, "0::/a/b\n", files) == count


@pytest.mark.parametrize("mounted", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "count"), [("-1", 8), ("250000", 3), ("50000", 1)])
@pytest.mark.parametrize("group", ["docker/12ab", "."])  # inside a container its own group is the top
def test_a_quota_of_cgroup_version_1_limits_the_cores(tmp_path: Path, mounted: str, quota: str, count: int, group: str):
    files = {f"{mounted}/{group}/cpu.cfs_quota_us": f"{quota}\n", f"{mounted}/{group}/cpu.cfs_period_us": "100000\n"}
    own = "5:memory:/docker/12ab\n4:cpu,cpuacct:/docker/12ab\n3:cpuset:/docker/12ab\n0::/\n"
    assert usable(tmp_path, own, files) == count


def test_cores_outside_the_affinity_mask_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 7}, raising=False)
    assert usable_cpus(tmp_path, tmp_path / "missing") == 3


def test_without_an_affinity_mask_all_cores_of_the_machine_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cpus(tmp_path, tmp_path / "missing") == 6
