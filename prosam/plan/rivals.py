"""The work of methods that train nothing, on one target or one image.

How many prompts a method asks SAM with follows from its parameters: three for PerSAM and PerSAM-F (a first look and two
more with the mask), the sets and the grid for Matcher, at most `most_points` for GF-SAM. What is done with the masks is
not counted.
"""

from __future__ import annotations

from prosam.features.seen import Needs
from prosam.methods.gf_sam import GfSam
from prosam.methods.insid3 import Insid3
from prosam.methods.matcher import Matcher
from prosam.methods.persam import PerSam
from prosam.methods.persam_f import PerSamF
from prosam.params.rivals import AnyRival, GfSamRival, MatcherRival, PerSamFRival, PerSamRival

_CASCADE = 3  # prompts of PerSAM: a first look, and two more with the mask

METHOD_NEEDS: dict[str, Needs] = {
    "persam": PerSam.needs,
    "persam-f": PerSamF.needs,
    "matcher": Matcher.needs,
    "gf-sam": GfSam.needs,
    "insid3": Insid3.needs,
}
"""What each method needs of an image, by its name in `rivals`."""


def prompts_per_target(rival: AnyRival) -> int:
    """How many prompt sets SAM decodes for a target, at most."""
    if isinstance(rival, PerSamRival | PerSamFRival):
        return _CASCADE
    if isinstance(rival, MatcherRival):
        sampling = rival.sampling
        return sampling.draws * (sampling.most - sampling.least + 1) + rival.grid**2
    if isinstance(rival, GfSamRival):
        return rival.most_points
    return 0
