"""params.yaml: its schema, reading and editing."""

from prosam.params.data import (
    SOURCE_NAMES,
    CocoDownload,
    DatasetParams,
    OwnDownload,
    PascalDownload,
    Protocol,
    ShapesDownload,
    ShapesStyle,
)
from prosam.params.models import BackboneParams, ModelsParams, SamParams
from prosam.params.pipeline import Shift
from prosam.params.reading import PARAMS_FILE, load_params
from prosam.params.schema import (
    AnnotationKind,
    AnnotationsParams,
    Params,
    ReportParams,
    RunParams,
    Suite,
    TrainParams,
)
from prosam.params.studies import STUDY_NAMES

__all__ = [
    "PARAMS_FILE",
    "SOURCE_NAMES",
    "STUDY_NAMES",
    "AnnotationKind",
    "AnnotationsParams",
    "BackboneParams",
    "CocoDownload",
    "DatasetParams",
    "ModelsParams",
    "OwnDownload",
    "Params",
    "PascalDownload",
    "Protocol",
    "ReportParams",
    "RunParams",
    "SamParams",
    "ShapesDownload",
    "ShapesStyle",
    "Shift",
    "Suite",
    "TrainParams",
    "load_params",
]
