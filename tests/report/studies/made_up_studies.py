"""Made-up rows of every study, for the episodes of a tree of pipeline outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from prosam import layout
from prosam.params import Params, load_params
from prosam.studies.declaration import PIXELS, ROWS, declared
from prosam.studies.strategies import STRATEGIES

STUDIES = ["prompt_noise", "annotation_noise", "corruption", "strategies", "references", "absent", "curvature"]
RUNS, FOLDS = ("prosam", "vrp-sam"), (0, 1)
STEP_CAP = 20


def add_studies(params_file: Path, studies: list[str], starts: list[int]) -> None:
    """Name studies and starts in a params.yaml."""
    yaml = YAML(typ="safe")
    content = yaml.load(params_file)
    content["pipeline"] |= {"studies": studies, "studied": list(RUNS) if studies else [], "starts": starts}
    content["verification"] = {"max_steps": STEP_CAP}
    yaml.dump(content, params_file)


def write_studies() -> Params:
    """Write all studies below the current folder, and name them in its params.yaml."""
    add_studies(Path("params.yaml"), STUDIES, [0, 1])
    for run in RUNS:
        for fold in FOLDS:
            episodes = pd.read_parquet(layout.results("toy", run, fold) / "episodes.parquet")
            rng = np.random.default_rng((len(run), fold))
            for study in STUDIES:
                rows = [
                    {"episode": int(episode), "class_id": int(class_id), **row}
                    for episode, class_id in zip(episodes["episode"], episodes["class_id"], strict=True)
                    for row in _ROWS[study](int(episode), run, rng)
                ]
                folder = layout.study("toy", run, fold, study)
                folder.mkdir()
                pd.DataFrame(rows)[list(declared(study).columns)].to_parquet(folder / ROWS)
    for start in (0, 1):
        _write_start(start)
    return load_params()


def _pixels(quality: float, rng: np.random.Generator) -> dict[str, Any]:
    union = int(rng.integers(50, 100))
    intersection = int(union * min(1, max(0, quality + rng.uniform(-0.1, 0.1))))
    counts = (intersection, union, 1000 - union, 1000 - intersection, 0)
    return dict(zip(PIXELS, (*counts, intersection / union), strict=True))


def _prompt_noise(episode: int, run: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """vrp-sam is as good as prosam without noise, and much worse with the largest of it."""
    conditions = [("relative", 0.0, 1), ("relative", 0.5, 2), ("relative", 1.0, 2), ("absolute", 0.5, 2)]
    cost = 0.1 if run == "prosam" else 0.5
    return [
        {"scale": scale, "size": size, "draw": draw, "prompt_rms": 1.0, **_pixels(0.7 - cost * size**2, rng)}
        for scale, size, draws in conditions
        for draw in range(draws)
    ]


def _annotation_noise(episode: int, run: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Every third episode's reference shows no other object."""
    conditions = [("none", 0.0), ("shift", 0.5), ("erode", 0.25), ("erode", 0.5), ("wrong", 0.0)]
    return [
        {"change": change, "size": size, **_pixels(0.2 if change == "wrong" else 0.7 - 0.2 * size, rng)}
        for change, size in conditions
        if change != "wrong" or episode % 3
    ]


def _corruption(episode: int, run: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    keys = [("none", 0), ("blur", 1), ("blur", 5), ("noise", 1), ("noise", 5)] if episode < 20 else []
    return [
        {"corruption": name, "severity": size, "side": side, **_pixels(0.7 - 0.05 * size, rng)}
        for side in ("target", "reference")
        for name, size in keys
    ]


def _strategies(episode: int, run: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """The samples of vrp-sam are all alike."""
    disagreement = float(rng.uniform()) if run == "prosam" else 0.0
    return [
        {"strategy": strategy, "disagreement": disagreement, **_pixels(0.8 - 0.5 * disagreement, rng)}
        for strategy in STRATEGIES
    ]


def _references(episode: int, run: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Every other episode has three references, the others have two."""
    there = 2 + episode % 2
    conditions = [("single", 1, choice) for choice in range(3)]
    conditions += [(merge, k, 0) for merge in ("concatenated", "averaged") for k in (1, 2, 3)]
    return [
        {"merge": merge, "k": k, "choice": choice, **_pixels(0.5 + 0.1 * k, rng)}
        for merge, k, choice in conditions
        if k <= there and choice < there
    ]


def _absent(episode: int, run: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {
            "image": f"val_{episode % 12:03d}",
            "present": present,
            "presence": round(float(rng.uniform(0.3, 1) if present else rng.uniform(0, 0.6)), 2),  # with ties
            "area": (area := float(rng.uniform(0, 0.5))),
            "false_area": area if not present else area / 2,
        }
        for present in (True, False)
    ]


def _curvature(episode: int, run: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """What noise of size 0.5 costs is far above what is predicted; what little noise costs is not."""
    if episode >= 8:
        return []
    names = ("gap", "predicted", "excess")
    return [
        {
            "noise": noise,
            "size": size,
            "eta": size,
            "loss": 0.4,
            "rms": 1.0,
            "laplacian": 0.1,
            "laplacian_se": 0.01,
            **{name: float(rng.normal(0.3 if size == 0.5 else 0, 0.01)) for name in names},
            **{f"{name}_se": 0.01 for name in names},
        }
        for noise, size in (("absolute", 0.01), ("absolute", 0.5), ("own", 1.0))
        if noise != "own" or run == "prosam"
    ]


_ROWS = {
    "prompt_noise": _prompt_noise,
    "annotation_noise": _annotation_noise,
    "corruption": _corruption,
    "strategies": _strategies,
    "references": _references,
    "absent": _absent,
    "curvature": _curvature,
}


def _write_start(start: int) -> None:
    """Samples are better than most of the direct prompts; the cap ended a quarter of those."""
    rng = np.random.default_rng(start)
    rows = []
    for origin, count, middle in (("direct", 12, 0.6), ("sample", 12, 0.8), ("mean", 1, 0.85)):
        for number in range(count):
            iou = float(np.clip(rng.normal(middle, 0.1), 0, 1))
            steps = (STEP_CAP if number % 4 == 0 else 10) if origin == "direct" else None
            x, y = rng.normal(size=2).tolist()
            noisy = {"iou.absolute_0.25": iou - 0.05, "iou.absolute_1": iou - 0.2, "iou.relative_0.1": iou}
            rows.append(
                {"start": start, "origin": origin, "number": number, "iou": iou, "bce": 1 - iou, "rms": 1.0}
                | {"steps": steps, "x": x, "y": y, **noisy}
            )
    folder = layout.verification("toy", start)
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(folder / "prompts.parquet")
    summary = {
        "target": {"image": "val_000", "class_id": 1, "share": 0.1},
        "starts": [
            {
                "start": start,
                "distribution": {"steps": STEP_CAP if start else 10},
                "from_centre": {"mean": 3.0 + start, "direct": 12.0 - 8.5 * start},
            }
        ],
    }
    (folder / "summary.json").write_text(json.dumps(summary))
