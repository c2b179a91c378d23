"""The whole plan, its text and its JSON."""

from __future__ import annotations

import json
import time

import pytest
import torch

from prosam.models.sam import build_tiny_sam, encode_images
from prosam.params import ModelsParams
from prosam.params.pipeline import Shift
from prosam.plan import make_plan, plan_as_json, plan_as_text
from prosam.plan.compute import Costs
from prosam.plan.counts import count_images
from prosam.plan.operations import Operation
from prosam.plan.rates import Rates, measure_rates
from prosam.plan.text import duration
from prosam.plan.weightless import WeightlessModels
from tests.plan.conftest import ParamsWith

CPU = torch.device("cpu")
RATES = Rates(
    {"matrix": 1e11, "batch": 1e11, "attention": 1e11, "convolution": 1e11}, 1e10, 1e9, reading=1e8, overhead=1e-5
)


def test_an_operation_takes_its_arithmetic_its_memory_and_the_overhead():
    assert RATES.seconds({Operation("matrix", 10**11, 0): 2}) == pytest.approx(2 * (1 + 1e-5))
    assert RATES.seconds({Operation("memory", 0, 10**4): 1}) == pytest.approx(1e-6 + 1e-5)  # from the cache
    assert RATES.seconds({Operation("memory", 0, 10**9): 1}) == pytest.approx(1 + 1e-5)
    assert RATES.seconds({Operation("reading", 0, 10**8): 1}) == pytest.approx(1)


def test_the_estimate_for_a_small_model_is_near_the_truth():
    torch.set_num_threads(1)
    rates = measure_rates(CPU, 128)
    models = ModelsParams.model_validate({"sam": {"name": "tiny"}, "backbones": {"a": {"architecture": "tiny-resnet"}}})
    estimated = rates.seconds(WeightlessModels(models, CPU).encoding(1))
    sam, images, measured = build_tiny_sam(), torch.zeros(1, 3, 128, 128, dtype=torch.uint8), []
    for _ in range(30):
        start = time.perf_counter()
        encode_images(sam, images)
        measured.append(time.perf_counter() - start)
    assert min(measured) / 3 < estimated < min(measured) * 3  # others use the machine


def test_the_plan_of_the_bundled_params(params_with: ParamsWith):
    plan = make_plan(params_with())
    assert plan.downloads == []
    assert plan.bytes_to_fetch == 0
    assert [stage.stage for stage in plan.computed] == ["embeddings", "features", "training", "evaluation"]
    training = plan.computed[2]
    assert training.amount == "4 x 160 steps"
    assert 10 < plan.seconds < 3600  # two cores take minutes
    text = plan_as_text(plan)
    assert "total: nothing" in text
    assert "1,600 images" in text
    assert "fits" in text
    assert all(len(line) <= 120 for line in text.splitlines() if "free on the disk of" not in line)  # a path
    content = json.loads(plan_as_json(plan))
    assert content["totals"] == {"bytes_to_fetch": 0, "seconds": pytest.approx(plan.seconds)}
    assert [stage["flops"] for stage in content["computed"]] == [stage.flops for stage in plan.computed]


def test_the_plan_of_the_papers_data_and_models(params_with: ParamsWith, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("prosam.plan.plan.measure_rates", lambda *_: RATES)
    monkeypatch.setattr("prosam.plan.disk.free_bytes", lambda _: 10**11)
    params = params_with(sam="vit_h", datasets=["pascal-5i", "coco-20i"])
    axes = {"shifts": [Shift(train="coco-20i", test="pascal-5i")], "shifted": params.pipeline.runs}
    plan = make_plan(params.model_copy(update={"pipeline": params.pipeline.model_copy(update=axes)}))
    coco = {stage.stage: stage for stage in plan.computed if stage.dataset == "coco-20i"}
    assert coco["embeddings"].flops == pytest.approx(122_218 * 2 * 2976e9, rel=0.03)
    assert coco["training"].amount == "4 x 274,000 to 557,700 steps"  # 100 epochs of 21,917 and 44,614 images by 8
    assert "features" not in coco  # 122,218 x 59 MB are no table
    # at least the backbone: 199 GFLOP for the target, and as much for the reference, whose level 4 is a masked one
    pairs = sum(100 * 8 * -(-images // 8) for images in (21_917, 41_809, 43_045, 44_614))
    assert coco["training"].flops > pairs * 395e9
    shift = plan.computed[-1]
    assert (shift.dataset, shift.stage, shift.amount) == ("coco-20i-to-pascal-5i", "shift", "4 x 600 episodes")
    text = plan_as_text(plan)
    assert "VOCtrainval_11-May-2012.tar" in text
    assert "DOES NOT FIT" in text
    assert plan.bytes_to_fetch > 26.3e9


def test_each_run_and_fold_is_a_training_and_an_evaluation(params_with: ParamsWith):
    params = params_with()
    pipeline = params.pipeline.model_copy(update={"runs": ["prosam", "prosam-box", "prosam-point"], "folds": [0, 1]})
    costs = Costs(params.model_copy(update={"pipeline": pipeline}), WeightlessModels(params.models, CPU), RATES)
    counts = count_images("shapes-5i", params.datasets["shapes-5i"], pipeline.folds)
    assert costs.training("shapes-5i", counts).amount == "6 x 160 steps"
    assert costs.evaluation("shapes-5i", counts.total, pipeline.runs).amount == "6 x 600 episodes"


def test_a_data_set_that_is_only_tested_on_is_embedded_and_not_trained_on(
    params_with: ParamsWith, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("prosam.plan.plan.measure_rates", lambda *_: RATES)
    params, other = params_with(), "shapes-print-5i"
    axes = {"shifts": [Shift(train="shapes-5i", test=other)], "shifted": ["prosam"], "tested": [other]}
    plan = make_plan(params.model_copy(update={"pipeline": params.pipeline.model_copy(update=axes)}))
    stages = [(stage.dataset, stage.stage) for stage in plan.computed]
    assert [stage for name, stage in stages if name == other] == ["embeddings", "features"]
    assert ("shapes-5i", "training") in stages
    assert stages[-1] == (f"shapes-5i-to-{other}", "shift")
    assert plan.what.startswith("shapes-5i with SAM tiny: 4 trainings ")
    assert f"{other} written" in {item.what for item in plan.written}


def test_a_look_at_the_test_episodes_costs_what_as_many_base_episodes_cost(params_with: ParamsWith):
    params = params_with()
    counts = count_images("shapes-5i", params.datasets["shapes-5i"], [0])

    def flops(select: str, monitor_episodes: int) -> float:
        train = params.train.model_copy(update={"select": select})
        folds = params.folds.model_copy(update={"episodes": 600, "monitor_episodes": monitor_episodes})
        changed = params.model_copy(update={"train": train, "folds": folds})
        return Costs(changed, WeightlessModels(changed.models, CPU), RATES).training("shapes-5i", counts).flops

    assert flops("best-on-test", 100) == pytest.approx(flops("last", 700))
    assert flops("last", 700) > 1.01 * flops("last", 100)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(7, "7 s"), (600, "10 min"), (3 * 3600 + 1200, "3 h 20 min"), (22 * 86400, "528 h (22 days)")],
)
def test_times_are_for_people(seconds: float, words: str):
    assert duration(seconds) == words
