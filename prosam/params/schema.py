"""The one schema of every parameter in params.yaml.

Each section bears the name of the stage that reads it. A section of dvc.yaml's `params:` lists what a stage depends
on, so a value belongs where a change of it re-runs no more than it must.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prosam.names import unknown_name

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
# strict: YAML has numbers of its own, so `true` or "5" in their place is a mistake
Count = Annotated[int, Field(ge=1, strict=True)]
NonNegative = Annotated[int, Field(ge=0, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]

AnnotationKind = Literal["point", "scribble", "box", "mask"]
MethodName = Literal["prosam", "vrp-sam"]
DistributionName = Literal["t3", "student_t", "gaussian", "dirac"]


class Section(BaseModel):
    """A mapping of params.yaml; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ------------------------------------------------------------------------------------------------------ what to run


class PipelineParams(Section):
    """The axes of the DAG: which data sets, annotation kinds, runs and folds `dvc repro` goes through."""

    datasets: Annotated[list[Name], Field(min_length=1)]
    kinds: Annotated[list[AnnotationKind], Field(min_length=1)]
    runs: Annotated[list[Name], Field(min_length=1)]
    folds: Annotated[list[NonNegative], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        for axis in ("datasets", "kinds", "runs", "folds"):
            values = getattr(self, axis)
            if len(set(values)) < len(values):
                raise ValueError(f"{axis}: names {next(v for v in values if values.count(v) > 1)!r} twice")
        return self


# ------------------------------------------------------------------------------------------------------------- data


class ShapesDownload(Section):
    """The embedded data set: generated, nothing is fetched."""

    source: Literal["shapes"]
    train_images: Count = 1000
    val_images: Count = 600
    size: Annotated[int, Field(ge=64, multiple_of=8, strict=True)] = 128
    seed: NonNegative = 0


class Protocol(Section):
    """How classes and images are dealt to folds.

    Attributes:
        folds: number of folds.
        order: `contiguous` gives fold i the classes i*n/k.., `interleaved` the classes i, i + k, i + 2k, ...
        min_area: an image counts for a class when the class covers at least so many pixels of its mask.
        novel_in_training: training images that show novel classes: `exclude` them, or keep them with those pixels as
            `background`.
    """

    folds: Annotated[int, Field(ge=2, strict=True)] = 4
    order: Literal["contiguous", "interleaved"] = "contiguous"
    min_area: Count = 2048
    novel_in_training: Literal["exclude", "background"] = "exclude"


class DatasetParams(Section):
    """A named data set: where it comes from, and its protocol."""

    download: ShapesDownload
    protocol: Protocol = Protocol()


class FoldsParams(Section):
    """The frozen lists of episodes: for evaluation (novel classes) and for watching a training (base classes)."""

    episodes: Count = 1000
    monitor_episodes: Count = 200
    seed: NonNegative = 0


# ------------------------------------------------------------------------------------------------------ annotations


class PointAnnotations(Section):
    """Up to `max_points` single pixels inside the mask; a random number of them in training."""

    variants: Count = 5
    max_points: Count = 20


class ScribbleAnnotations(Section):
    """Up to `max_strokes` random strokes inside the mask, in two presets of brushes; a random number in training."""

    variants: Count = 5
    max_strokes: Count = 20


class ExactAnnotations(Section):
    """Boxes and masks follow from the mask: one variant."""

    variants: Literal[1] = 1


class AnnotationsParams(Section):
    """How annotations are drawn from masks, for each kind."""

    seed: NonNegative = 0
    point: PointAnnotations = PointAnnotations()
    scribble: ScribbleAnnotations = ScribbleAnnotations()
    box: ExactAnnotations = ExactAnnotations()
    mask: ExactAnnotations = ExactAnnotations()


# ---------------------------------------------------------------------------------------------------- frozen models


class SamParams(Section):
    """The SAM whose embeddings are stored and whose decoder answers."""

    name: Literal["tiny", "vit_b", "vit_l", "vit_h"]
    checkpoint: Path


class BackboneParams(Section):
    """A frozen backbone; its key in params.yaml is the name under which runs refer to it."""

    architecture: Literal["tiny-resnet"]
    checkpoint: Path


class ModelsParams(Section):
    """The frozen models.

    Attributes:
        image_size: side of the square to which images are squashed for the backbone, px; also of the masks in the
            loss. SAM gets that square, resized to its own input.
        upsampling: how SAM's mask logits are brought to full size: `centres` maps pixel centres as SAM does,
            `corners` maps corner to corner (align_corners=True) as VRP-SAM's code does.
        feature_table_gb: keep the backbone's features of a whole data set when they fit into this; worth it for small
            images on a CPU.
    """

    image_size: Annotated[int, Field(ge=32, multiple_of=8, strict=True)]
    upsampling: Literal["centres", "corners"] = "centres"
    feature_table_gb: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 2.0
    sam: SamParams
    backbones: Annotated[dict[Name, BackboneParams], Field(min_length=1)]


class EmbeddingsParams(Section):
    """The store of image embeddings.

    Attributes:
        shard_size: images in a shard.
        batch_size: images encoded at once. 1 makes an embedding independent of its neighbours, to the last bit;
            a GPU wants more.
    """

    shard_size: Count = 64
    batch_size: Count = 1


# --------------------------------------------------------------------------------------------------------- training


class Schedule(Section):
    """The learning rate over the run: one `cosine`, or cosines with warm `restarts` every `restart_every` steps."""

    kind: Literal["cosine", "restarts"] = "cosine"
    warmup: NonNegative = 60
    restart_every: Count | None = None

    @model_validator(mode="after")
    def _restarts_need_a_period(self) -> Self:
        if (self.kind == "restarts") != (self.restart_every is not None):
            raise ValueError("restart_every goes with kind: restarts, and only with it")
        return self


class TrainParams(Section):
    """The optimisation of a prompt encoder (METHOD: eq. 4, 8-10)."""

    steps: Count = 250
    batch_size: Count = 16
    samples: Count = 2
    lr: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 1e-6
    clip_norm: Positive | None = 1.0
    schedule: Schedule = Schedule()
    void: Literal["ignore", "background"] = "background"
    sampling: Literal["class", "image"] = "class"
    monitor_every: Count = 50
    checkpoint_every: Count = 50
    seed: NonNegative = 0


class RunParams(Section):
    """A run: a method, and whatever differs from the sections of the same name.

    Attributes:
        method: `prosam` or `vrp-sam`.
        distribution: of the prompts; None means the method's own (t3, dirac).
        nu: degrees of freedom of the t distributions, at least 1.
        backbone: a key of models.backbones.
        num_prompts: N.
        init: `paper` (VRP-SAM's) or `anchored` (docs/method.md).
        dropout: of whole channels, after the first convolution.
        pseudo_mask: `normalised` to [0, 1] per target as the paper says, or `raw` as VRP-SAM's code has it.
        train: keys of the section `train` that this run overrides.
    """

    method: MethodName
    distribution: DistributionName | None = None
    nu: Annotated[float, Field(ge=1, allow_inf_nan=False, strict=True)] = 5.0
    backbone: Name
    num_prompts: Count = 50
    init: Literal["paper", "anchored"] = "anchored"
    dropout: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    pseudo_mask: Literal["normalised", "raw"] = "normalised"
    train: dict[str, Any] = {}

    @model_validator(mode="after")
    def _distribution_fits(self) -> Self:
        if self.method == "vrp-sam" and self.distribution not in (None, "dirac"):
            raise ValueError("vrp-sam has no prompt distribution but dirac; leave `distribution` out")
        return self

    @property
    def prompt_distribution(self) -> DistributionName:
        """The distribution named, or the method's own."""
        return self.distribution or ("t3" if self.method == "prosam" else "dirac")


# --------------------------------------------------------------------------------------------- evaluation and report


class EvaluateParams(Section):
    """Evaluation on the frozen episodes."""

    batch_size: Count = 50
    pseudo_mask_threshold: Fraction = 0.8


class ReportParams(Section):
    """The report: bootstrap resamples, and how many good, typical and bad episodes are shown for each data set."""

    bootstrap: Annotated[int, Field(ge=100, strict=True)] = 2000
    pictures: Count = 4
    seed: NonNegative = 0


class Params(Section):
    """All of params.yaml.

    Attributes:
        device: of the models; `auto` takes a GPU where there is one.
        threads: CPU threads of each process, 0 for all cores. Sums of floating-point numbers depend on it.
    """

    pipeline: PipelineParams
    datasets: Annotated[dict[Name, DatasetParams], Field(min_length=1)]
    folds: FoldsParams = FoldsParams()
    annotations: AnnotationsParams = AnnotationsParams()
    models: ModelsParams
    embeddings: EmbeddingsParams = EmbeddingsParams()
    runs: Annotated[dict[Name, RunParams], Field(min_length=1)]
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()
    report: ReportParams = ReportParams()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: NonNegative = 0

    @model_validator(mode="after")
    def _names_are_defined(self) -> Self:
        for axis, defined in (("datasets", self.datasets), ("runs", self.runs)):
            for name in getattr(self.pipeline, axis):
                if name not in defined:
                    raise ValueError(f"pipeline.{axis}: {unknown_name('name', name, defined)}")
        for name, run in self.runs.items():
            if run.backbone not in self.models.backbones:
                raise ValueError(f"runs.{name}.backbone: {unknown_name('name', run.backbone, self.models.backbones)}")
        for name in self.pipeline.datasets:
            count = self.datasets[name].protocol.folds
            if (fold := max(self.pipeline.folds)) >= count:
                raise ValueError(f"pipeline.folds: {name} has folds 0 to {count - 1}, not {fold}")
        return self

    def training(self, run: str) -> TrainParams:
        """The section `train` with the run's own overrides laid over it."""
        merged = overlay(self.train.model_dump(), self.runs[run].train)
        return TrainParams.model_validate(merged)


def overlay(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A mapping with changes laid over it, nested mappings key by key."""
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlay(merged[key], value) if nested else value
    return merged
