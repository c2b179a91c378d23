"""How many CPU cores this process may use, which in a container is fewer than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cpus(cgroups: Path = _CGROUPS, own_cgroups: Path = _OWN_CGROUPS) -> int:
    """The number of cores in this process's affinity mask, or fewer when a cgroup has a CPU quota.

    A quota of one and a half cores counts as two.

    Args:
        cgroups: where the cgroup file systems are mounted.
        own_cgroups: the file in which Linux lists the cgroups of this process.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [ceil(quota) for quota in _quotas(cgroups, own_cgroups)]
    return max(1, min([affinity, *quotas]))


def _quotas(cgroups: Path, own_cgroups: Path) -> Iterator[float]:
    """The CPU quotas of this process's cgroups and of the cgroups above them, in cores."""
    try:
        lines = own_cgroups.read_text(encoding="utf-8").splitlines()
    except OSError:  # not on Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inside = Path(path.lstrip("/"))
        for group in (inside, *inside.parents):
            if not controllers:  # version 2
                yield from _quota(cgroups / group / "cpu.max")
            elif "cpu" in controllers.split(","):  # version 1
                for mounted in {controllers, "cpu"}:
                    folder = cgroups / mounted / group
                    yield from _quota(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")


def _quota(*files: Path) -> Iterator[float]:
    """The quota in one file or two that hold a time and the period it is granted in, both in microseconds."""
    try:
        granted, period = " ".join(file.read_text(encoding="utf-8") for file in files).split()
        cores = int(granted) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or `max`
        return
    if cores > 0:  # version 1 writes -1 for no limit
        yield cores
