"""The schema of `pipeline`: the axes of the DAG."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from prosam.errors import unknown_name
from prosam.params.section import Name, NonNegative, Section
from prosam.params.studies import StudyName


class Shift(Section):
    """A domain shift: runs trained on one data set are tested on classes of another that they were not trained on."""

    train: Name
    test: Name


_LISTS = ("datasets", "runs", "folds", "shifted", "tested", "studies", "studied", "starts", "rivals", "compared")


class PipelineParams(Section):
    """The axes of the DAG: the data sets, runs and folds that `dvc repro` processes.

    dvc.yaml needs every key. Write `[]` for an axis without values.

    Attributes:
        datasets: for training and testing; without `runs`, for testing `rivals` alone.
        runs: keys of the section `runs`; none if nothing is trained.
        folds: numbers of the folds.
        shifts: pairs of data sets. Runs trained on the first, one of `datasets`, are also evaluated on the second, one
            of `datasets` or `tested`.
        shifted: the runs that are tested on `shifts`.
        tested: data sets that shifts or rivals test on and no run is trained on.
        compared: those of `tested` that rivals are tested on: nothing is ever trained on them (`classes: tested`).
        studies: further measurements on trained runs; see prosam/studies.
        studied: the runs with studies.
        starts: numbers of the verification study's starts, each with its own object and initial prompts.
        rivals: methods that train nothing, keys of the section `rivals`.
    """

    datasets: Annotated[list[Name], Field(min_length=1)]
    runs: list[Name]
    folds: Annotated[list[NonNegative], Field(min_length=1)]
    shifts: list[Shift]
    shifted: list[Name]
    tested: list[Name]
    studies: list[StudyName]
    studied: list[Name]
    starts: list[NonNegative]
    rivals: list[Name]
    compared: list[Name] = Field(default_factory=list)

    @property
    def prepared(self) -> list[str]:
        """All data sets: those trained on, then those only tested on."""
        return [*self.datasets, *self.tested]

    @model_validator(mode="after")
    def _no_repeats(self) -> Self:
        for axis in ("shifted", "studied"):
            for run in getattr(self, axis):
                if run not in self.runs:
                    raise ValueError(f"{axis}: {unknown_name('name', run, self.runs)} (pipeline.runs)")
        for axis in _LISTS:
            values = getattr(self, axis)
            if len(set(values)) < len(values):
                raise ValueError(f"{axis}: names {next(v for v in values if values.count(v) > 1)!r} twice")
        return self

    @model_validator(mode="after")
    def _something_is_measured(self) -> Self:
        if not self.runs and not self.rivals:
            raise ValueError("runs: names no run, and `rivals` no method, so nothing would be measured; name some")
        for name in self.compared:
            if name not in self.tested:
                raise ValueError(f"compared: {unknown_name('name', name, self.tested)} (pipeline.tested)")
        if self.compared and not self.rivals:
            raise ValueError("compared: needs `rivals`, methods that train nothing; name some, or write `compared: []`")
        return self

    @model_validator(mode="after")
    def _shifts_have_their_data(self) -> Self:
        for shift in self.shifts:
            if shift.train not in self.datasets:
                raise ValueError(f"shifts: {unknown_name('name', shift.train, self.datasets)} (pipeline.datasets)")
            if shift.test not in self.prepared:
                unknown = unknown_name("name", shift.test, self.prepared)
                raise ValueError(f"shifts: {unknown}; add it to `tested`, or to `datasets` to train on it as well")
            if shift.train == shift.test:
                raise ValueError(f"shifts: {shift.train!r} to itself is no shift")
            if self.shifts.count(shift) > 1:
                raise ValueError(f"shifts: names {shift.train} to {shift.test} twice")
        if self.shifts and not self.shifted:
            raise ValueError("shifted: names no run to test on `shifts`; add some of `runs`, or write `shifts: []`")
        for name in self.tested:
            if name in self.datasets:
                raise ValueError(f"tested: {name!r} is in `datasets`, which are tested anyway; leave it out of one")
            if name not in [*self.compared, *(shift.test for shift in self.shifts)]:
                raise ValueError(f"tested: no shift tests {name!r}; add {{train: ..., test: {name}}} to `shifts`")
        return self
