"""Chest X-rays: one class, from the masks that PATNet's code reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prosam.data.formats.masks import decode
from prosam.errors import InputError
from tests.data.benchmark_trees import box, read_benchmark, write_lungs_tree


def test_x_rays_with_a_mask_are_read_and_others_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_lungs_tree(tmp_path, ["CHNCXR_0001_0", "CHNCXR_0002_0"], without=["MCUCXR_0001_0"])
    found = read_benchmark("lungs", "lungs", tmp_path)
    records = list(found.records)
    assert found.classes == ("lung",)
    assert [record.image for record in records] == ["CHNCXR_0001_0", "CHNCXR_0002_0"]
    assert np.array_equal(decode(records[1].masks[1], 64, 64), box(64, 64, 1))
    assert "has 2 images, not 566" in capsys.readouterr().out


def test_a_mask_without_its_x_ray_is_refused(tmp_path: Path):
    write_lungs_tree(tmp_path, ["CHNCXR_0001_0"])
    (tmp_path / "CXR_png/CHNCXR_0001_0.png").unlink()
    with pytest.raises(InputError, match=r"CXR_png/CHNCXR_0001_0\.png: not found"):
        list(read_benchmark("lungs", "lungs", tmp_path).records)
