"""A gradient longer than `clip_norm` is shortened to it before the step."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from prosam import layout
from prosam.methods.prompting import build_prompt_method
from prosam.params import load_params
from tasks.inputs import RunInputs
from tasks.train import train
from tests.conftest import DATASET
from tests.training.test_resuming import change_params

LR = 0.001


@pytest.mark.parametrize(("limit", "share"), [(None, 1.0), (1e-9, 1e-9 / (1e-9 + 1e-8))])
def test_a_step_of_adam_sees_the_shortened_gradient(workspace: Path, limit: float | None, share: float):
    # AdamW's first step moves an entry by lr |g| / (|g| + 1e-8): by lr, unless the gradient is as small as that
    schedule = {"kind": "cosine", "warmup": 0}
    change_params(workspace, steps=1, lr=LR, weight_decay=0.0, clip_norm=limit, schedule=schedule)
    params = load_params()
    seed = params.training(DATASET, "prosam").seed
    method = build_prompt_method(params.runs["prosam"], RunInputs(params, DATASET, "prosam").models, seed=seed)
    train(DATASET, "prosam", 0)
    trained = load_file(layout.model(DATASET, "prosam", 0) / "prompt_encoder.safetensors")
    moved = max(float((trained[name] - value).abs().max()) for name, value in method.encoder.state_dict().items())
    assert 0 < moved <= share * LR * 1.01
    assert limit is not None or moved == pytest.approx(LR, rel=0.01)


def test_the_log_has_the_norm_before_it_is_shortened(workspace: Path):
    change_params(workspace, steps=1, clip_norm=1e-9)
    train(DATASET, "prosam", 0)
    header, row = (layout.model(DATASET, "prosam", 0) / "training.csv").read_text().splitlines()
    assert float(row.split(",")[header.split(",").index("grad_norm")]) > 1e-3
