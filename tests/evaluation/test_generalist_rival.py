"""Stage rival with a network of its own, whose checkpoint params.yaml names."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML
from torch.nn import functional as F

from prosam import layout
from prosam.data.formats.masks import decode
from prosam.data.formats.voc import VocDataset
from tasks.annotations import draw_annotations
from tasks.backbone import backbone
from tasks.rival import rival
from tests.conftest import DATASET
from tests.methods.generalist_formulas import SIDE, authors_weights, painted

pytest.importorskip("transformers")


def test_episodes_get_the_masks_that_painter_paints(prepared_workspace: Path, tmp_path: Path):
    workspace = tmp_path / "workspace"
    shutil.copytree(prepared_workspace, workspace)
    state = authors_weights(tokens=False)
    torch.save({"model": state}, workspace / "painter.pth")
    yaml = YAML(typ="safe")
    params = yaml.load(workspace / "params.yaml")
    params["rivals"]["painter"] = {"method": "painter", "checkpoint": "painter.pth"}
    yaml.dump(params, workspace / "params.yaml")
    with contextlib.chdir(workspace):
        backbone("painter")
        draw_annotations(DATASET, "painter")
        rival(DATASET, "painter", 0)
    rows = pd.read_parquet(workspace / layout.results(DATASET, "painter", 0) / "episodes.parquet")
    dataset, row = VocDataset(workspace / layout.raw(DATASET)), rows.iloc[0]

    def square(image: np.ndarray, how: Image.Resampling) -> np.ndarray:
        return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), how))

    reference = square(dataset.image(row["reference"]), Image.Resampling.BICUBIC)
    mask = square(dataset.mask(row["reference"], row["class_id"]), Image.Resampling.NEAREST)
    target = square(dataset.image(row["target"]), Image.Resampling.BICUBIC)
    small = torch.from_numpy(painted(state, [(reference, mask)], target, None)).permute(2, 0, 1)[None]
    large = F.interpolate(small, (row["height"], row["width"]), mode="bilinear")[0].floor()
    expected = (large.mean(0) > 127.5).numpy()
    found = decode(row["prediction"], row["height"], row["width"])
    assert 0 < expected.mean() < 1
    assert (found == expected).mean() > 0.999  # colours on the verge of the next whole number
