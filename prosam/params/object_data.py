"""The schema of `datasets.<name>.download` for excerpts of COCO and for benchmarks of rare classes and object parts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prosam.params.section import Count, NonNegative, Section


class Coco128Download(Section):
    """COCO128-seg, the excerpt of 128 photographs that ultralytics publishes (7 MB).

    Attributes:
        min_area: minimum number of pixels that a class must cover for an image to count when the images are divided
            into training and testing; at least protocol.min_area.
        data_root: a folder with coco128-seg, or its archive; nothing there is copied.
    """

    source: Literal["coco128"]
    min_area: Count = 1024
    data_root: Path | None = None


class LvisDownload(Section):
    """LVIS v1, whose images are those of COCO 2017.

    Attributes:
        more_than: a class has more val images than this: 1 as in LVIS-92i at one shot, 5 at five.
        data_root: a folder with the annotations (.json, .json.gz or .json.zip) and train2017 and val2017, or train2014
            and val2014, or archives of these; nothing there is copied. By default data/sources/coco-2017.
    """

    source: Literal["lvis"]
    more_than: Count = 1
    data_root: Path | None = None


class PascalPartDownload(Section):
    """PASCAL-Part as Matcher divides it; the annotations have to be fetched by hand.

    Attributes:
        train_crops: number of images of each class from which a crop is taken to train on; nothing is trained in the
            papers.
        seed: of the object that is chosen where an image shows several.
        data_root: the folder VOC2010 with JPEGImages, Annotations_Part_json_merged_part_classes and
            all_obj_part_to_image.json, or a folder above it. By default data/sources/<name>.
    """

    source: Literal["pascal_part"]
    train_crops: Count = 20
    seed: NonNegative = 0
    data_root: Path | None = None


class PacoPartDownload(Section):
    """PACO-Part: parts of objects of PACO-LVIS, whose images are those of COCO 2017.

    Attributes:
        more_than: a class that is tested has more val images than this: 1 at one shot, 5 at five.
        train_crops: as for PASCAL-Part.
        seed: likewise.
        data_root: as for LVIS, with paco_lvis_v1_train.json and paco_lvis_v1_val.json, or paco_lvis_v1.zip.
    """

    source: Literal["paco_part"]
    more_than: Count = 1
    train_crops: Count = 20
    seed: NonNegative = 0
    data_root: Path | None = None
