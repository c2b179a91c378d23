"""The report on bad images."""

from __future__ import annotations

from prosam.report.studies.disturbance import Disturbance, disturbance_part
from prosam.report.studies.inputs import Studied
from prosam.report.studies.part import StudyPart

CORRUPTION = Disturbance(
    "Bad images",
    "The first episodes of each fold, with images that are blurred, noisy, compressed or over-exposed, in five degrees "
    "of severity.",
    ("side", "corruption", "severity"),
    lambda condition: (condition[0], "none", 0),
    lambda panel: f"{panel[1]}, {panel[0]}",
    "severity",
)


def corruption_part(studied: Studied) -> StudyPart:
    """mIoU by severity of each corruption."""
    return disturbance_part(studied, CORRUPTION)
