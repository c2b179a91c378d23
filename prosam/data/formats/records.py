"""An image as it enters the pipeline: its file and its masks, as run-length codes.

Every source of data (VOC and SBD, COCO, your own) yields these records. They make up the table that all later stages
read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from prosam.data.dataset import Split

EVERY_CLASS = 0  # key of the pixels that are void for every class


@dataclass(frozen=True)
class ImageRecord:
    """An image of a data set.

    Attributes:
        image: its id, unique over both splits.
        split: train or val.
        file: path of the image, relative to the folder of images.
        digest: of the file's content, hexadecimal.
        height: of the image as it is shown (EXIF rotation applied), px.
        width: of the image as it is shown, px.
        masks: class id (index of the class + 1) -> COCO's compressed run-length code, as from `masks.encode`. No mask
            is empty. Masks of two classes may overlap.
        void: class id or EVERY_CLASS -> run-length code of the pixels that are ignored for this class.
    """

    image: str
    split: Split
    file: PurePosixPath
    digest: str
    height: int
    width: int
    masks: Mapping[int, str]
    void: Mapping[int, str] = field(default_factory=dict)
