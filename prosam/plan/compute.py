"""The work that the pipeline has to do, and the time that it takes: counted operations at measured rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from prosam.features.embedding_encoding import batch_on
from prosam.params import Coco128Download, CocoDownload, LvisDownload, Params, ShapesDownload, TrainParams
from prosam.params.rivals import AnyRival, PainterRival, SegGptRival
from prosam.plan.counts import ImageCounts, count_episodes
from prosam.plan.operations import Operation, Work, add, flops_of
from prosam.plan.rates import Rates
from prosam.plan.rivals import METHOD_NEEDS, prompts_per_target
from prosam.plan.weightless import BackboneShape, WeightlessModels
from prosam.training.settings import in_steps

_IMAGES_AT_ONCE = 4  # batch size for counting the backbone's operations
_PROMPTS_COUNTED = 8  # SAM's decoder is counted for as many, and scaled
_DECODED = 2  # number of evaluated methods that use the decoder: the run, and the same method untrained


@dataclass(frozen=True)
class Computed:
    """A stage of the pipeline on a data set, all its runs and folds together.

    Attributes:
        dataset: name of the data set or of a shift.
        stage: embeddings, features (of the backbone), training, evaluation, shift or rival.
        amount: the amount of work, in words.
        flops: floating-point operations.
        seconds: on this machine, one process after the other.
    """

    dataset: str
    stage: str
    amount: str
    flops: float
    seconds: float


class Costs:
    """Computes costs from counts of images, shapes of models and rates of the machine."""

    def __init__(self, params: Params, models: WeightlessModels, rates: Rates):
        """Prepare; operations are counted when they are first needed, and remembered."""
        self._params, self._models, self._rates = params, models, rates
        self.backbone, self.tokens, self.asked = cache(self._backbone), cache(models.tokens), cache(models.asked)
        self.painted = cache(models.painted)
        self._step, self._prediction = cache(self._count_step), cache(self._count_prediction)

    def has_table(self, backbone: str, images: int) -> bool:
        """Whether there is a table of backbone features for this many images; see `prosam.features.feature_table`."""
        return images * self.backbone(backbone).feature_bytes <= self._params.models.feature_table_gb * 1e9

    def embeddings(self, name: str, images: int) -> Computed:
        """SAM's image encoder, once an image.

        Args:
            name: name of the data set.
            images: number of images without an embedding.
        """
        if not images:
            return Computed(name, "embeddings", "there", 0, 0)
        batch = batch_on(self._params.embeddings, "cuda" if self._rates.overlap else "cpu")
        work = add((self._models.encoding(batch), images / batch), (self._reading(name), images))
        return self._computed(name, "embeddings", f"{images:,} images", work)

    def features(self, name: str, images: int) -> list[Computed]:
        """The tables of backbone features of a data set with this many images, if they fit into their budget."""
        made = []
        for backbone in dict.fromkeys(map(self._params.backbone, self._params.pipeline.runs)):
            if self.has_table(backbone, images):
                shape, times = self.backbone(backbone), images / _IMAGES_AT_ONCE
                work = add((shape.mid_levels, times), (shape.level4, times), (self._reading(name), images))
                made.append(self._computed(name, "features", f"{images:,} images, {backbone}", work))
        return made

    def training(self, name: str, counts: ImageCounts) -> Computed:
        """All trainings on a data set."""
        parts: list[Work] = []
        steps: list[int] = []
        for run in self._params.pipeline.runs:
            variants = getattr(self._params.annotations, self._params.runs[run].kind).variants
            for images in counts.training.values():
                settings = in_steps(self._params.training(name, run), images)
                steps.append(settings.steps)
                parts.append(self._training(name, run, settings, counts.total, images * variants))
        work = add(*((part, 1) for part in parts))
        return self._computed(name, "training", f"{len(parts)} x {_span(steps)} steps", work)

    def evaluation(self, tested: str, images: int, runs: Sequence[str]) -> Computed:
        """The evaluation of runs on every fold.

        Args:
            tested: the data set.
            images: number of its images.
            runs: the runs that are tested on it.
        """
        pipeline, episodes = self._params.pipeline, count_episodes(tested, self._params)
        times = len(pipeline.folds)
        parts = [(self._predictions(tested, run, images, episodes, _DECODED), times) for run in runs]
        if self._params.folds.several:  # each further place of the lists is about a prediction
            places = episodes * self._params.folds.shots[-1]
            parts += [(self._predictions(tested, run, images, places, 1), times) for run in runs]
        amount = f"{times * len(runs)} x {episodes:,} episodes{self._shots()}"
        return self._computed(tested, "evaluation", amount, add(*parts))

    def rival(self, tested: str, name: str, times: int | None = None) -> Computed:
        """A method that trains nothing on every fold.

        Args:
            tested: the data set.
            name: a key of `rivals`.
            times: number of folds; by default all of the pipeline.
        """
        times = len(self._params.pipeline.folds) if times is None else times
        rival, folds, models = self._params.rivals[name], self._params.folds, self._models
        if isinstance(rival, SegGptRival | PainterRival):
            return self._generalist(tested, name, rival, times)
        episodes = count_episodes(tested, self._params)
        needs, images = METHOD_NEEDS[rival.method], episodes * (1 + folds.shots[-1])
        parts: list[tuple[Work, float]] = [(self._reading(tested), images)]
        backbone, side = self._params.backbone_of_rival(name), self._params.models.size
        if backbone is not None and needs.tokens is not None:
            side, tokens = self.tokens(backbone)
            parts.append((tokens, images))
        stored = needs.geometry == "squashed" and self._params.models.size == models.sam_side
        stored = stored and (needs.first == "sam" or side == models.sam_side)
        if needs.geometry is not None and not stored:
            parts.append((models.own_encoding, images))
        parts += self._made_masks(rival, episodes)
        if prompts := prompts_per_target(rival):
            counted = min(prompts, _PROMPTS_COUNTED)
            parts.append((self.asked(counted), episodes * len(folds.shots) * prompts / counted))
        embeddings = "" if needs.geometry is None else f", embeddings {'stored' if stored else 'computed'}"
        amount = f"{name}, {times} x {episodes:,} episodes{self._shots()}{embeddings}"
        return self._computed(tested, "rival", amount, add((add(*parts), times)))

    def _generalist(self, tested: str, name: str, rival: SegGptRival | PainterRival, times: int) -> Computed:
        """A method that is a network of its own; SegGPT sees all references at once, Painter one after the other."""
        folds, episodes = self._params.folds, count_episodes(tested, self._params)
        parts: list[tuple[Work, float]] = [(self._reading(tested), episodes * (1 + folds.shots[-1]))]
        parts += self._made_masks(rival, episodes)
        for count in folds.shots:
            at_once, calls = (count, 1) if isinstance(rival, SegGptRival) else (1, count)
            parts.append((self.painted(at_once), episodes * calls))
        amount = f"{name}, {times} x {episodes:,} episodes{self._shots()}"
        return self._computed(tested, "rival", amount, add((add(*parts), times)))

    def _made_masks(self, rival: AnyRival, episodes: int) -> list[tuple[Work, float]]:
        """What SAM does to make masks of the references' annotations, if they are no masks."""
        if rival.kind == "mask":
            return []
        return [(self._models.own_encoding, episodes * self._params.folds.shots[-1])]

    def _shots(self) -> str:
        shots = self._params.folds.shots
        return f" at {' and '.join(map(str, shots))} shots" if len(shots) > 1 else ""

    def _training(self, name: str, run: str, settings: TrainParams, images: int, annotated: int) -> Work:
        """One training. `images` is the number of images of the data set, `annotated` that of annotated references."""
        backbone, batch = self._params.backbone(run), settings.batch_size
        pairs, looks = settings.steps * batch, -(-settings.steps // settings.monitor_every)
        step = self._step(run, batch, settings.samples)
        watching = self._predictions(name, run, images, self._params.folds.monitor_episodes, 1)
        if settings.select == "best-on-test":
            watching = add(
                (watching, 1), (self._predictions(name, run, images, count_episodes(name, self._params), 1), 1)
            )
        features = self._pair_features(name, backbone, pairs)
        if self.has_table(backbone, images):  # level 4 of a masked reference is cached as well
            distinct = annotated * (1 - (1 - 1 / annotated) ** pairs)
            features = add((self.backbone(backbone).masked_level4, distinct))
        return add((step, settings.steps), (features, 1), (watching, looks))

    def _predictions(self, name: str, run: str, images: int, count: int, methods: int) -> Work:
        """The work of `count` episodes, for `methods` methods that need the decoder."""
        backbone, batch = self._params.backbone(run), min(count, self._params.evaluate.batch_size)
        features = self._pair_features(name, backbone, count)
        if self.has_table(backbone, images):
            features = add((self.backbone(backbone).masked_level4, count))
        return add((self._prediction(run, batch), methods * count / batch), (features, 1))

    def _pair_features(self, name: str, backbone: str, pairs: int) -> Work:
        """The backbone's work on references, targets and masked references, without a table."""
        shape, times = self.backbone(backbone), pairs / _IMAGES_AT_ONCE
        return add(
            (shape.mid_levels, 2 * times),
            (shape.level4, times),
            (shape.masked_level4, pairs),
            (self._reading(name), 2 * pairs),
        )

    def _reading(self, name: str) -> Work:
        """The work of reading one image of a data set from its file."""
        download = self._params.datasets[name].download
        if isinstance(download, ShapesDownload):
            pixels = download.size**2
        else:
            pixels = (
                480 * 640 if isinstance(download, CocoDownload | Coco128Download | LvisDownload) else 375 * 500
            )  # as most are
        return {Operation("reading", 0, 3 * pixels): 1}

    def _computed(self, name: str, stage: str, amount: str, work: Work) -> Computed:
        return Computed(name, stage, amount, flops_of(work), self._rates.seconds(work))

    def _backbone(self, name: str) -> BackboneShape:
        return self._models.backbone(name, _IMAGES_AT_ONCE)

    def _count_step(self, run: str, batch: int, samples: int) -> Work:
        return self._models.step(self._params.runs[run], self._params.backbone(run), batch, samples)

    def _count_prediction(self, run: str, batch: int) -> Work:
        return self._models.prediction(self._params.runs[run], self._params.backbone(run), batch)


def _span(steps: Sequence[int]) -> str:
    low, high = min(steps), max(steps)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
