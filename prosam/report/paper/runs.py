"""What a run must be to be compared with the paper's numbers; its name alone is not enough.

`dvc exp run -S runs.prosam.kind=box` changes the run and keeps the name. What defines a row of the paper's tables must
agree; what else differs, such as the recipe, is stated beside the numbers (setup.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prosam.params import Params
from prosam.report.inputs import Setting, names_in_words
from prosam.report.paper.published import PublishedRow, published_rows

PRINTED_BACKBONES = {
    "resnet50": "ResNet-50",
    "resnet50-deep-stem": "ResNet-50",
    "vgg16-bn": "VGG-16",
    "vgg16-bn-vrp-sam": "VGG-16",
    "dinov2-vits14": "DINOv2 ViT-S/14",
    "dinov2-vitb14": "DINOv2 ViT-B/14",
    "dinov2-vitl14": "DINOv2 ViT-L/14",
    "dinov2-reg-vits14": "DINOv2 ViT-S/14 with registers",
    "dinov2-reg-vitb14": "DINOv2 ViT-B/14 with registers",
    "dinov2-reg-vitl14": "DINOv2 ViT-L/14 with registers",
    "dinov3-vits16": "DINOv3 ViT-S/16",
    "dinov3-vitb16": "DINOv3 ViT-B/16",
    "dinov3-vitl16": "DINOv3 ViT-L/16",
    "dinov3-convnext-tiny": "DINOv3 ConvNeXt-T",
    "dinov3-convnext-small": "DINOv3 ConvNeXt-S",
}
_BUNDLED = {"tiny-resnet": "ResNet-50", "tiny-vgg": "VGG-16"}  # of that kind; that they are small is told

_PROSAM = {
    "method": "prosam",
    "kind": "mask",
    "distribution": "t3",
    "nu": 5.0,
    "appended_linear": 0,
    "backbone": "ResNet-50",
}
_GAUSSIAN = _PROSAM | {"distribution": "gaussian", "nu": None}  # it has none
_VRP_SAM = _PROSAM | {"method": "vrp-sam", "distribution": "dirac", "nu": None}

PAPER_RUNS: dict[str, dict[str, Any]] = {
    "prosam": _PROSAM,
    "prosam-point": _PROSAM | {"kind": "point"},
    "prosam-scribble": _PROSAM | {"kind": "scribble"},
    "prosam-box": _PROSAM | {"kind": "box"},
    "prosam-gaussian": _GAUSSIAN,
    "prosam-matched-gaussian": _PROSAM | {"distribution": "matched_gaussian"},  # of that t3's size
    "prosam-student-t": _PROSAM | {"distribution": "student_t"},
    "prosam-vgg": _PROSAM | {"backbone": "VGG-16"},
    "prosam-dinov2": _PROSAM | {"backbone": "DINOv2 ViT-B/14"},
    "vrp-sam": _VRP_SAM,
    "vrp-sam-point": _VRP_SAM | {"kind": "point"},
    "vrp-sam-scribble": _VRP_SAM | {"kind": "scribble"},
    "vrp-sam-box": _VRP_SAM | {"kind": "box"},
    "vrp-sam-vgg": _VRP_SAM | {"backbone": "VGG-16"},
    "vrp-sam-dinov2": _VRP_SAM | {"backbone": "DINOv2 ViT-B/14"},
    "vrp-sam-2linear": _VRP_SAM | {"appended_linear": 2},
}
"""What defines each run in the paper; nu is None for distributions that have none."""


def departures(params: Params, run: str) -> tuple[str, ...]:
    """How a run departs from what its name stands for, such as `kind box, not mask`; empty for other names."""
    entry, wanted = params.runs[run], PAPER_RUNS.get(run, {})
    architecture = params.models.backbones[params.backbone(run)].architecture
    ours = {
        "method": entry.method,
        "kind": entry.kind,
        "distribution": entry.prompt_distribution,
        "nu": None if entry.prompt_distribution in ("gaussian", "dirac") else entry.nu,
        "appended_linear": entry.appended_linear,
        "backbone": (PRINTED_BACKBONES | _BUNDLED).get(architecture, architecture),
    }
    return tuple(
        f"{key} {ours[key]}, not {value}"
        for key, value in wanted.items()
        if ours[key] != value and None not in (ours[key], value)
    )


def comparable_rows(params: Params, setting: Setting) -> list[PublishedRow]:
    """All published rows; `run` is empty if our run departs from the row, as it is for methods that are not here."""
    departed = {run for run in setting.runs if departures(params, run)}
    return [replace(row, run="") if row.run in departed else row for row in published_rows()]


def departed_note(params: Params, setting: Setting) -> str:
    """Which runs have a name from the paper and depart from it; empty if none do."""
    told = [f"{run} ({'; '.join(gone)})" for run in setting.runs if (gone := departures(params, run))]
    return f"Not compared with the paper: {names_in_words(told)}." if told else ""
