"""Make the bundled default's models again: `python -m prosam.pretraining` (about 45 CPU minutes).

Writes safetensors files and, beside each, the figures measured on held-out scenes as JSON.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, PROMPT_ENCODER, SAM_WEIGHTS, WEIGHTS_FOLDER
from prosam.pretraining.entry import run_module

ENCODER = "prompt-encoder"
MODELS = ("sam", *BACKBONE_WEIGHTS, ENCODER)  # the last needs SAM and tiny-resnet


def pretrain(
    model: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(MODELS)}; all by default.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for weights and figures.")] = WEIGHTS_FOLDER,
    steps: Annotated[int | None, typer.Option(min=1, help="Fewer steps, for a try.")] = None,
) -> None:
    """Train the bundled default's small SAM and backbones and the bundled prompt encoder, seeded, and measure them.

    Example: `python -m prosam.pretraining tiny-vgg --steps 50 --out /tmp/try`
    """
    from prosam.checkpoints.exported import write_exported
    from prosam.checkpoints.weights import write_weights
    from prosam.files import write_text
    from prosam.pretraining import backbone, prompt_encoder, sam

    chosen = model or list(MODELS)
    if unknown := [m for m in chosen if m not in MODELS]:
        raise typer.BadParameter(f"no model {unknown[0]!r}; choose from {', '.join(MODELS)}")
    for name in chosen:
        if name == "sam":
            settings = sam.SamPretraining(steps=steps or sam.SamPretraining.steps)
            trained, path = sam.pretrain_sam(settings), out / SAM_WEIGHTS.name
            figures = sam.measure_sam(trained)
            write_weights(trained, path)
        elif name != ENCODER:
            bundled = backbone.SETTINGS[name]
            settings = replace(bundled, steps=steps or bundled.steps)
            trained, path = backbone.pretrain_backbone(name, settings), out / BACKBONE_WEIGHTS[name].name
            figures = backbone.measure_backbone(trained)
            write_weights(trained, path)
        else:
            usual = prompt_encoder.PromptEncoderPretraining()
            settings = replace(usual, steps=steps or usual.steps)
            (trained, figures), path = prompt_encoder.pretrain_prompt_encoder(settings), out / PROMPT_ENCODER.name
            write_exported(path, trained.state_dict(), prompt_encoder.describe_prompt_encoder(settings))
        parameters = sum(p.numel() for p in trained.parameters())
        card = {"parameters": parameters, "settings": asdict(settings), "held-out": figures}
        write_text(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")
        print(path, json.dumps(figures))


if __name__ == "__main__":
    run_module(pretrain)
