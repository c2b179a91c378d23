"""The base class and value types of every section of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
# strict: YAML has its own numbers, so `true` or "5" instead of one is a mistake
Count = Annotated[int, Field(ge=1, strict=True)]
NonNegative = Annotated[int, Field(ge=0, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]
AnnotationKind = Literal["point", "scribble", "box", "mask"]


class Section(BaseModel):
    """A mapping of params.yaml; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
