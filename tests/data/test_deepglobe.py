"""DeepGlobe: 6 x 6 tiles, of which those with several colours and no rare one are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam.data.formats.image_files import read_image
from prosam.data.formats.masks import decode
from prosam.errors import InputError
from tests.data.benchmark_trees import read_benchmark, write_deepglobe_tree

SIDE = 20  # px, of a tile


def cover() -> np.ndarray:
    """Class names (120, 120): all forest, but for four of the 36 tiles."""
    names = np.full((6 * SIDE, 6 * SIDE), "forest", object)
    names[:SIDE, :10] = "water"  # tile 00: half
    names[SIDE : SIDE + 1, :19] = "urban"  # tile 10: 19 of 400 px, 4.75%
    names[SIDE : SIDE + 1, SIDE : 2 * SIDE] = "urban"  # tile 11: 5%
    names[5 * SIDE :, 5 * SIDE : 5 * SIDE + 5] = "unknown"  # tile 55: a quarter
    return names


def test_tiles_are_cut_filtered_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_deepglobe_tree(tmp_path, {"119": cover()})
    found = read_benchmark("deepglobe", "deepglobe", tmp_path)
    records = {record.image: record for record in found.records}
    assert found.classes == ("agriculture", "urban", "rangeland", "forest", "water", "barren")
    assert list(records) == ["119_sat_00", "119_sat_11", "119_sat_55"]
    assert records["119_sat_00"].masks.keys() == {4, 5}
    assert records["119_sat_11"].masks.keys() == {2, 4}
    assert records["119_sat_55"].masks.keys() == {4}  # unknown land is no class
    water = np.zeros((SIDE, SIDE), bool)
    water[:, :10] = True
    assert np.array_equal(decode(records["119_sat_00"].masks[5], SIDE, SIDE), water)
    whole, tile = (read_image(tmp_path / p).astype(int) for p in ("train/119_sat.jpg", "tiles/119_sat_11.jpg"))
    assert tile.shape == (SIDE, SIDE, 3)
    assert abs(tile.mean() - whole[SIDE : 2 * SIDE, SIDE : 2 * SIDE].mean()) < 5
    assert sorted(path.name for path in (tmp_path / "tiles").iterdir()) == [f"{name}.jpg" for name in records]
    assert "has 1 images, not 803" in capsys.readouterr().out


def test_colours_that_are_not_pure_count_as_the_nearest(tmp_path: Path):
    write_deepglobe_tree(tmp_path, {"1": cover()})
    pure = list(read_benchmark("deepglobe", "deepglobe", tmp_path).records)
    path = tmp_path / "train/1_mask.png"
    soft = np.clip(np.asarray(Image.open(path)).astype(int), 7, 240).astype(np.uint8)
    Image.fromarray(soft).save(path)
    assert list(read_benchmark("deepglobe", "deepglobe", tmp_path).records) == pure


def test_an_image_without_its_mask_is_refused(tmp_path: Path):
    write_deepglobe_tree(tmp_path, {"1": cover()})
    (tmp_path / "train/1_mask.png").unlink()
    with pytest.raises(InputError, match=r"1_mask\.png: not found; 1_sat\.jpg needs it"):
        read_benchmark("deepglobe", "deepglobe", tmp_path)
