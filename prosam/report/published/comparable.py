"""Which published numbers a run can be compared with, and in one line why it cannot with the others.

A number can be compared if it was measured on the same folds, with as many references of the same kind, by a method
that did not see the tested classes in training, and with the same SAM (or none) at the same resolution.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from prosam.params import AnnotationKind, Params
from prosam.report.published.rows import BENCHMARK_NAMES, FOLD_COUNTS, BenchmarkRow

_BY_SOURCE = {"pascal": "pascal-5i", "coco": "coco-20i"}
_ORDERS = {"pascal-5i": "contiguous", "coco-20i": "interleaved"}
_NO_BENCHMARK = ("own", "shapes")
_SAM = re.compile(r"SAM(?: 2)?(?: ViT-[BLH]| [TBL]\b)?")
_OURS = {"vit_b": "SAM ViT-B", "vit_l": "SAM ViT-L", "vit_h": "SAM ViT-H", "vit_t": "MobileSAM"}
_OURS |= {"sam2.1_t": "SAM 2.1 T", "sam2.1_s": "SAM 2.1 S", "sam2.1_b+": "SAM 2.1 B+", "sam2.1_l": "SAM 2.1 L"}


@dataclass(frozen=True)
class Measured:
    """What a run's number depends on.

    Attributes:
        kind: of the references' annotations.
        shots: number of references.
        sam: as papers print it.
        pixels: side of the square that SAM sees.
    """

    kind: AnnotationKind
    shots: int
    sam: str
    pixels: int


def benchmark_of(params: Params, dataset: str) -> str | None:
    """The benchmark that a data set is, a key of `BENCHMARK_NAMES`; None for own data and generated scenes."""
    source = params.datasets[dataset].download.source
    name = _BY_SOURCE.get(source, dataset)
    return name if name in BENCHMARK_NAMES and source not in _NO_BENCHMARK else None


def has_its_folds(params: Params, dataset: str, folds: tuple[int, ...]) -> bool:
    """Whether folds of a data set are all those of the benchmark, so that their mean is the benchmark's."""
    benchmark, protocol = benchmark_of(params, dataset), params.datasets[dataset].protocol
    if benchmark is None or set(folds) != set(range(FOLD_COUNTS.get(benchmark, 1))):
        return False
    if benchmark not in _ORDERS:
        return True
    return protocol.folds == FOLD_COUNTS[benchmark] and protocol.order == _ORDERS[benchmark]


def printed_sam(params: Params) -> str:
    """The pipeline's SAM, as papers print it."""
    return _OURS.get(params.models.sam.name, f"SAM {params.models.sam.name}")


def obstacle(row: BenchmarkRow, ours: Measured) -> str:
    """Why a number cannot be compared with a run of the same benchmark, as a clause; empty if it can.

    Of several reasons, the one that matters most is given.
    """
    if row.training == "tested classes":
        return "trained on data that show the tested classes"
    if row.remark.startswith("own protocol"):
        return "measured with a protocol of its own"
    if row.shots != ours.shots:
        return f"measured with {_references(row.shots)}, not {ours.shots}"
    if row.kind != ours.kind:
        return f"the references have a {row.kind}, not a {ours.kind}"
    if row.training == "unstated":
        return "its source does not say what it was trained on"
    if not row.weights:
        return "its source does not name its weights"
    found = _SAM.search(row.weights)
    if found and found[0] != ours.sam:
        return f"it has {found[0]}, not {ours.sam}"
    if row.pixels is not None and row.pixels != ours.pixels:
        return f"it segments at {row.pixels} px, not at {ours.pixels}"
    return ""


def _references(shots: int) -> str:
    return f"{shots} reference{'s' if shots > 1 else ''}"
