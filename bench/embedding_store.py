"""What do smaller stores of embeddings cost in mIoU, and what do they save?

    python -m bench.embedding_store shapes-5i prosam                  # after `dvc repro` of these trainings
    python -m bench.embedding_store photos prosam --episodes 200

Run it in the folder of a pipeline. The trained run answers the frozen episodes with the embeddings as they are stored
and with the same ones rounded to 8 bits: one scale for each channel of an image, or one for each place of its grid. The
mIoU and its paired difference have 95% intervals from a bootstrap over target images. Bytes are those of one image;
zlib's level 1 stands for fast compression, zstd for the command of this name, if there is one. Reading is timed from
memory-mapped files in the page cache, in turns. The last line says how many of the stored images are targets: of the
frozen episodes, and in the trainings of the run, whose draws are repeated here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from prosam.cli import console

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from prosam.data.episodes import Episode
    from prosam.features.episode_tensors import EpisodeTensors
    from prosam.features.pairs import References, Targets
    from prosam.methods.prompting import PromptMethod
    from prosam.params import Params

    Form = Callable[[Tensor], Tensor]

_SEED = 0
_MEASURED_IMAGES = 64


def bench(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    run: Annotated[str, typer.Argument(help="A key of `runs`, trained on all folds of the pipeline.")],
    episodes: Annotated[int | None, typer.Option(help="Of each fold; by default all.")] = None,
    rounds: Annotated[int, typer.Option(help="Measurements of reading.")] = 5,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Compare float16 with 8-bit stores on a trained run."""
    import torch

    from prosam import layout
    from prosam.params import load_params

    torch.set_num_threads(threads)
    params = load_params()
    if episodes != 0:
        measure_miou(params, dataset, run, episodes)
    measure_bytes(layout.embeddings(dataset), rounds)
    count_images(params, dataset, run)


def rounded_forms() -> dict[str, Form]:
    """The embeddings as they are, then rounded, (..., d, g, g) to the same."""
    from prosam.features.embedding_forms import from_int8, to_int8

    def rounded(embeddings: Tensor) -> Tensor:
        return from_int8(*to_int8(embeddings)).to(embeddings.dtype)

    return {
        "float16": lambda embeddings: embeddings,
        "int8, a scale a channel": rounded,
        "int8, a scale a place": lambda embeddings: by_place(rounded(by_place(embeddings))),
        "int8, a scale an image": lambda embeddings: rounded(embeddings.flatten(-3)[..., None, None, :]).view_as(
            embeddings
        ),
    }


def by_place(embeddings: Tensor) -> Tensor:
    """(..., d, g, g) with places as channels, (..., g * g, 1, d); and back again."""
    if embeddings.shape[-2] == 1:
        side = round(embeddings.shape[-3] ** 0.5)
        return embeddings.squeeze(-2).transpose(-1, -2).unflatten(-1, (side, side))
    return embeddings.flatten(-2).transpose(-1, -2).unsqueeze(-2)


def measure_miou(params: Params, dataset: str, run: str, limit: int | None) -> None:
    """Print the mIoU of each form over all folds, and the difference from float16 on the same resamples."""
    import numpy as np

    from prosam import layout
    from prosam.checkpoints.trained import load_model
    from prosam.evaluation.bootstrap import bootstrap_miou, mean_over_folds, paired_difference
    from tasks.frozen import frozen_episodes
    from tasks.inputs import RunInputs

    inputs, forms = RunInputs(params, dataset, run), rounded_forms()
    tensors, folds, count = inputs.tensors(inputs.masks("val")), [], 0
    for fold in params.pipeline.folds:
        model = load_model(layout.model(dataset, run, fold), inputs.models)
        frozen = frozen_episodes(params, dataset, fold)[:limit]
        found = overlaps(model, tensors, frozen, forms, params.evaluate.batch_size)
        count += len(frozen)
        folds.append(
            bootstrap_miou(
                np.array([[o.intersection for o in form] for form in found.values()]),
                np.array([[o.union for o in form] for form in found.values()]),
                [episode.class_id for episode in frozen],
                targets=[episode.target for episode in frozen],
                replicates=params.report.bootstrap,
                rng=np.random.default_rng((_SEED, fold)),
            )
        )
    mean = mean_over_folds(folds)
    print(f"{dataset}, {run}: {count} episodes of {len(folds)} folds, mIoU in percent")
    for place, name in enumerate(forms):
        score, difference = mean.interval(place), paired_difference(mean, place, 0)
        told = f"{100 * score.estimate:.3f} ({100 * score.low:.2f} to {100 * score.high:.2f})"
        if place:
            told += f", difference {100 * difference.estimate:+.4f}"
            told += f" ({100 * difference.low:+.4f} to {100 * difference.high:+.4f})"
        print(f"{name:>24}: {told}")


