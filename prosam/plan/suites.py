"""The plan for a suite with each SAM that it compares."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from prosam.fetching.byte_progress import bytes_in_words
from prosam.params import load_params
from prosam.params.reading import parse_params
from prosam.params.suites import compared_sams, with_suites
from prosam.plan.plan import Plan, make_plan
from prosam.plan.text import aligned, duration, plan_as_json


def plan_suite(path: Path, name: str, datasets: Sequence[str]) -> dict[str, Plan]:
    """The plan for each SAM that a suite compares, or for the SAM of params.yaml if it compares none.

    Args:
        path: of params.yaml, which stays as it is.
        name: of the suite.
        datasets: to run it on; if empty, the present ones.

    Raises:
        InputError: the suite is unknown, or see `make_plan`.
    """
    params = load_params(path)
    sams = compared_sams(params, [name]) or [params.models.sam.name]
    return {sam: make_plan(parse_params(with_suites(path, [name], datasets, sam), path)) for sam in sams}


def suite_as_text(plans: Mapping[str, Plan]) -> str:
    """A line for each SAM, and the total, in which a file that several of them need is fetched once."""
    rows = [("SAM", "download", "disk", "compute")]
    for sam, plan in plans.items():
        written = sum(item.bytes for item in plan.written)
        rows.append((sam, bytes_in_words(plan.bytes_to_fetch), bytes_in_words(written), duration(plan.seconds)))
    files = {file.file: file for plan in plans.values() for file in plan.downloads}
    fetched = sum(file.bytes or 0 for file in files.values())
    unknown = [name for name, file in files.items() if file.bytes is None]
    total = duration(sum(plan.seconds for plan in plans.values()))
    lines = [*aligned(rows, right=3), f"  total: {bytes_in_words(fetched)} to download, {total} of compute"]
    if unknown:
        lines.append(f"  of unknown size: {', '.join(unknown)}")
    return "\n".join(lines)


def suite_as_json(plans: Mapping[str, Plan]) -> str:
    """The whole plans by SAM; see `plan_as_json`."""
    return json.dumps({sam: json.loads(plan_as_json(plan)) for sam, plan in plans.items()}, indent=2)
