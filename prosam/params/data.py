"""The schema of `datasets`: where a data set comes from, and how it is divided into folds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from prosam.params.benchmark_data import (
    DavisDownload,
    DeepGlobeDownload,
    FssDownload,
    IsicDownload,
    LungsDownload,
    PersegDownload,
)
from prosam.params.object_data import Coco128Download, LvisDownload, PacoPartDownload, PascalPartDownload
from prosam.params.section import Count, Fraction, Name, NonNegative, Section

ShapesStyle = Literal["shaded", "print"]


class ShapesDownload(Section):
    """The bundled data set, which is generated; nothing is fetched.

    Attributes:
        style: `shaded` objects in lit scenes, or the same classes as flat `print` on paper, for tests under a shift.
    """

    source: Literal["shapes"]
    train_images: Count = 1000
    val_images: Count = 600
    size: Annotated[int, Field(ge=64, multiple_of=8, strict=True)] = 128
    seed: NonNegative = 0
    style: ShapesStyle = "shaded"


class PascalDownload(Section):
    """PASCAL VOC 2012 combined with SBD.

    Attributes:
        pool: the training images. `train_noval` is VOC's train and SBD's train_noval (5,953 images), `trainaug` is all
            of SBD except VOC's segmentation val (10,582), and `voc` is only VOC's train (1,464). Testing is on VOC's
            val (1,449).
        both: whose mask to use if both VOC and SBD label an image.
        data_root: a folder with VOCdevkit and benchmark_RELEASE, or their archives; nothing there is copied.
    """

    source: Literal["pascal"]
    pool: Literal["train_noval", "trainaug", "voc"] = "train_noval"
    both: Literal["voc", "sbd"] = "voc"
    data_root: Path | None = None


class CocoDownload(Section):
    """COCO 2014.

    Attributes:
        masks: `exact` masks come from COCO's own polygons and run lengths. `flattened` ones are the papers' images of
            class ids, in which only one of several overlapping classes remains.
        crowd: a crowd region belongs to its `class`, or is `void`: neither object nor background of that class.
        data_root: a folder with train2014, val2014 and annotations, or their archives; nothing there is copied.
    """

    source: Literal["coco"]
    masks: Literal["exact", "flattened"] = "exact"
    crowd: Literal["class", "void"] = "class"
    data_root: Path | None = None


class OwnDownload(Section):
    """Your own images with masks, copied so that DVC versions them with the results.

    Attributes:
        folder: that holds the images; by default data/own/<name>.
        layout: `voc` (JPEGImages and SegmentationClass), `coco` (JSON files), `yolo` (images, labels and data.yaml) or
            `pet` (images and annotations/trimaps); `auto` detects it.
        val_fraction: fraction of the images for testing, if the folder does not list them.
        seed: of the random division.
        crowd: as for COCO.
        trimap_classes: in the layout `pet`, a class is a `breed` or a `species`.
    """

    source: Literal["own"]
    folder: Path | None = None
    layout: Literal["auto", "voc", "coco", "yolo", "pet"] = "auto"
    val_fraction: Fraction = 0.4
    seed: NonNegative = 0
    crowd: Literal["class", "void"] = "class"
    trimap_classes: Literal["breed", "species"] = "breed"


AnyDownload = (
    ShapesDownload
    | PascalDownload
    | CocoDownload
    | OwnDownload
    | FssDownload
    | PersegDownload
    | DavisDownload
    | IsicDownload
    | LungsDownload
    | DeepGlobeDownload
    | Coco128Download
    | LvisDownload
    | PascalPartDownload
    | PacoPartDownload
)
Download = Annotated[AnyDownload, Field(discriminator="source")]


SOURCE_NAMES = tuple(get_args(section.model_fields["source"].annotation)[0] for section in get_args(AnyDownload))
"""Values of `source`; each has a module of the same name in prosam/data/catalog."""


TargetOrder = Literal["in-order", "uniform-class", "class-in-turn", "each-once", "published"]


class Protocol(Section):
    """How classes and images are assigned to folds.

    Attributes:
        classes: `dealt` to folds by `folds` and `order`; or as the data set's `published` lists say, which name those
            to train on, to validate with and to test on; or only `tested`: nothing is trained on the data set.
        folds: number of folds, or the names of each fold's novel classes.
        order: `contiguous` gives fold i the classes from i*n/k on, `interleaved` the classes i, i + k, i + 2k, ...
        min_area: minimum number of pixels that a class must cover for an image to count for it.
        novel_in_training: `exclude` training images that show novel classes, or keep them with these pixels as
            `background`.
        targets: of the frozen episodes. As in PASCAL-5i, `in-order` takes images in list order, with one of their
            classes; as in COCO-20i, `uniform-class` draws a class, then one of its images. `class-in-turn` takes the
            classes in turn, and draws an image. `each-once` takes every image once, in list order; `published` takes
            the episodes that the data set determines. The last two take all there are, whatever `episodes` says.
        episodes: number for each fold, in place of folds.episodes.
    """

    classes: Literal["dealt", "published", "tested"] = "dealt"
    folds: Annotated[int, Field(ge=1, strict=True)] | Annotated[list[list[str]], Field(min_length=1)] = 4
    order: Literal["contiguous", "interleaved"] = "contiguous"
    min_area: Count = 2048
    novel_in_training: Literal["exclude", "background"] = "exclude"
    targets: TargetOrder = "in-order"
    episodes: Count | None = None

    @model_validator(mode="after")
    def _folds_have_classes(self) -> Self:
        if isinstance(self.folds, list):
            for number, names in enumerate(self.folds):
                if not names:
                    raise ValueError(f"folds: fold {number} names no class")
                for name in names:
                    if names.count(name) > 1:
                        raise ValueError(f"folds: fold {number} names {name!r} twice")
        return self

    @model_validator(mode="after")
    def _folds_fit_the_classes(self) -> Self:
        if self.classes == "dealt" and self.folds == 1:
            raise ValueError("folds: 1 leaves no classes to train on; use 2 or more, or name the classes to test on")
        if self.classes == "tested" and self.folds != 1:
            raise ValueError("folds: must be 1 with `classes: tested`, since all classes are tested")
        if self.classes == "published" and isinstance(self.folds, list):
            raise ValueError("folds: must be a number with `classes: published`, since the data set lists the classes")
        return self

    def deals_like(self, other: Protocol) -> bool:
        """Whether this and another protocol give each fold the same training images."""
        dealt = ("classes", "folds", "order", "min_area", "novel_in_training")
        return all(getattr(self, key) == getattr(other, key) for key in dealt)

    @property
    def num_folds(self) -> int:
        """Number of folds."""
        return self.folds if isinstance(self.folds, int) else len(self.folds)


class DatasetParams(Section):
    """A named data set: its source, its protocol, and settings of its trainings.

    Attributes:
        train: keys of the section `train` that trainings on this data set override; `{}` for none.
        shift_to: the data set on which suites with a domain shift test the models trained on this one.
    """

    download: Download
    protocol: Protocol = Protocol()
    train: dict[str, Any]
    shift_to: Name | None = None
