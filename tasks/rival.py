"""Stage rival: test a method that trains nothing on the frozen episodes of a fold's novel classes."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.params import load_params
from tasks.arguments import dataset_params, known, known_fold

_IMAGES_IN_MEMORY = 64


def rival(
    dataset: Annotated[str, typer.Argument(help="A key of `datasets` in params.yaml.")],
    name: Annotated[str, typer.Argument(help="A key of `rivals` in params.yaml.")],
    fold: Annotated[int, typer.Argument(min=0, help="Its classes are the novel ones.")],
) -> None:
    """Evaluate a method that trains nothing; write results/DATASET/NAME/FOLD.

    The seconds that it took are in seconds/DATASET/NAME/FOLD.json, which is no output: they are other ones each time.

    Example: `python -m tasks.rival photos gf-sam 0`
    """
    params = load_params()
    known_fold(dataset_params(params, dataset), fold)
    settings = params.rivals[known("rival", name, params.rivals)]

    import torch

    from prosam.evaluation.columns import NEEDS
    from prosam.evaluation.results import episode_rows, write_results
    from prosam.evaluation.rivals import evaluate_rival
    from prosam.evaluation.stopwatch import Stopwatch
    from prosam.features.seeing import Seeing
    from prosam.files import write_text
    from prosam.methods.rivals import build_rival
    from prosam.progress import track
    from tasks.frozen import frozen_episodes
    from tasks.rival_inputs import RivalInputs

    inputs = RivalInputs(params, dataset, name)
    methods = {count: build_rival(settings, inputs.models, inputs.network) for count in params.folds.shots}
    seeing = Seeing.of(methods[1].needs, inputs.models)
    stored = inputs.embeddings if seeing.takes_squashed(params.models.size) else None

    stopwatch = Stopwatch()

    @lru_cache(_IMAGES_IN_MEMORY)
    def see(image: str):
        pixels = inputs.dataset.image(image)
        with stopwatch.part("image"):
            embedding = None if stored is None else stored.read([image])[0].to(inputs.models.device)
            return seeing(pixels, embedding)

    episodes, masks = frozen_episodes(params, dataset, fold), lru_cache(_IMAGES_IN_MEMORY)(inputs.masks())
    outcomes = evaluate_rival(methods, see, masks, inputs.dataset, episodes, stopwatch)
    shown = track(outcomes, f"rival {dataset} {name} fold {fold}", len(episodes), "episode")
    rows = list(episode_rows(shown, inputs.dataset.classes, run="run"))
    needs, device = inputs.weights(methods[1].needs), inputs.models.device
    write_results(layout.results(dataset, name, fold), rows, {NEEDS: needs})
    took = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "embeddings": "computed" if stored is None else "stored",
        "seconds": stopwatch.mean(),
    }
    path = layout.seconds(dataset, name, fold)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(took, indent=2) + "\n")
    seconds = took["seconds"]
    print(f"{name} on {dataset}, fold {fold}: {seconds['image'] + seconds['find-1']:.2f} s a target with one reference")


if __name__ == "__main__":
    console.run(rival)
