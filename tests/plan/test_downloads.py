"""What is to be fetched, and what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from prosam import layout
from prosam.data.sources.published import SBD, VOC
from prosam.errors import InputError
from prosam.plan.downloads import PlannedDownload, downloads
from tests.plan.conftest import ParamsWith

VIT_H = "sam_vit_h_4b8939.pth"


def sizes(files: list[PlannedDownload]) -> dict[str, int | None]:
    return {file.file: file.bytes for file in files}


def hollow(path: Path, size: int) -> None:
    """A file of a size that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


@pytest.mark.parametrize("sam", ["tiny", "lite"])
def test_bundled_models_fetch_nothing(params_with: ParamsWith, sam: str):
    params = params_with(sam=sam)
    assert downloads(params) == []
    run = params.runs["prosam"].model_copy(update={"backbone": "tiny-vgg"})
    assert downloads(params.model_copy(update={"runs": {"prosam": run}})) == []


def test_with_nothing_there_all_is_to_be_fetched(params_with: ParamsWith):
    found = sizes(downloads(params_with(sam="vit_h", datasets=["pascal-5i", "coco-20i"])))
    assert found[VOC.archive.name] == 1_999_639_040
    assert found[VIT_H] == 2_564_550_879
    assert sum(found[name] or 0 for name in ("train2014.zip", "val2014.zip", "annotations_trainval2014.zip")) == (
        13_510_573_713 + 6_645_013_297 + 252_872_794
    )
    assert "resnet50-0676ba61.pth" in found


def test_of_a_pool_without_sbd_only_voc_is_fetched(params_with: ParamsWith):
    found = sizes(downloads(params_with(sam="vit_b", datasets=["pascal-5i"], pool="voc")))
    assert VOC.archive.name in found
    assert SBD.archive.name not in found


def test_what_is_there_is_not_fetched_and_a_part_goes_on(params_with: ParamsWith):
    params, sources = params_with(sam="vit_h", datasets=["pascal-5i"]), layout.sources("pascal-5i")
    hollow(sources / VOC.archive.name, 1_999_639_040)
    hollow(sources / f".{SBD.archive.name}.part", 1_000_000_000)
    hollow(layout.sources("weights") / VIT_H, 2_564_550_879)
    found = sizes(downloads(params))
    assert (found[VOC.archive.name], found[SBD.archive.name], found[VIT_H]) == (0, 419_539_633, 0)


def test_data_root_is_not_fetched(params_with: ParamsWith, tmp_path: Path):
    root = tmp_path / "mine"
    (root / VOC.content).mkdir(parents=True)
    hollow(root / SBD.archive.name, 1_419_539_633)
    params = params_with(sam="vit_h", datasets=["pascal-5i"], data_root=str(root))
    found = sizes(downloads(params))
    assert (found[VOC.archive.name], found[SBD.archive.name]) == (0, 0)


def test_a_checkpoint_of_ones_own_is_there_or_an_error(params_with: ParamsWith, tmp_path: Path):
    params = params_with(sam="vit_b")
    models = params.models.model_copy(update={"sam": params.models.sam.model_copy(update={"checkpoint": "my.pth"})})
    params = params.model_copy(update={"models": models})
    with pytest.raises(InputError, match=r"^my\.pth: no such file; params\.yaml names it as models\.sam\.checkpoint$"):
        downloads(params)
    hollow(tmp_path / "my.pth", 10)
    assert sizes(downloads(params))["my.pth"] == 0


def test_the_size_of_a_checkpoint_by_url_is_unknown(params_with: ParamsWith):
    params = params_with(sam="vit_b")
    sam = params.models.sam.model_copy(update={"checkpoint": "https://x.org/a/b.pth", "sha256": "0" * 8})
    params = params.model_copy(update={"models": params.models.model_copy(update={"sam": sam})})
    assert sizes(downloads(params))["b.pth"] is None


def test_a_missing_data_root_is_named(params_with: ParamsWith):
    with pytest.raises(InputError, match="/nowhere: no such folder"):
        downloads(params_with(datasets=["pascal-5i"], data_root="/nowhere"))