def overlaps(
    model: PromptMethod, tensors: EpisodeTensors, episodes: Sequence[Episode], forms: Mapping[str, Form], batch: int
) -> dict[str, list[Any]]:
    """Pixel counts of each episode by form."""
    from dataclasses import replace

    from prosam.evaluation.evaluate import evaluate_episodes
    from prosam.methods.method import Method

    class Rounded(Method[Any]):
        """A trained run that sees rounded embeddings of its targets."""

        def __init__(self, form: Form):
            self._form = form

        def learn(self, references: References) -> Any:
            return model.learn(references)

        def predict(self, concept: Any, targets: Targets) -> Tensor:
            return model.predict(concept, replace(targets, embedding=self._form(targets.embedding)))

    methods = {name: Rounded(form) for name, form in forms.items()}
    found: dict[str, list[Any]] = {name: [] for name in forms}
    for _, outcomes in evaluate_episodes(methods, tensors, episodes, batch):
        for name, outcome in outcomes.items():
            found[name].append(outcome.overlap)
    return found


def measure_bytes(folder: Path, rounds: int) -> None:
    """Print bytes an image, raw and compressed, and the speed of reading, of some images of a store."""
    import zlib
    from pathlib import Path
    from tempfile import TemporaryDirectory

    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    from bench.measuring import take_turns
    from prosam.features.embedding_forms import from_int8, to_int8
    from prosam.features.embedding_store import EmbeddingStore

    store = EmbeddingStore(folder)
    images = list(store)[:_MEASURED_IMAGES]
    halves = store.read_stored(images)
    channels, places = to_int8(halves), to_int8(by_place(halves))
    contents = {"float16": (halves,), "int8, a scale a channel": channels, "int8, a scale a place": places}
    with TemporaryDirectory() as temporary:
        work = {}
        for name, tensors in contents.items():
            file = Path(temporary) / f"{len(work)}.safetensors"
            save_file({str(n): tensor.contiguous() for n, tensor in enumerate(tensors)}, file)

            def read(file: Path = file) -> None:
                with safe_open(file, "pt") as opened:
                    parts = [opened.get_slice(key) for key in sorted(opened.keys())]
                    for row in range(len(images)):
                        tensors = [part[row] for part in parts]
                        torch.stack([from_int8(*tensors) if len(tensors) == 2 else tensors[0]])

            work[name] = read
        seconds = take_turns(work, rounds, torch.device("cpu"))
    for name, tensors in contents.items():
        data = b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)
        told = f"{len(data) / len(images) / 1024:,.0f} KiB an image"
        told += f", zlib {len(zlib.compress(data, 1)) / len(data):.2f}"
        if (packed := zstd_bytes(data)) is not None:
            told += f", zstd {packed / len(data):.2f}"
        speed = len(images) / sorted(seconds[name])[rounds // 2]
        print(f"{name:>24}: {told} of that, read at {speed:,.0f} images/s")


def zstd_bytes(data: bytes) -> int | None:
    """The size of what the command `zstd` makes of some bytes; None without the command."""
    import shutil
    import subprocess

    command = shutil.which("zstd")
    if command is None:
        return None
    return len(subprocess.run([command, "-q", "-3", "-c"], input=data, capture_output=True, check=True).stdout)


def count_images(params: Params, dataset: str, run: str) -> None:
    """Print how many images of the store are targets: of test and monitor episodes, and of a run's trainings."""
    from prosam import layout
    from prosam.data.episodes import classes_of_images, read_episodes
    from prosam.data.fold_files import read_fold
    from prosam.data.sampling import TrainingSampler
    from prosam.features.embedding_store import EmbeddingStore
    from prosam.training.settings import in_steps
    from tasks.frozen import frozen_episodes

    store, folder = EmbeddingStore(layout.embeddings(dataset)), layout.folds(dataset)
    variants = getattr(params.annotations, params.runs[run].kind).variants
    tested, drawn = set[str](), set[str]()
    for fold in params.pipeline.folds:
        tested |= {episode.target for episode in frozen_episodes(params, dataset, fold)}
        drawn |= {episode.target for episode in read_episodes(folder / f"monitor-{fold}.csv")}
        images = read_fold(folder / f"fold-{fold}.json").train
        settings = in_steps(params.training(dataset, run), len(classes_of_images(images)))
        sampler = TrainingSampler(
            images,
            batch_size=settings.batch_size,
            seed=settings.seed,
            sampling=settings.sampling,
            variants=variants,
        )
        drawn |= {episode.target for step in range(settings.steps) for episode in sampler.batch(step)}
    used = tested | drawn
    print(
        f"{len(store):,} images are stored, and {len(used):,} of them are targets ({len(used) / len(store):.0%}): "
        f"{len(tested):,} of test episodes, {len(drawn):,} of trainings and their monitors"
    )


if __name__ == "__main__":
    console.run(bench)
