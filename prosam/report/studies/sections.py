"""What the report says about studies, by data set: a part for each that the pipeline names."""

from __future__ import annotations

from importlib import import_module

import pandas as pd

from prosam.params import Params
from prosam.report.inputs import Setting
from prosam.report.runs.matched import principal
from prosam.report.studies.failures import failures_part
from prosam.report.studies.inputs import Studied, read_study
from prosam.report.studies.part import StudyPart
from prosam.report.studies.verification import verification_part


def study_parts(params: Params, setting: Setting, truths: pd.DataFrame) -> tuple[StudyPart, ...]:
    """The parts on a setting, in the order of the pipeline's studies; none under a domain shift.

    There are none either on data sets that rivals alone are tested on beside others.
    Where runs fail is shown beside any study; the verification study comes last.

    Args:
        params: of params.yaml.
        setting: that the parts are on.
        truths: of all its episodes, as `describe_truths` has them.

    Raises:
        InputError: a file of a study is missing or damaged.
    """
    axes = params.pipeline
    if setting.shifted or setting.compared:
        return ()
    studies = axes.studies if axes.studied else []
    parts = [_part(read_study(params, setting, study)) for study in studies]
    if parts:
        parts.append(failures_part(params, setting.only(principal(params, setting)), truths))
    if axes.starts:
        parts.append(verification_part(params, setting.dataset))
    return tuple(parts)


def _part(studied: Studied) -> StudyPart:
    """Of a study, by its name: that of `blur` is made by `blur_part` in blur.py beside this file."""
    module = import_module(f"prosam.report.studies.{studied.study}")
    return getattr(module, f"{studied.study}_part")(studied)
