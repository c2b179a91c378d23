"""The `prosam` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from prosam import __version__
from prosam.cli import api, compare, console, learn, report, segment
from prosam.cli.demo import demo
from prosam.cli.export import export
from prosam.cli.ordered import OrderedCommand
from prosam.cli.references import SizeOption
from prosam.cli.shards import shards
from prosam.params import PARAMS_FILE, AnnotationKind, load_params

app = console.command_group(
    "prosam",
    "ProSAM: probabilistic prompts for SAM-based visual reference segmentation.",
)


convert = console.command_group(
    "convert",
    "Convert checkpoints of other code.",
)
app.add_typer(convert)
app.add_typer(shards)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of `prosam` itself."""


@app.command()
def check(params: Annotated[Path, typer.Argument(help="The file to validate.")] = PARAMS_FILE) -> None:
    """Validate params.yaml without running anything.

    Example: prosam check
    """
    p = load_params(params).pipeline
    trainings, on = len(p.datasets) * len(p.runs) * len(p.folds), ", ".join(p.datasets)
    what = (
        f"{trainings} trainings of {', '.join(p.runs)}"
        if p.runs
        else f"no training, and tests of {', '.join(p.rivals)}"
    )
    print(f"{params}: valid; {what} on {on}")


@app.command()
def suite(
    names: Annotated[list[str] | None, typer.Argument(help="Keys of `suites` in params.yaml, or all.")] = None,
    data: Annotated[str, typer.Option(help="Data sets to run them on, such as pascal-5i,coco-20i.")] = "",
    sam: Annotated[str | None, typer.Option(help="SAM to run them with, for `models.sam`.")] = None,
    params: Annotated[Path, typer.Option(help="The file to edit.")] = PARAMS_FILE,
) -> None:
    """Choose what the pipeline runs: one or more of the paper's tables. Without a name, list them.

    Edits the section `pipeline` of params.yaml; run `make repro` or `dvc repro` next.

    Examples: prosam suite; prosam suite table-1 table-4; prosam suite foundations --sam sam2.1_t --data pascal-5i
    """
    from prosam.params.suites import choose_suites, compared_sams, left_out

    if not names:
        for name, described in load_params(params).suites.items():
            print(f"{name:16} {described.shows}")
        return
    chosen = choose_suites(params, names, _listed(data), sam)
    p = chosen.pipeline
    for run in left_out(chosen, names):
        print(f"left out: {run}, because its backbone needs published weights and models.sam is the bundled one")
    trainings = len(p.datasets) * len(p.runs) * len(p.folds)
    studies = len(p.datasets) * len(p.studies) * len(p.studied) * len(p.folds) + len(p.datasets) * len(p.starts)
    print(f"{params}: {trainings} trainings and evaluations, {studies} studies, on {', '.join(p.datasets)}")
    own = chosen.models.sam.name
    if others := [other for other in compared_sams(chosen, names) if other != own]:
        print(f"models.sam is {own}; run {', '.join(others)} in clones or as experiments of their own, with --sam")


def _listed(names: str) -> list[str]:
    return [name for name in names.split(",") if name]


@app.command()
def info(
    path: Annotated[
        str | None,
        typer.Argument(
            help="An output of a command or stage, a published checkpoint, or a bundled model; default: bundled:photos."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="NAME", help="Describe a method that trains nothing, such as gf-sam."),
    ] = None,
    size: SizeOption = None,
    json: Annotated[bool, typer.Option("--json", help="For a program.")] = False,
) -> None:
    """Describe a trained or exported model, a concept, a folder of results, frozen weights, or a store of embeddings.

    Examples: prosam info models/shapes-5i/prosam/0; prosam info --method gf-sam --size small
    """
    from prosam.cli.info import as_json, as_text, facts_of, facts_of_method
    from prosam.errors import InputError

    if method is not None and path is not None:
        raise InputError(f"{path}: is described by itself; omit --method {method}")
    if method is None and size is not None:
        raise InputError(f"--size {size}: belongs to a method that trains nothing; name one with --method, or omit it")
    facts = facts_of(path) if method is None else facts_of_method(method, size)
    print(as_json(facts) if json else as_text(facts))


@app.command()
def plan(
    params: Annotated[Path, typer.Argument(help="The parameters to plan for.")] = PARAMS_FILE,
    suite: Annotated[str | None, typer.Option(help="A suite, planned with each SAM that it compares.")] = None,
    data: Annotated[str, typer.Option(help="With --suite, data sets such as pascal-5i.")] = "",
    json: Annotated[bool, typer.Option("--json", help="For a program.")] = False,
) -> None:
    """Estimate what the pipeline will cost before anything is fetched or computed: downloads, disk and time.

    Examples: prosam plan; prosam plan --suite foundations --data pascal-5i
    """
    from prosam.params.fitting import load_fitted
    from prosam.plan import make_plan, plan_as_json, plan_as_text, plan_suite, suite_as_json, suite_as_text

    if suite is not None:
        planned = plan_suite(params, suite, _listed(data))
        print(suite_as_json(planned) if json else suite_as_text(planned))
        return
    settings = load_fitted(params)
    made = make_plan(settings)
    print(plan_as_json(made) if json else plan_as_text(made))


app.command("segment", cls=OrderedCommand, epilog=segment.SEGMENT_EXAMPLES)(segment.segment)
app.command("learn", cls=OrderedCommand, epilog=learn.LEARN_EXAMPLES)(learn.learn)
app.command("compare", cls=OrderedCommand, epilog=compare.COMPARE_EXAMPLES)(compare.compare)
app.command("report", epilog=report.REPORT_EXAMPLES)(report.report_board)
app.command("export")(export)
app.command("demo")(demo)
app.command("api", epilog=api.API_EXAMPLES)(api.api)


@convert.command("vrp-sam")
def convert_vrp_sam(
    checkpoint: Annotated[Path, typer.Argument(help="best_model.pt of the public VRP-SAM code.")],
    out: Annotated[
        Path, typer.Argument(help="A new folder for prompt encoder, description and the backbone's weights.")
    ],
    kind: Annotated[
        AnnotationKind, typer.Option(help="Kind of annotation used in training; the checkpoint does not state it.")
    ] = "mask",
) -> None:
    """Convert a checkpoint of the public VRP-SAM code.

    Example: prosam convert vrp-sam best_model.pt models/converted
    """
    from prosam.checkpoints.vrp_sam import convert_checkpoint

    convert_checkpoint(checkpoint, out, kind)
    print(f"wrote {out}; `prosam info {out}` describes it")


def main() -> None:
    """Run the command line."""
    console.run(app, less_memory="lower --batch, or compute with --device cpu")
