"""params.yaml: its schema, and reading it."""

from prosam.params.reading import PARAMS_FILE, load_params
from prosam.params.schema import (
    AnnotationKind,
    AnnotationsParams,
    DatasetParams,
    ModelsParams,
    Params,
    Protocol,
    ReportParams,
    RunParams,
    TrainParams,
)

__all__ = [
    "PARAMS_FILE",
    "AnnotationKind",
    "AnnotationsParams",
    "DatasetParams",
    "ModelsParams",
    "Params",
    "Protocol",
    "ReportParams",
    "RunParams",
    "TrainParams",
    "load_params",
]
