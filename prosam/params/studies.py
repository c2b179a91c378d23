"""The schema of `studies`: experiments on a trained run."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field

from prosam.errors import unknown_name
from prosam.params.curvature import CurvatureParams
from prosam.params.section import Count, NonNegative, Section

_Value = TypeVar("_Value")


def _distinct(values: tuple[_Value, ...]) -> tuple[_Value, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"names {value!r} twice")
    return values


_Distinct = AfterValidator(_distinct)
Size = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Sizes = Annotated[tuple[Size, ...], _Distinct]
Severity = Annotated[int, Field(ge=1, le=5, strict=True)]
CorruptionName = Literal["blur", "noise", "jpeg", "brightness"]
CorruptedSide = Literal["target", "reference", "both"]


class PromptNoiseParams(Section):
    """Gaussian noise on the mean prompt.

    Attributes:
        relative: sizes in units of the prompt's root mean square; 0 is no noise.
        absolute: sizes in the prompt's own units.
        draws: number of draws of each size.
    """

    relative: Sizes = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
    absolute: Sizes = (0.25, 0.5, 1.0, 2.0)
    draws: Count = 3


class AnnotationNoiseParams(Section):
    """An imprecise annotation of the reference.

    Attributes:
        shift: distances in units of the square root of the object's area.
        erode: depths in units of the object's equivalent radius, which is the radius of a disk with the same area.
        dilate: depths in the same unit.
        wrong: whether to annotate an object of another class instead, if the reference shows one.
    """

    shift: Sizes = (0.25, 0.5, 1.0)
    erode: Sizes = (0.25, 0.5, 0.75)
    dilate: Sizes = (0.25, 0.5, 1.0)
    wrong: bool = True


class CorruptionParams(Section):
    """Corrupted images. This study is expensive, because each image needs its own features and embedding.

    Attributes:
        names: of the corruptions, see prosam/data/corruptions.py.
        severities: from 1 to 5.
        sides: which image is corrupted.
        episodes: number of episodes to use, from the first on.
    """

    names: Annotated[tuple[CorruptionName, ...], Field(min_length=1), _Distinct] = (
        "blur",
        "noise",
        "jpeg",
        "brightness",
    )
    severities: Annotated[tuple[Severity, ...], Field(min_length=1), _Distinct] = (1, 3, 5)
    sides: Annotated[tuple[CorruptedSide, ...], Field(min_length=1), _Distinct] = ("target",)
    episodes: Count = 200


class StrategiesParams(Section):
    """Inference with several sampled prompts: `samples` is K, for which the paper gives no value."""

    samples: Annotated[int, Field(ge=2, strict=True)] = 10


class ReferencesParams(Section):
    """Several references for one target.

    Attributes:
        counts: numbers k of references that are used together.
        choices: number of single references that are tried one by one.
    """

    counts: Annotated[tuple[Count, ...], Field(min_length=1), _Distinct] = (1, 2, 5)
    choices: Count = 5


class AbsentParams(Section):
    """Targets that do not show the class: `targets` of them for each episode."""

    targets: Count = 1


class StudiesParams(Section):
    """All studies of a trained run, each with its own section, whose key is the study's name.

    The other parts of a study are found by its name; see prosam/studies/declaration.py.

    Attributes:
        seed: of all random draws in studies; each episode has its own generator.
    """

    seed: NonNegative = 0
    prompt_noise: PromptNoiseParams = PromptNoiseParams()
    annotation_noise: AnnotationNoiseParams = AnnotationNoiseParams()
    corruption: CorruptionParams = CorruptionParams()
    strategies: StrategiesParams = StrategiesParams()
    references: ReferencesParams = ReferencesParams()
    absent: AbsentParams = AbsentParams()
    curvature: CurvatureParams = CurvatureParams()


STUDY_NAMES = tuple(name for name in StudiesParams.model_fields if name != "seed")


def _known(name: str) -> str:
    if name not in STUDY_NAMES:
        raise ValueError(unknown_name("study", name, STUDY_NAMES))
    return name


StudyName = Annotated[str, AfterValidator(_known)]
