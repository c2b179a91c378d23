"""The trained method behind a predictor."""

from __future__ import annotations

from prosam import Predictor
from prosam.predictor.prompt_finder import PromptFinder


def prompts_of(predictor: Predictor) -> PromptFinder:
    assert isinstance(predictor.finder, PromptFinder)
    return predictor.finder
