"""Methods that train nothing, in the plan."""

from __future__ import annotations

import pytest
import torch

from prosam.params import Params
from prosam.params.rivals import PainterRival, SegGptRival
from prosam.plan import make_plan
from prosam.plan.compute import Costs
from prosam.plan.downloads import downloads
from prosam.plan.operations import flops_of
from prosam.plan.rates import Rates
from prosam.plan.rivals import METHOD_NEEDS, prompts_per_target
from prosam.plan.weightless import WeightlessModels
from tests.plan.conftest import ParamsWith

RATES = Rates(
    {"matrix": 1e11, "batch": 1e11, "attention": 1e11, "convolution": 1e11}, 1e10, 1e9, reading=1e8, overhead=1e-5
)


def costs_of(params: Params) -> tuple[Costs, WeightlessModels]:
    models = WeightlessModels(params.models, torch.device("cpu"))
    return Costs(params, models, RATES), models


def with_shots(params: Params, *shots: int) -> Params:
    return params.model_copy(update={"folds": params.folds.model_copy(update={"shots": shots})})


def test_every_method_of_the_bundled_params_has_its_needs_and_prompts(params_with: ParamsWith):
    rivals = params_with().rivals
    prompts = {(one.method, prompts_per_target(one)) for one in rivals.values() if one.method in METHOD_NEEDS}
    # Matcher: 64 sets of each size from 1 to 6, and a grid of 64 x 64
    assert prompts == {("persam", 3), ("persam-f", 3), ("matcher", 6 * 64 + 64 * 64), ("gf-sam", 128), ("insid3", 0)}


def test_the_work_is_that_of_the_images_and_of_the_prompts(params_with: ParamsWith):
    params = params_with()
    costs, models = costs_of(params)
    tokens = flops_of(costs.tokens("tiny-resnet")[1])
    images, times = 2 * 600, 4
    found = costs.rival("shapes-5i", "insid3")
    assert found.flops == pytest.approx(times * images * tokens)
    assert found.amount == "insid3, 4 x 600 episodes"
    found = costs.rival("shapes-5i", "gf-sam")
    assert found.flops == pytest.approx(times * (images * tokens + 600 * 16 * flops_of(costs.asked(8))), rel=0.02)
    assert found.amount == "gf-sam, 4 x 600 episodes, embeddings stored"
    found = costs.rival("shapes-5i", "persam")
    encoded = images * flops_of(models.own_encoding)
    assert found.flops == pytest.approx(times * (encoded + 600 * flops_of(costs.asked(3))))
    assert found.amount == "persam, 4 x 600 episodes, embeddings computed"


def test_five_shots_are_four_more_images_and_another_answer(params_with: ParamsWith):
    params = params_with()
    one, five = (costs_of(with_shots(params, *shots))[0].rival("shapes-5i", "insid3") for shots in ((1,), (1, 5)))
    assert five.flops == pytest.approx(one.flops * 6 / 2)
    assert five.amount == "insid3, 4 x 600 episodes at 1 and 5 shots"


def test_boxes_cost_an_embedding_of_each_reference_for_their_masks(params_with: ParamsWith):
    params = params_with()
    boxes = params.rivals["gf-sam"].model_copy(update={"kind": "box"})
    params = params.model_copy(update={"rivals": params.rivals | {"boxes": boxes}})
    costs, models = costs_of(params)
    of_masks, of_boxes = (costs.rival("shapes-5i", name).flops for name in ("gf-sam", "boxes"))
    assert of_boxes - of_masks == pytest.approx(4 * 600 * flops_of(models.own_encoding))


def test_the_backbone_of_a_rival_is_fetched_as_well(params_with: ParamsWith):
    params = params_with(sam="vit_h")
    own = params.rivals["gf-sam"].model_copy(update={"backbone": "dinov2"})
    pipeline = params.pipeline.model_copy(update={"rivals": ["gf-sam", "persam"]})
    changed = params.model_copy(update={"rivals": params.rivals | {"gf-sam": own}, "pipeline": pipeline})
    more = {file.file for file in downloads(changed)} - {file.file for file in downloads(params)}
    assert len(more) == 1
    assert "dinov2" in more.pop()


def with_generalists(params: Params) -> Params:
    rivals = params.rivals | {"mine": SegGptRival(method="seggpt"), "painter": PainterRival(method="painter")}
    pipeline = params.pipeline.model_copy(update={"rivals": ["mine"]})
    return params.model_copy(update={"rivals": rivals, "pipeline": pipeline})


def vit_large_flops(references: int) -> int:
    """Of 24 blocks of a ViT-L over 56 x 28 patches, of which three see image and colours apart, and of the decoder.

    The decoder turns four blocks' tokens into 64 channels of each of 16 x 16 pixels, and convolves these 3 x 3.
    """
    tokens, channels, blocks = 56 * 28, 1024, 24 + 3
    projections, attention = 12 * tokens * channels**2, 2 * tokens**2 * channels
    decoder = tokens * 4 * channels * 64 * 256 + tokens * 256 * 9 * 64**2
    return 2 * references * (blocks * (projections + attention) + decoder)


def test_the_work_of_seggpt_and_painter_is_that_of_a_vit_large(params_with: ParamsWith):
    params = with_generalists(with_shots(params_with(), 1, 5))
    costs, _ = costs_of(params)
    expected = 4 * 600 * (vit_large_flops(1) + vit_large_flops(5))
    for name in ("mine", "painter"):  # five references are five times the work, at once or one after the other
        found = costs.rival("shapes-5i", name)
        assert found.flops == pytest.approx(expected, rel=0.03)
        assert found.amount == f"{name}, 4 x 600 episodes at 1 and 5 shots"


def test_a_network_of_its_own_is_fetched_and_its_time_is_left_out_without_its_library(
    params_with: ParamsWith, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("prosam.plan.plan.measure_rates", lambda *_: RATES)
    monkeypatch.setattr("prosam.plan.plan.find_spec", lambda name: None)
    plan = make_plan(with_generalists(params_with()))
    assert [file.what for file in plan.downloads] == ["seggpt"]
    assert any(line.startswith("time: without that of mine, which needs transformers") for line in plan.assumed)
    assert "rival" not in {stage.stage for stage in plan.computed}
