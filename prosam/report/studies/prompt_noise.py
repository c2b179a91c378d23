"""The report on noise on the prompts."""

from __future__ import annotations

from prosam.report.studies.disturbance import Disturbance, disturbance_part
from prosam.report.studies.inputs import Studied
from prosam.report.studies.part import StudyPart

PROMPT_NOISE = Disturbance(
    "Noise on the prompts",
    "Gaussian noise is added to the mean prompt. Relative noise is in units of the prompt's own root mean square. "
    "Absolute noise is in the prompt's unit, and compares runs fairly only if their prompts are of the same size.",
    ("scale", "size"),
    lambda _: ("relative", 0.0),
    lambda panel: f"{panel[0]} noise",
    "size of the noise",
)


def prompt_noise_part(studied: Studied) -> StudyPart:
    """mIoU by size of the noise, relative and absolute."""
    return disturbance_part(studied, PROMPT_NOISE)
