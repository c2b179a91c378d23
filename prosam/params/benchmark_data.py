"""The schema of `datasets.<name>.download` for the benchmarks beside PASCAL-5i and COCO-20i; docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prosam.params.section import Section


class FssDownload(Section):
    """FSS-1000: 1,000 classes of 10 images; its files and lists have to be fetched by hand.

    Attributes:
        data_root: a folder with FSS-1000 (a folder for each class) and splits (trn.txt, val.txt, test.txt); nothing
            there is copied. By default data/sources/<name>.
    """

    source: Literal["fss"]
    data_root: Path | None = None


class PersegDownload(Section):
    """PerSeg: 40 objects of 5 to 7 photos; its files have to be fetched by hand.

    Attributes:
        data_root: a folder with Images and Annotations; nothing there is copied. By default data/sources/<name>.
    """

    source: Literal["perseg"]
    data_root: Path | None = None


class DavisDownload(Section):
    """The validation set of DAVIS 2017 at 480p: 30 sequences with several objects.

    Attributes:
        data_root: a folder with DAVIS, or its archive; nothing there is copied.
    """

    source: Literal["davis"]
    data_root: Path | None = None


class IsicDownload(Section):
    """The training images of ISIC 2018, task 1: skin lesions of three classes.

    Attributes:
        data_root: a folder with ISIC2018_Task1-2_Training_Input, ISIC2018_Task1_Training_GroundTruth (or their
            archives) and class_id.csv; nothing there is copied.
    """

    source: Literal["isic"]
    data_root: Path | None = None


class LungsDownload(Section):
    """Chest X-rays with masks of the lungs; its files have to be fetched by hand.

    Attributes:
        data_root: a folder with CXR_png and masks; nothing there is copied. By default data/sources/<name>.
    """

    source: Literal["lungs"]
    data_root: Path | None = None


class DeepGlobeDownload(Section):
    """DeepGlobe's land cover, cut into tiles as PATNet does; its files have to be fetched by hand.

    Attributes:
        data_root: a folder with train, which has <id>_sat.jpg and <id>_mask.png; nothing there is copied or changed.
            By default data/sources/<name>. The tiles are written to data/sources/<name>/tiles.
    """

    source: Literal["deepglobe"]
    data_root: Path | None = None
