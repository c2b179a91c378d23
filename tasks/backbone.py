"""Stage backbone: get the weights of a run's frozen backbone, check them, and write them in our own format."""

from __future__ import annotations

from typing import Annotated

import typer

from prosam import layout
from prosam.cli import console
from prosam.params import load_params
from prosam.params.rivals import PainterRival, SegGptRival
from tasks.arguments import known


def backbone(run: Annotated[str, typer.Argument(help="A key of `runs` in params.yaml.")]) -> None:
    """Write the weights of a run's or a rival's backbone to data/weights/backbone/RUN.

    Weights that are not on disk are downloaded. Each run has its own folder, so that a training depends on its own
    backbone and on no other.

    Example: `python -m tasks.backbone prosam`
    """
    params = load_params()
    known("run", run, [*params.runs, *params.rivals])
    rival = params.rivals.get(run)
    if isinstance(rival, SegGptRival | PainterRival):
        _network(run, rival)
        return
    name = params.backbone(run) if run in params.runs else params.backbone_of_rival(run)
    if name is None:
        print(f"{run}: its method uses no backbone")
        layout.backbone_weights(run).mkdir(parents=True, exist_ok=True)
        return
    settings = params.models.backbones[name]

    from prosam.checkpoints.backbone_conversion import read_checkpoint
    from prosam.checkpoints.bundled import bundled_backbone
    from prosam.checkpoints.frozen_weights import Origin, write_frozen_weights
    from prosam.checkpoints.obtain import obtain_checkpoint
    from prosam.checkpoints.published import PUBLISHED_BACKBONES
    from prosam.files import sha256_of

    checkpoint = obtain_checkpoint(
        settings,
        what=f"models.backbones.{name}",
        bundled=bundled_backbone(settings.architecture),
        published=PUBLISHED_BACKBONES.get(settings.architecture),
        folder=layout.sources("weights"),
    )
    origin = Origin(settings.architecture, checkpoint.name, sha256_of(checkpoint))
    write_frozen_weights(layout.backbone_weights(run), read_checkpoint(settings.architecture, checkpoint), origin)
    print(f"{run}: backbone {name} ({settings.architecture}) from {origin.checkpoint}, SHA-256 {origin.sha256[:16]}...")


def _network(run: str, settings: SegGptRival | PainterRival) -> None:
    """Write the weights of a rival that is a network of its own, in place of a backbone's."""
    from prosam.checkpoints.frozen_weights import Origin, write_frozen_weights
    from prosam.checkpoints.generalists import PUBLISHED_GENERALISTS, read_generalist
    from prosam.checkpoints.obtain import obtain_checkpoint
    from prosam.files import sha256_of

    checkpoint = obtain_checkpoint(
        settings,
        what=f"rivals.{run}",
        bundled=None,
        published=PUBLISHED_GENERALISTS[settings.method],
        folder=layout.sources("weights"),
    )
    origin = Origin(settings.method, checkpoint.name, sha256_of(checkpoint))
    write_frozen_weights(layout.backbone_weights(run), read_generalist(settings.method, checkpoint), origin)
    print(f"{run}: network {settings.method} from {origin.checkpoint}, SHA-256 {origin.sha256[:16]}...")


if __name__ == "__main__":
    console.run(backbone)
