"""The whole plan for a params.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec

import torch

from prosam import layout
from prosam.data.catalog.source import source_of
from prosam.distributed.device import prepare_device
from prosam.features.embedding_forms import row_bytes
from prosam.params import Params
from prosam.plan.compute import Computed, Costs
from prosam.plan.counts import ImageCounts, count_images
from prosam.plan.disk import Disk, Written, data_written, disks, embeddings_written, store_is_there
from prosam.plan.downloads import PlannedDownload, downloads
from prosam.plan.rates import Rates, measure_rates
from prosam.plan.rivals import METHOD_NEEDS
from prosam.plan.weightless import WeightlessModels

_STATES = 4  # a training's checkpoint has weights and AdamW's two moments, and the trained model has weights again


@dataclass(frozen=True)
class Plan:
    """The costs of `dvc repro`, starting from the files in data/sources, data/raw and data/embeddings.

    Attributes:
        what: the data sets, models and trainings, in one line.
        device: the device that computes.
        downloads: the needed files, including those that are there.
        written: what will be written.
        disks: the disks that it is written to.
        computed: the stages.
        assumed: the assumptions behind the numbers.
    """

    what: str
    device: str
    downloads: list[PlannedDownload]
    written: list[Written]
    disks: list[Disk]
    computed: list[Computed]
    assumed: list[str]

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes to download, of the files of known size."""
        return sum(file.bytes or 0 for file in self.downloads)

    @property
    def seconds(self) -> float:
        """Time of all stages, one after the other."""
        return sum(stage.seconds for stage in self.computed)


def make_plan(params: Params) -> Plan:
    """Estimate the costs of the pipeline of params.yaml. Nothing is downloaded; it computes for a second or two.

    Raises:
        InputError: params.yaml names a file, folder or device that is missing.
    """
    files = downloads(params)
    pipeline = params.pipeline
    counts = {name: count_images(name, params.datasets[name], pipeline.folds) for name in pipeline.prepared}
    device = prepare_device(params)
    models, rates = WeightlessModels(params.models, device), measure_rates(device, params.models.size)
    costs = Costs(params, models, rates)
    written, name = list(_written(params, files, counts, models, costs)), _name(device)
    return Plan(
        what=_what(params),
        device=name,
        downloads=files,
        written=written,
        disks=disks(written),
        computed=list(_computed(params, counts, costs)),
        assumed=[*_assumed(counts, rates, name, rivals=bool(pipeline.rivals)), *_not_counted(params)],
    )


def _written(
    params: Params, files: list[PlannedDownload], counts: dict[str, ImageCounts], models: WeightlessModels, costs: Costs
) -> Iterator[Written]:
    yield from data_written(params, files)
    used = {run: params.backbone(run) for run in params.pipeline.runs}
    of_rivals = [name for rival in params.pipeline.rivals if (name := params.backbone_of_rival(rival))]
    if not layout.sam_weights().is_dir():
        copies = [*used.values(), *of_rivals]  # one for each run and rival
        weights = models.sam_weight_bytes + sum(costs.backbone(backbone).weight_bytes for backbone in copies)
        yield Written("frozen weights", weights, str(layout.sam_weights().parent))
    for name, images in counts.items():
        each = row_bytes(models.embedding_shape, params.embeddings.store)
        yield from embeddings_written(name, params, images, each)
        for backbone in dict.fromkeys(used.values()):
            if costs.has_table(backbone, images.total):
                size = images.total * costs.backbone(backbone).feature_bytes
                yield Written(f"{name} features, {backbone}", size, str(layout.scratch() / "features"), exact=True)
    numbers = sum(models.trainable_parameters(params.runs[run], backbone) for run, backbone in used.items())
    trainings = len(params.pipeline.datasets) * len(params.pipeline.folds)
    if numbers:
        yield Written("trained models, checkpoints", 4 * _STATES * numbers * trainings, str(layout.scratch()))


def _computed(params: Params, counts: dict[str, ImageCounts], costs: Costs) -> Iterator[Computed]:
    for name, images in counts.items():
        there = store_is_there(name, params, images)
        yield costs.embeddings(name, 0 if there else images.total)
        yield from costs.features(name, images.total)
        if name in params.pipeline.datasets:
            if params.pipeline.runs:
                yield costs.training(name, images)
                yield costs.evaluation(name, images.total, params.pipeline.runs)
            yield from _of_rivals(params, name, costs, len(params.pipeline.folds))
        if name in params.pipeline.compared:
            yield from _of_rivals(params, name, costs, 1)
    for shift in params.pipeline.shifts:
        name = layout.shift(shift.train, shift.test)
        tests = costs.evaluation(shift.test, counts[shift.test].total, params.pipeline.shifted)
        yield replace(tests, dataset=name, stage="shift")


def _of_rivals(params: Params, name: str, costs: Costs, folds: int) -> Iterator[Computed]:
    uncounted = _uncounted(params)
    yield from (costs.rival(name, rival, folds) for rival in params.pipeline.rivals if rival not in uncounted)


def _uncounted(params: Params) -> list[str]:
    """The rivals that are networks of their own, if transformers, which has the network, is not installed."""
    own = [rival for rival in params.pipeline.rivals if params.rivals[rival].method not in METHOD_NEEDS]
    return own if own and find_spec("transformers") is None else []


def _not_counted(params: Params) -> Iterator[str]:
    for name in params.pipeline.prepared:
        settings = params.datasets[name].download
        if source_of(settings.source).needs_hands(name, settings):
            yield f"{name}: some or all of its files are fetched by hand, and not counted: docs/benchmarks.md"
    if rivals := _uncounted(params):
        yield f"time: without that of {', '.join(rivals)}, which needs transformers: pip install 'prosam[generalists]'"


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} CPU thread{'s' if threads > 1 else ''}"


def _what(params: Params) -> str:
    pipeline = params.pipeline
    trainings = len(pipeline.datasets) * len(pipeline.runs) * len(pipeline.folds)
    runs = ", ".join(f"{run} with {params.runs[run].kind}" for run in pipeline.runs)
    folds = f"fold{'s' if len(pipeline.folds) > 1 else ''} {', '.join(map(str, pipeline.folds))}"
    what = f"{trainings} trainings ({runs}; {folds})" if trainings else f"no training ({folds})"
    return f"{', '.join(pipeline.datasets)} with SAM {params.models.sam.name}: {what}"


def _assumed(counts: dict[str, ImageCounts], rates: Rates, device: str, *, rivals: bool) -> Iterator[str]:
    for name, images in counts.items():
        trained = ", ".join(f"{count:,}" for count in images.training.values()) or "0"
        yield (f"{name}: {images.total:,} images ({images.total_from}), to train on {trained} ({images.training_from})")
    speeds = ", ".join(f"{kind} {flops / 1e9:,.0f}" for kind, flops in rates.flops.items())
    yield f"rates of {device} now, GFLOP/s: {speeds}; memory {rates.large / 1e9:,.1f} to {rates.small / 1e9:,.1f} GB/s"
    yield (
        "time: one process after the other, with nothing but embeddings done before; right to a factor of 2. It does "
        "not include download, folds, annotations, report, and the seconds that a stage takes to start"
    )
    if rivals:
        yield (
            "methods that train nothing: every image of an episode is seen anew, SAM is asked with as many prompts as "
            "the parameters allow, and what a method does with the masks is not included"
        )
    yield (
        "disk: extracted images are as large as their archive, COCO's JSON is twice as large; DVC's cache consists of "
        "links and adds nothing"
    )
