"""The schema of every parameter in params.yaml.

Each section has the name of the stage that reads it. The `params:` of a stage in dvc.yaml list the sections that it
depends on, so put a value where changing it re-runs no more stages than necessary.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from prosam.errors import unknown_name
from prosam.params.data import DatasetParams
from prosam.params.merging import deep_merge
from prosam.params.models import SMALL_SAMS, ModelsParams, SamName
from prosam.params.pipeline import PipelineParams
from prosam.params.rivals import Rival
from prosam.params.section import AnnotationKind, Count, Fraction, Name, NonNegative, Positive, Section
from prosam.params.shots import Shots
from prosam.params.studies import StudiesParams, StudyName
from prosam.params.verification import VerificationParams

MethodName = Literal["prosam", "vrp-sam"]
Selection = Literal["last", "best-on-test"]
DistributionName = Literal["t3", "student_t", "gaussian", "matched_gaussian", "dirac"]


# ------------------------------------------------------------------------------------------------------------ folds


class FoldsParams(Section):
    """The frozen lists of episodes: for evaluation (novel classes) and for monitoring a training (base classes).

    Attributes:
        episodes: of novel classes, for each fold.
        monitor_episodes: of base classes, for each fold.
        shots: numbers of references with which every method is tested, such as 5 or [1, 5]. One shot is always tested;
            5 is short for [1, 5]. The lists are nested: the reference of one shot is the first of five. If too few val
            images show the class of an episode, it has fewer references. No training depends on this key.
        seed: of all lists.
    """

    episodes: Count = 1000
    monitor_episodes: Count = 200
    shots: Shots = (1,)
    seed: NonNegative = 0

    @property
    def several(self) -> tuple[int, ...]:
        """The numbers of shots beyond one, ascending."""
        return self.shots[1:]


# ------------------------------------------------------------------------------------------------------ annotations


class PointAnnotations(Section):
    """Up to `max_points` single pixels inside the mask; in training a random number."""

    variants: Count = 5
    max_points: Count = 20


class ScribbleAnnotations(Section):
    """Up to `max_strokes` random strokes inside the mask, with two brush presets; in training a random number."""

    variants: Count = 5
    max_strokes: Count = 20


class ExactAnnotations(Section):
    """Boxes and masks are determined by the mask, so there is one variant."""

    variants: Literal[1] = 1


class AnnotationsParams(Section):
    """How annotations are drawn from masks, for each kind."""

    seed: NonNegative = 0
    point: PointAnnotations = PointAnnotations()
    scribble: ScribbleAnnotations = ScribbleAnnotations()
    box: ExactAnnotations = ExactAnnotations()
    mask: ExactAnnotations = ExactAnnotations()


# ---------------------------------------------------------------------------------------------- embeddings and training


class EmbeddingsParams(Section):
    """The store of image embeddings.

    Attributes:
        shard_size: images in a shard.
        batch_size: images encoded at once. With 1, an embedding is independent of its neighbours to the last bit.
            `auto` is 1 on a CPU and 8 on a GPU.
        precision: of the encoder's matrix products. `auto` is float16 on a GPU, which the store uses anyway, and
            float32 on a CPU.
        store: how embeddings are stored. `int8` has a scale for each channel of an image, and half the bytes.
    """

    shard_size: Count = 64
    batch_size: Literal["auto"] | Count = "auto"
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    store: Literal["float16", "int8"] = "float16"


# --------------------------------------------------------------------------------------------------------- training


class Schedule(Section):
    """The learning rate: one `cosine` over the run, or cosines with warm `restarts` every N steps or epochs."""

    kind: Literal["cosine", "restarts"] = "cosine"
    warmup: NonNegative = 60
    restart_every: Count | None = None
    restart_epochs: Count | None = None

    @model_validator(mode="after")
    def _restarts_need_a_period(self) -> Self:
        periods = [p for p in (self.restart_every, self.restart_epochs) if p is not None]
        if len(periods) != (self.kind == "restarts"):
            raise ValueError("kind: restarts needs exactly one of restart_every and restart_epochs, and cosine neither")
        return self


class TrainParams(Section):
    """The optimisation of a prompt encoder (docs/method.md, eq. 4 and 8-10).

    Attributes:
        epochs: passes over the fold's training images, instead of `steps`.
        select: which weights become the trained model: the `last`, or `best-on-test`, those with the highest mIoU on
            the fold's test episodes at any validation (every `monitor_every` steps), as in VRP-SAM's code. The latter
            is selection on the test set, so its mIoU is optimistic, and the report says so.
    """

    steps: Count = 250
    epochs: Count | None = None
    batch_size: Count = 16
    samples: Count = 2
    lr: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 1e-6
    clip_norm: Positive | None = 1.0
    schedule: Schedule = Schedule()
    void: Literal["ignore", "background"] = "background"
    sampling: Literal["class", "image"] = "class"
    monitor_every: Count = 50
    select: Selection = "last"
    checkpoint_every: Count = 50
    seed: NonNegative = 0


class RunParams(Section):
    """A run: a method and its settings.

    Attributes:
        method: `prosam` or `vrp-sam`.
        kind: of the references' annotations, in training and evaluation.
        distribution: of the prompts; None is the method's own (t3 for prosam, dirac for vrp-sam).
        nu: degrees of freedom of the t distributions, at least 1; `matched_gaussian` has the scale of that t3.
        backbone: a key of models.backbones; `auto` is tiny-resnet with the bundled SAM and resnet50 with the others.
        num_prompts: N.
        appended_linear: number of linear layers appended to VRP-SAM; two give it ProSAM's number of parameters (table
            7).
        init: `paper` (VRP-SAM's), `anchored` or `labelled` (docs/method.md); `auto` is labelled with the SAM lite and
            anchored with the others. `Params` resolves it.
        dropout: probability of dropping a whole channel after the first convolution.
        pseudo_mask: `normalised` to [0, 1] per target as in the paper; `raw` as in VRP-SAM's code; or `debiased`:
            normalised, of features from which INSID3's positional debiasing removed what only tells a cell's place in
            the image. That is meant for vision transformers.
        annotation_grid: how an annotation is resized to the feature grid. A cell counts if enough of it is `covered`,
            or if its `nearest` pixel of the square annotation is annotated, as in VRP-SAM's code.
        train: keys of the section `train` that this run overrides.
    """

    method: MethodName
    kind: AnnotationKind
    distribution: DistributionName | None = None
    nu: Annotated[float, Field(ge=1, allow_inf_nan=False, strict=True)] = 5.0
    backbone: Name
    num_prompts: Count = 50
    appended_linear: NonNegative = 0
    init: Literal["auto", "paper", "anchored", "labelled"] = "auto"
    dropout: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    pseudo_mask: Literal["normalised", "raw", "debiased"] = "normalised"
    annotation_grid: Literal["covered", "nearest"] = "covered"
    train: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _distribution_fits(self) -> Self:
        if self.method == "vrp-sam" and self.distribution not in (None, "dirac"):
            raise ValueError("vrp-sam has only the prompt distribution dirac; leave `distribution` out")
        if self.method == "prosam" and self.appended_linear:
            raise ValueError(
                "appended_linear is only for vrp-sam, to match the number of parameters of prosam; leave it out"
            )
        return self

    @property
    def prompt_distribution(self) -> DistributionName:
        """The given distribution, or the method's own."""
        return self.distribution or ("t3" if self.method == "prosam" else "dirac")


# --------------------------------------------------------------------------------------------- evaluation and report


class EvaluateParams(Section):
    """Evaluation on the frozen episodes."""

    batch_size: Count = 50
    pseudo_mask_threshold: Fraction = 0.8


class ReportParams(Section):
    """The report: number of bootstrap resamples, and of good, typical and bad episodes shown for each data set."""

    bootstrap: Annotated[int, Field(ge=100, strict=True)] = 2000
    pictures: Count = 4
    seed: NonNegative = 0


class Suite(Section):
    """A set of runs and their measurements: a table or a figure of the paper, or a question beyond it.

    Attributes:
        shows: what the suite shows, in a few words.
        runs: for `pipeline.runs`.
        studies: for `pipeline.studies`.
        studied: for `pipeline.studied`; by default all of `runs`.
        starts: number of starts of the verification study.
        shift: whether runs are also tested under a domain shift; see `shift_to` of a data set.
        rivals: for `pipeline.rivals`.
        shots: for `folds.shots`.
        sams: SAMs that the suite compares, each in a workspace or experiment of its own, since `models.sam` is one for
            a whole workspace: its embeddings, trained models and results would be another SAM's at the same paths.
    """

    shows: str
    runs: list[Name] = Field(default_factory=list)
    studies: list[StudyName] = Field(default_factory=list)
    studied: list[Name] | None = None
    starts: NonNegative = 0
    shift: bool = False
    rivals: list[Name] = Field(default_factory=list)
    shots: Shots = (1,)
    sams: list[SamName] = Field(default_factory=list)


class Params(Section):
    """All of params.yaml.

    Attributes:
        device: of the models; `auto` uses a GPU if there is one.
        threads: CPU threads of each process, 0 for all cores. `auto` is one for the bundled SAMs, which are so small
            that two processes beat two threads, and all cores for larger ones. Floating-point sums depend on it.
        processes: number of processes that train or evaluate one run together, each on its own GPU; `auto` is the
            number of GPUs, or one on a CPU.
        samples_at_once: how many of a target's K samples have their masks in memory at once in training. `auto` is all
            on a GPU, and on a CPU 5 or as many as make 32 masks of a batch. Results are equal up to rounding.
        precision: of training: `float32`, or `bfloat16` for matrix products, with sampling and loss in float32; `auto`
            is bfloat16 on a GPU with hardware support.
        workers: threads that read a training's batches ahead, one batch each. `auto` is 0 on a CPU, which is busy
            computing, and up to 8 for each process with a GPU. Results do not depend on it.
        compile: compile backbone, prompt encoder, decoder and loss of a training with torch.compile; on a CPU this
            needs a C++ compiler.
    """

    pipeline: PipelineParams
    datasets: Annotated[dict[Name, DatasetParams], Field(min_length=1)]
    folds: FoldsParams = FoldsParams()
    annotations: AnnotationsParams = AnnotationsParams()
    models: ModelsParams
    embeddings: EmbeddingsParams = EmbeddingsParams()
    runs: Annotated[dict[Name, RunParams], Field(min_length=1)]
    rivals: dict[Name, Rival] = Field(default_factory=dict)
    train: TrainParams = TrainParams()
    evaluate: EvaluateParams = EvaluateParams()
    studies: StudiesParams = StudiesParams()
    verification: VerificationParams = VerificationParams()
    suites: dict[Name, Suite] = Field(default_factory=dict)
    report: ReportParams = ReportParams()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Literal["auto"] | NonNegative = "auto"
    processes: Literal["auto"] | Count = 1
    samples_at_once: Literal["auto"] | Count = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    workers: Literal["auto"] | NonNegative = "auto"
    compile: bool = False

    @model_validator(mode="after")
    def _initialisation_is_known(self) -> Self:
        for name, run in self.runs.items():
            if run.init == "auto":
                self.runs[name] = run.model_copy(update={"init": self.models.usual_init})
        return self

    @model_validator(mode="after")
    def _names_are_defined(self) -> Self:
        axes = {"datasets": self.datasets, "tested": self.datasets, "runs": self.runs, "rivals": self.rivals}
        for axis, defined in axes.items():
            for name in getattr(self.pipeline, axis):
                if name not in defined:
                    raise ValueError(f"pipeline.{axis}: {unknown_name('name', name, defined)}")
        for name in self.runs:
            backbone = self.backbone(name)
            if backbone not in self.models.backbones:
                raise ValueError(f"runs.{name}.backbone: {unknown_name('name', backbone, self.models.backbones)}")
        for name in self.rivals:
            backbone = self.backbone_of_rival(name)
            if backbone is not None and backbone not in self.models.backbones:
                raise ValueError(f"rivals.{name}.backbone: {unknown_name('name', backbone, self.models.backbones)}")
            if name in self.runs:
                raise ValueError(f"rivals.{name}: `runs` has that name, too; rename one of them")
        for name in self.pipeline.datasets:
            protocol = self.datasets[name].protocol
            if protocol.classes == "tested" and self.pipeline.runs:
                raise ValueError(
                    f"pipeline.datasets: nothing is trained on {name}; `make repro` changes `pipeline` to test it, "
                    "or write `runs: []`, `shifted: []`, `folds: [0]` and some `rivals` yourself"
                )
            count = protocol.num_folds
            if (fold := max(self.pipeline.folds)) >= count:
                there = f"folds 0 to {count - 1}, not {fold}" if count > 1 else f"only fold 0, not {fold}: `folds: [0]`"
                raise ValueError(f"pipeline.folds: {name} has {there}")
        return self

    @model_validator(mode="after")
    def _compared_are_only_tested(self) -> Self:
        for name in self.pipeline.compared:
            if self.datasets[name].protocol.classes != "tested":
                raise ValueError(f"pipeline.compared: {name} is trained on elsewhere; name it in `datasets` instead")
        return self

    @model_validator(mode="after")
    def _stages_are_told_apart(self) -> Self:
        """Check that stages have distinct names: DVC would silently run only one of two stages with the same name."""
        for what, names in (("run", self.pipeline.runs), ("rival", self.pipeline.rivals)):
            of_name: dict[str, str] = {}
            for dataset, name in product(self.pipeline.prepared, names):
                pair = f"{what} {name!r} on {dataset!r}"
                if (other := of_name.setdefault(f"{dataset}-{name}", pair)) != pair:
                    raise ValueError(f"pipeline: {pair} would have the stages of {other}; rename one of them")
        return self

    def kind(self, name: str) -> AnnotationKind:
        """The kind of annotation of a run or a rival."""
        return self.runs[name].kind if name in self.runs else self.rivals[name].kind

    def backbone(self, run: str) -> str:
        """The name of a run's backbone."""
        return self.models.backbone_of(self.runs[run].backbone)

    def backbone_of_rival(self, name: str) -> str | None:
        """The name of a rival's backbone; None if its method uses none."""
        rival = self.rivals[name]
        return None if rival.backbone is None else self.models.backbone_of(rival.backbone)

    @property
    def rival_kinds(self) -> dict[str, AnnotationKind]:
        """The kind of annotation of each rival in the pipeline."""
        return {name: self.rivals[name].kind for name in self.pipeline.rivals}

    @property
    def cpu_threads(self) -> int:
        """`threads` as a number: CPU threads of each process, 0 for all cores."""
        if self.threads != "auto":
            return self.threads
        return 1 if self.models.sam.name in SMALL_SAMS else 0

    def training(self, dataset: str, run: str) -> TrainParams:
        """The section `train` with the data set's overrides, and the run's overrides on top."""
        merged = deep_merge(self.train.model_dump(), self.datasets[dataset].train)
        return TrainParams.model_validate(deep_merge(merged, self.runs[run].train))
