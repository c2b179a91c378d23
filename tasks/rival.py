"""Stage rival: test a method that trains nothing on the frozen episodes of a fold's novel classes."""

from __future__ import annotations

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

    Example: `python -m tasks.rival photos gf-sam 0`
    """
    params = load_params()
    known_fold(dataset_params(params, dataset), fold)
    settings = params.rivals[known("rival", name, params.rivals)]

    from time import perf_counter

    from prosam.evaluation.results import episode_rows, write_results
    from prosam.evaluation.rivals import evaluate_rival
    from prosam.features.seeing import Seeing
    from prosam.methods.rivals import build_rival
    from prosam.progress import track
    from tasks.inputs import RivalInputs, frozen_episodes

    inputs = RivalInputs(params, dataset, name)
    methods = {count: build_rival(settings, inputs.models) for count in params.folds.shots}
    seeing = Seeing.of(methods[1].needs, inputs.models)
    stored = inputs.embeddings if seeing.takes_squashed(params.models.size) else None

    @lru_cache(_IMAGES_IN_MEMORY)
    def see(image: str):
        embedding = None if stored is None else stored.read([image])[0].to(inputs.models.device)
        return seeing(inputs.dataset.image(image), embedding)

    episodes, masks = frozen_episodes(params, dataset, fold), lru_cache(_IMAGES_IN_MEMORY)(inputs.masks())
    start = perf_counter()
    outcomes = evaluate_rival(methods, see, masks, inputs.dataset, episodes)
    shown = track(outcomes, f"rival {dataset} {name} fold {fold}", len(episodes), "episode")
    rows = list(episode_rows(shown, inputs.dataset.classes, run="run"))
    write_results(layout.results(dataset, name, fold), rows)
    print(f"{name} on {dataset}, fold {fold}: {(perf_counter() - start) / len(episodes):.2f} s an episode")


if __name__ == "__main__":
    console.run(rival)
