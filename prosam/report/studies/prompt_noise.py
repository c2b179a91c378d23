"""The report on noise on the prompts."""

from __future__ import annotations

from prosam.report.studies.disturbance import Disturbance, disturbance_part
from prosam.report.studies.inputs import Studied
from prosam.report.studies.part import StudyPart

PROMPT_NOISE = Disturbance(
    "Noise on the prompts",
    "Gaussian noise is added to the mean prompt: relative noise in units of the prompt's own root mean square, "
    "absolute noise in the prompt's unit, which is the fair test only where prompts are of one size.",
    ("scale", "size"),
    lambda _: ("relative", 0.0),
    lambda panel: f"{panel[0]} noise",
    "size of the noise",
)


def prompt_noise_part(studied: Studied) -> StudyPart:
    """mIoU by size of the noise, relative and absolute."""
    return disturbance_part(studied, PROMPT_NOISE)
