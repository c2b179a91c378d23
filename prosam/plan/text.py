"""A plan as text for people, and as JSON for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from prosam.fetching.byte_progress import bytes_in_words
from prosam.plan.plan import Plan

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def plan_as_text(plan: Plan) -> str:
    """Three tables with totals, and the assumptions."""
    lines = [f"{plan.what}, on {plan.device}", "", "download"]
    lines += aligned([(f.what, f.file, "there" if f.bytes == 0 else _size(f.bytes)) for f in plan.downloads])
    unknown = sum(file.bytes is None for file in plan.downloads)
    total = bytes_in_words(plan.bytes_to_fetch) if plan.bytes_to_fetch else "nothing"
    lines += [f"  total: {total}" + (f", and {unknown} of unknown size" if unknown else ""), "", "disk"]
    lines += aligned(
        [(item.what, ("" if item.exact else "about ") + bytes_in_words(item.bytes)) for item in plan.written]
    )
    for disk in plan.disks:
        fits = f"DOES NOT FIT, {bytes_in_words(disk.short)} are missing" if disk.short else "it fits"
        needed, free = bytes_in_words(disk.needed), bytes_in_words(disk.free)
        lines.append(f"  total: {needed}; {free} are free on the disk of {disk.folder}: {fits}")
    lines += ["", "compute"]
    lines += aligned(
        [(c.dataset, c.stage, c.amount, _operations(c.flops), duration(c.seconds)) for c in plan.computed],
        right=2,
    )
    lines += [f"  total: {duration(plan.seconds)}", "", "assumed"]
    for line in plan.assumed:
        lines += textwrap.wrap(line, 110, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def plan_as_json(plan: Plan) -> str:
    """The whole plan with its totals; units are bytes, seconds and floating-point operations."""
    content = asdict(plan)
    content["disks"] = [asdict(disk) | {"short": disk.short} for disk in plan.disks]
    totals = {"bytes_to_fetch": plan.bytes_to_fetch, "seconds": plan.seconds}
    return json.dumps(content | {"totals": totals}, indent=2)


def duration(seconds: float) -> str:
    """A duration in words: '40 s', '12 min', '13 h 20 min', '520 h (22 days)'."""
    if seconds < 1.5 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 1.5 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    if seconds < 2 * _DAY:
        return f"{hours} h {minutes} min"
    return f"{hours:,} h ({seconds / _DAY:,.0f} days)"


def _operations(flops: float) -> str:
    for unit, size in (("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12)):
        if flops >= size:
            return f"{flops / size:,.1f} {unit}"
    return f"{flops / 1e9:,.1f} GFLOP" if flops else "-"


def _size(count: int | None) -> str:
    return "unknown" if count is None else bytes_in_words(count)


def aligned(rows: Sequence[Sequence[str]], right: int = 1) -> list[str]:
    """Rows with aligned columns; the last `right` columns are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = len(widths) - right
    return [
        "  " + "  ".join(
            cell.rjust(width) if place >= first else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]  # fmt: skip
