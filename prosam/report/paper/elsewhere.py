"""Methods that train nothing, and VRP-SAM, beside the numbers that other papers print of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from prosam.params import Params
from prosam.params.rivals import AnyRival, PainterRival, SegGptRival
from prosam.report.inputs import Setting, with_rivals
from prosam.report.paper.comparison import DATA_NAMES, Published, compared, otherness, papers_data, published_cells
from prosam.report.paper.published import PublishedRow, published_elsewhere
from prosam.report.paper.runs import PRINTED_BACKBONES, departures
from prosam.report.scores.table import Table, TableRow
from prosam.report.scores.tables import fold_headings
from prosam.report.shots import ShotSystem, score_shots

_SAMS = {"vit_b": "SAM ViT-B", "vit_l": "SAM ViT-L", "vit_h": "SAM ViT-H"}
_DINOS = {"dinov2-vits14": "DINOv2-S", "dinov2-vitb14": "DINOv2-B", "dinov2-vitl14": "DINOv2-L"}
_NO_SAM = ("insid3",)
_NETWORK = "ViT-L"  # of methods that are networks of their own; there is one size


def elsewhere_table(params: Params, setting: Setting) -> Table | None:
    """Ours, the printed numbers and the difference for each method, and what differs; then methods that are not here.

    None without a method that trains nothing, under a domain shift, and on data sets that nothing is trained on.

    Raises:
        InputError: results are missing or damaged.
    """
    rivals = params.rival_kinds
    if setting.shifted or not rivals or params.datasets[setting.tested_on].protocol.classes == "tested":
        return None
    rows = [row for row in published_elsewhere() if row.data in papers_data(params, setting)]
    trained = setting.runs if setting.trained else ()
    runs = [run for run in trained if not departures(params, run) and any(row.run == run for row in rows)]
    both = with_rivals(setting, runs, rivals)
    scores, other = score_shots(both, params.report), otherness(params, setting)
    told, there, differing = list[TableRow](), set[PublishedRow](), list[str]()
    for run, systems in scores.by_run.items():
        entry = params.rivals.get(run)
        name = entry.method if entry else run
        repeated = [row for row in rows if row.run == name and row.kind == both.kinds[run]]
        for system, data in product(systems, papers_data(params, setting)):
            theirs = [row for row in repeated if row.shots == system.shots and row.data == data]
            if theirs:
                published = [Published(_source(row), published_cells(row, setting)) for row in theirs]
                label = f"{theirs[0].method} ({run}), {DATA_NAMES[data]}, {_shots(system)}"
                told += compared(label, "ours", scores.cells(system), published, setting, other)
                there |= set(theirs)
        if entry and not there.isdisjoint(repeated):
            differing += _differences(params, run, entry, [row for row in repeated if row in there])
    told += _published_only(setting, [row for row in rows if row not in there])
    caption = (
        "mIoU in percent by fold: ours with 95% intervals, the published numbers as printed in the source that their "
        "row names, and ours minus those. Between different data, the difference has no meaning."
        + (f" What differs: {'; '.join(differing)}." if differing else "")
    )
    title = "Numbers published elsewhere"
    return Table("elsewhere", title, caption, "", fold_headings(setting), tuple(told), headings=True)


def _shots(system: ShotSystem) -> str:
    fused = {"average": ", averaged", "concatenate": ", concatenated", None: ""}[system.fused]
    return f"{system.shots} shot{'s' if system.shots > 1 else ''}{fused}"


def _source(row: PublishedRow) -> str:
    """Such as `SAM ViT-B + DINOv2-B, GF-SAM paper (...), Table 8`, and what is to be known about the numbers."""
    return ", ".join(filter(None, (row.backbone, row.source, row.remark, row.note)))


def _published_only(setting: Setting, rows: Sequence[PublishedRow]) -> Iterator[TableRow]:
    for row in rows:
        shots = f"{row.shots} shot{'s' if row.shots > 1 else ''}"
        group = f"published only, {DATA_NAMES[row.data]}, {shots}"
        yield TableRow(f"{row.method}, {_source(row)}", group, published_cells(row, setting))


def _differences(params: Params, run: str, entry: AnyRival, rows: Sequence[PublishedRow]) -> Iterator[str]:
    """What differs between a method that trains nothing here and in its published rows, as parts of a sentence."""
    printed = dict.fromkeys(row.backbone for row in rows)
    if (ours := _models(params, run, entry)) not in printed:
        yield f"{run} has {ours} (published: {' or '.join(printed)})"
    standard = type(entry).model_fields
    changed = [
        key
        for key, field in standard.items()
        if key not in ("method", "backbone") and _changed(entry, key, field.default)
    ]
    if changed:
        yield f"{run} has another {', '.join(changed)} than the published code"


def _changed(entry: AnyRival, key: str, default: object) -> bool:
    return getattr(entry, key) != default


def _models(params: Params, run: str, entry: AnyRival) -> str:
    """The frozen models of a method, as papers print them."""
    if isinstance(entry, SegGptRival | PainterRival):
        return _NETWORK
    sam, backbone = params.models.sam.name, params.backbone_of_rival(run)
    parts = [] if entry.method in _NO_SAM else [_SAMS.get(sam, f"SAM {sam}")]
    if backbone is not None:
        architecture = params.models.backbones[backbone].architecture
        parts.append((PRINTED_BACKBONES | _DINOS).get(architecture, architecture))
    return " + ".join(parts)
