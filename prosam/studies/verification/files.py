"""The files of a verification study: a row for each prompt in prompts.parquet, and summary.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prosam.files import write_text
from prosam.seals import sealed_folder
from prosam.studies.verification import ORIGINS, PROMPT_COLUMNS, PROMPTS, SUMMARY, noise_column
from prosam.studies.verification.starts import Scored, Verification
from prosam.studies.verification.target import Target

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def all_prompts(found: Verification) -> Tensor:
    """What is to be projected, in the order of the rows: direct, samples, mean; (2 P + 1, N, d)."""
    return torch.cat([part.prompts for part in _by_origin(found).values()])


def write_verification(
    folder: Path, target: Target, found: Sequence[Verification], positions: Sequence[NDArray[np.floating]]
) -> None:
    """Write the study of one target, all or nothing.

    Args:
        folder: gets PROMPTS and SUMMARY.
        target: that the prompts are for.
        found: a result for each start.
        positions: for each start, where the prompts lie in the plane, (2 P + 1, 2), in the order of `all_prompts`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row for one, places in zip(found, positions, strict=True) for row in _rows(one, places)]
    summary = {"target": asdict(target), "starts": [summarise(one) for one in found]}
    with sealed_folder(folder) as new:
        pq.write_table(pa.Table.from_pylist(rows), new / PROMPTS, compression="zstd")
        write_text(new / SUMMARY, json.dumps(summary, indent=2) + "\n")


def summarise(found: Verification) -> dict[str, Any]:
    """The figures of one start.

    `iou` and `bce` are quantiles (0, 25, 50, 75, 100 %) for `direct` and `samples`, one number for `mean`.
    `from_centre` is the distance of the distribution's mean from the middle of the direct prompts, and the median
    distance of a direct prompt from there. `noise` has mean IoUs. Which samples are better than which direct prompts
    the report counts from the rows.
    """
    direct, samples, mean = found.direct, found.samples, found.mean
    centre = direct.prompts.mean(0, keepdim=True)
    return {
        "start": found.start,
        "direct": {
            "iou": _quantiles(direct.iou),
            "bce": _quantiles(direct.bce),
            "rms": _rms(direct.prompts).median().item(),
            "steps": _quantiles(found.learnt.steps),
        },
        "samples": {"iou": _quantiles(samples.iou), "bce": _quantiles(samples.bce)},
        "mean": {"iou": mean.iou.item(), "bce": mean.bce.item(), "rms": _rms(mean.prompts).item()},
        "distribution": {"steps": found.distribution.steps, "sigma": _quantiles(found.distribution.sigma.flatten())},
        "from_centre": {
            "mean": (mean.prompts - centre).norm().item(),
            "direct": (direct.prompts - centre).flatten(1).norm(dim=1).median().item(),
        },
        "noise": [
            {"kind": kind, "size": size}
            | {origin: part.noisy_iou[kind, size].mean().item() for origin, part in _by_origin(found).items()}
            for kind, size in direct.noisy_iou
        ],
    }


def _by_origin(found: Verification) -> dict[str, Scored]:
    return dict(zip(ORIGINS, (found.direct, found.samples, found.mean), strict=True))


def _rows(found: Verification, positions: NDArray[np.floating]) -> list[dict[str, Any]]:
    rows = []
    for origin, part in _by_origin(found).items():
        columns = {"iou": part.iou, "bce": part.bce, "rms": _rms(part.prompts)}
        columns |= {noise_column(kind, size): iou for (kind, size), iou in part.noisy_iou.items()}
        values = {name: column.tolist() for name, column in columns.items()}
        for number in range(len(part.iou)):
            x, y = positions[len(rows)].tolist()
            steps = int(found.learnt.steps[number]) if origin == "direct" else None
            figures = {name: column[number] for name, column in values.items()}
            row = {"start": found.start, "origin": origin, "number": number, "steps": steps, "x": x, "y": y} | figures
            if tuple(row)[: len(PROMPT_COLUMNS)] != PROMPT_COLUMNS:
                raise ValueError(
                    f"a prompt's columns are {', '.join(row)}, but declared are {', '.join(PROMPT_COLUMNS)}"
                )
            rows.append(row)
    if len(rows) != len(positions):
        raise ValueError(f"{len(rows)} prompts and {len(positions)} positions")
    return rows


def _rms(prompts: Tensor) -> Tensor:
    return prompts.square().mean((1, 2)).sqrt()


def _quantiles(values: Tensor) -> list[float]:
    levels = torch.tensor(_QUANTILES, dtype=torch.float64)
    return values.detach().cpu().double().quantile(levels).tolist()
