"""An image as it enters the pipeline: which file, and the masks of what it shows, as run-length codes.

Every source of data (VOC and SBD, COCO, one's own) yields these; the table that all later stages read is made of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from prosam.data.dataset import Split

EVERY_CLASS = 0  # key of what is void whatever the class


@dataclass(frozen=True)
class ImageRecord:
    """An image of a data set.

    Attributes:
        image: its id, unique over both splits.
        split: train or val.
        file: of the image, relative to the folder of images.
        digest: of the file's content, hexadecimal.
        height: of the image as it is shown (EXIF rotation applied), px.
        width: likewise.
        masks: class id (index of the class + 1) -> COCO's compressed run-length code, as `masks.encode` makes it; never
            empty. Masks of two classes may overlap.
        void: class id, or EVERY_CLASS -> likewise, the pixels that count neither as the class nor as not being it.
    """

    image: str
    split: Split
    file: PurePosixPath
    digest: str
    height: int
    width: int
    masks: Mapping[int, str]
    void: Mapping[int, str] = field(default_factory=dict)
