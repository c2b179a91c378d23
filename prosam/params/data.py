"""The schema of `datasets`: where a data set comes from, and how it is dealt to folds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from prosam.params.section import Count, Fraction, Name, NonNegative, Section

ShapesStyle = Literal["shaded", "print"]


class ShapesDownload(Section):
    """The bundled data set: generated, nothing is fetched.

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
    """PASCAL VOC 2012 united with SBD.

    Attributes:
        pool: the training images: `train_noval` is VOC's train with SBD's train_noval, 5,953; `trainaug` all of SBD but
            VOC's segmentation val, 10,582; `voc` VOC's train alone, 1,464. Testing is on VOC's val, 1,449.
        both: whose mask is taken where VOC and SBD label one image.
        data_root: a folder that has VOCdevkit and benchmark_RELEASE, or their archives; nothing there is copied.
    """

    source: Literal["pascal"]
    pool: Literal["train_noval", "trainaug", "voc"] = "train_noval"
    both: Literal["voc", "sbd"] = "voc"
    data_root: Path | None = None


class CocoDownload(Section):
    """COCO 2014.

    Attributes:
        masks: `exact` from COCO's own polygons and run lengths; `flattened` as the papers' class-id images have them,
            where of overlapping classes one is lost.
        crowd: a crowd region belongs to its `class`, or is `void`: neither object nor background of that class.
        data_root: a folder that has train2014, val2014 and annotations, or their archives; nothing there is copied.
    """

    source: Literal["coco"]
    masks: Literal["exact", "flattened"] = "exact"
    crowd: Literal["class", "void"] = "class"
    data_root: Path | None = None


class OwnDownload(Section):
    """One's own images with masks, copied so that DVC versions them with the results.

    Attributes:
        folder: where they lie; data/own/<name> when left out.
        layout: `voc` (JPEGImages and SegmentationClass) or `coco` (JSON files); `auto` looks.
        val_fraction: of the images for testing, where the folder does not say which those are.
        seed: of that division.
        crowd: as for COCO.
    """

    source: Literal["own"]
    folder: Path | None = None
    layout: Literal["auto", "voc", "coco"] = "auto"
    val_fraction: Fraction = 0.4
    seed: NonNegative = 0
    crowd: Literal["class", "void"] = "class"


AnyDownload = ShapesDownload | PascalDownload | CocoDownload | OwnDownload
Download = Annotated[AnyDownload, Field(discriminator="source")]


SOURCE_NAMES = tuple(get_args(section.model_fields["source"].annotation)[0] for section in get_args(AnyDownload))
"""What `source` can be, each with a module of its name in prosam/data/catalog."""


class Protocol(Section):
    """How classes and images are dealt to folds.

    Attributes:
        folds: number of folds, or for each fold the names of its novel classes.
        order: `contiguous` gives fold i the classes i*n/k.., `interleaved` the classes i, i + k, i + 2k, ...
        min_area: an image counts for a class when the class covers at least so many pixels of its mask.
        novel_in_training: training images that show novel classes: `exclude` them, or keep them with those pixels as
            `background`.
        targets: of the frozen episodes: `in-order` takes images in list order and one of their classes, as PASCAL-5i
            does; `uniform-class` a class, then one of its images, as COCO-20i does.
    """

    folds: Annotated[int, Field(ge=2, strict=True)] | Annotated[list[list[str]], Field(min_length=1)] = 4
    order: Literal["contiguous", "interleaved"] = "contiguous"
    min_area: Count = 2048
    novel_in_training: Literal["exclude", "background"] = "exclude"
    targets: Literal["in-order", "uniform-class"] = "in-order"

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

    def deals_like(self, other: Protocol) -> bool:
        """Whether it gives each fold the training images that another protocol would give it."""
        dealt = ("folds", "order", "min_area", "novel_in_training")
        return all(getattr(self, key) == getattr(other, key) for key in dealt)

    @property
    def num_folds(self) -> int:
        """How many folds there are."""
        return self.folds if isinstance(self.folds, int) else len(self.folds)


class DatasetParams(Section):
    """A named data set: where it comes from, its protocol, and what its trainings need otherwise.

    Attributes:
        train: keys of the section `train` that trainings on this data set override; `{}` for none.
        shift_to: the data set on which suites with a domain shift test what was trained on this one.
    """

    download: Download
    protocol: Protocol = Protocol()
    train: dict[str, Any]
    shift_to: Name | None = None
