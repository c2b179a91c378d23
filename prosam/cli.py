"""The `prosam` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prosam import __version__, console
from prosam.commands import learn, segment
from prosam.commands.export import export
from prosam.commands.ordered import OrderedCommand
from prosam.params import PARAMS_FILE, load_params

app = typer.Typer(
    name="prosam",
    help="ProSAM: probabilistic prompts for SAM-based visual reference segmentation.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


convert = typer.Typer(
    name="convert",
    help="Read checkpoints of other code.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(convert)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """The commands do the work."""


@app.command()
def check(params: Annotated[Path, typer.Argument(help="The file to validate.")] = PARAMS_FILE) -> None:
    """Validate params.yaml without running anything.

    Example: prosam check
    """
    p = load_params(params).pipeline
    trainings = len(p.datasets) * len(p.kinds) * len(p.runs) * len(p.folds)
    print(f"{params}: valid; {trainings} trainings of {', '.join(p.runs)} on {', '.join(p.datasets)}")


@app.command()
def info(
    path: Annotated[Path, typer.Argument(help="A folder that a stage wrote, a file in it, or a published checkpoint.")],
    json: Annotated[bool, typer.Option("--json", help="For a program.")] = False,
) -> None:
    """Say what a checkpoint is: method, backbone, SAM, data, fold, size, and the parameters and commit that made it.

    Example: prosam info models/shapes-5i/mask/prosam/0
    """
    from prosam.info import as_json, as_text, facts_of

    facts = facts_of(path)
    print(as_json(facts) if json else as_text(facts))


@app.command()
def plan(
    params: Annotated[Path, typer.Argument(help="The parameters to plan for.")] = PARAMS_FILE,
    json: Annotated[bool, typer.Option("--json", help="For a program.")] = False,
) -> None:
    """Say what the pipeline will cost, before anything is fetched or computed: downloads, disk and time.

    Example: prosam plan
    """
    settings = load_params(params)

    from prosam.plan import as_json, as_text, make_plan

    made = make_plan(settings)
    print(as_json(made) if json else as_text(made))


app.command("segment", cls=OrderedCommand, epilog=segment.EXAMPLES)(segment.segment)
app.command("learn", cls=OrderedCommand, epilog=learn.EXAMPLES)(learn.learn)
app.command("export")(export)


@convert.command("vrp-sam")
def convert_vrp_sam(
    checkpoint: Annotated[Path, typer.Argument(help="best_model.pt of the public VRP-SAM code.")],
    out: Annotated[Path, typer.Argument(help="A new folder: prompt encoder, description, and the backbone's weights.")],
) -> None:
    """Read a checkpoint of the public VRP-SAM code into ours.

    Example: prosam convert vrp-sam best_model.pt models/converted
    """
    from prosam.vrp_sam import convert_vrp_sam

    convert_vrp_sam(checkpoint, out)
    print(f"wrote {out}; `prosam info {out}` tells what it is")


def main() -> None:
    """Run the command line."""
    console.run(app)
