"""params.yaml: its schema, reading and editing."""

from prosam.params.benchmark_data import (
    DavisDownload,
    DeepGlobeDownload,
    FssDownload,
    IsicDownload,
    LungsDownload,
    PersegDownload,
)
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
from prosam.params.object_data import Coco128Download, LvisDownload, PacoPartDownload, PascalPartDownload
from prosam.params.pipeline import Shift
from prosam.params.reading import PARAMS_FILE, load_params
from prosam.params.schema import (
    AnnotationKind,
    AnnotationsParams,
    FoldsParams,
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
    "Coco128Download",
    "CocoDownload",
    "DatasetParams",
    "DavisDownload",
    "DeepGlobeDownload",
    "FoldsParams",
    "FssDownload",
    "IsicDownload",
    "LungsDownload",
    "LvisDownload",
    "ModelsParams",
    "OwnDownload",
    "PacoPartDownload",
    "Params",
    "PascalDownload",
    "PascalPartDownload",
    "PersegDownload",
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
