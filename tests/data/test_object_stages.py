"""The stages download and folds, as params.yaml has them, on trees of coco128, LVIS, PASCAL-Part and PACO-Part."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from prosam import layout
from prosam.data.episodes import read_episodes
from prosam.data.fold_files import read_fold
from prosam.data.open import open_dataset
from prosam.remarks import collecting
from tasks.download import download
from tasks.folds import folds
from tests.data.coco2017_tree import write_lvis_tree, write_paco_tree
from tests.data.pascal_part_tree import write_pascal_part_tree
from tests.data.yolo_tree import write_coco128_tree

PARAMS = Path(__file__).parents[2] / "params.yaml"
WRITERS = {
    "coco128": lambda root: write_coco128_tree(root, 32),
    "lvis-92i": write_lvis_tree,
    "pascal-part": write_pascal_part_tree,
    "paco-part": write_paco_tree,
}
FOLDS = {  # number of folds, and names of the classes that the second one tests
    "coco128": (4, ("bicycle", "bus", "traffic light")),
    "lvis-92i": (10, ("kind_2",)),
    "pascal-part": (4, ("bottle+HEAD", "bottle+TAIL")),
    "paco-part": (4, ("bottle:2", "bottle:6")),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_tree_becomes_folds_with_episodes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    WRITERS[name](tmp_path / "given")
    yaml = YAML()
    params = yaml.load(PARAMS)
    params["datasets"][name]["download"]["data_root"] = str(tmp_path / "given")
    params["datasets"][name]["protocol"]["episodes"] = 20
    params["folds"] |= {"monitor_episodes": 5, "shots": [1, 2]}
    yaml.dump(params, tmp_path / "params.yaml")
    with collecting():
        download(name)
        folds(name)
    count, tested = FOLDS[name]
    data = open_dataset(layout.raw(name))
    assert len(list(layout.folds(name).glob("fold-*.json"))) == count
    fold = read_fold(layout.folds(name) / "fold-1.json")
    assert tuple(data.classes[class_id - 1] for class_id in fold.novel) == tested
    episodes = read_episodes(layout.folds(name) / "episodes-1.csv")
    assert {episode.class_id for episode in episodes} == set(fold.novel)
    for episode in episodes:
        assert episode.reference.split("-")[0] != episode.target.split("-")[0]  # of two images, not only two objects
        for image in (episode.reference, episode.target):
            assert data.mask(image, episode.class_id).any()
            assert data.image(image).shape[:2] == data.mask(image, episode.class_id).shape
