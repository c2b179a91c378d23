"""The validation set of DAVIS 2017 at 480p: sequences of frames, in which several objects are numbered.

    DAVIS/ImageSets/2017/val.txt                       a sequence a line
    DAVIS/JPEGImages/480p/<sequence>/<00000>.jpg
    DAVIS/Annotations/480p/<sequence>/<00000>.png      a palette image: 0 is background, 255 is ignored as background

Each object of a sequence is a class, named `<sequence>-<number>`. As in the official evaluation, the objects of a
sequence are those up to the greatest number in its first frame, and the first frame is their reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from prosam.data.episodes import Episode
from prosam.data.formats.image_files import inspect_image
from prosam.data.formats.label_maps import VOID, codes_of, read_label_map
from prosam.data.formats.records import ImageRecord
from prosam.data.formats.voc import read_ids
from prosam.data.parallel import parallel_map
from prosam.data.published_lists import first_is_reference
from prosam.errors import InputError
from prosam.progress import track

FOLDER = "DAVIS"
DAVIS_STATED = {"sequences": 30, "frames": 1_999, "objects": 61}

_CHUNK = 64


@dataclass(frozen=True)
class Sequence480p:
    """A sequence.

    Attributes:
        name: of its folders.
        frames: paths of the images, in order.
        masks: paths of the masks, one for each frame.
        objects: number of its objects.
        first_class: class id of its object 1; the others follow.
    """

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path, ...]
    objects: int
    first_class: int

    @property
    def classes(self) -> list[str]:
        """Names of the objects, in class-id order."""
        return [f"{self.name}-{number}" for number in range(1, self.objects + 1)]

    @property
    def images(self) -> list[str]:
        """Ids of the frames, in order."""
        return [f"{self.name}-{frame.stem}" for frame in self.frames]

    @property
    def episodes(self) -> list[Episode]:
        """For each object, every later frame is a target of the first."""
        ids = range(self.first_class, self.first_class + self.objects)
        return [episode for class_id in ids for episode in first_is_reference(self.images, class_id)]


def davis_sequences(root: Path) -> list[Sequence480p]:
    """The sequences of the validation set, in its list's order; the masks of the first frames are read.

    Raises:
        InputError: a file is missing or damaged, or a first frame shows no object.
    """
    found, first_class = [], 1
    for name in read_ids(root / FOLDER / "ImageSets" / "2017" / "val.txt"):
        folder = root / FOLDER / "JPEGImages" / "480p" / name
        frames = tuple(sorted(folder.glob("*.jpg")))
        if len(frames) < 2:
            raise InputError(f"{folder}: has {len(frames)} .jpg files; a sequence of val.txt has two or more")
        masks = tuple(root / FOLDER / "Annotations" / "480p" / name / f"{frame.stem}.png" for frame in frames)
        if missing := [mask for mask in masks if not mask.is_file()]:
            raise InputError(f"{missing[0]}: not found; each frame of the validation set has a mask")
        labels = read_label_map(masks[0])
        labels[labels == VOID] = 0
        objects = int(labels.max())
        if absent := set(range(1, objects + 1)) - set(labels.ravel().tolist()):
            raise InputError(f"{masks[0]}: does not show object {min(absent)}, so the object has no reference")
        if not objects:
            raise InputError(f"{masks[0]}: shows no object")
        found.append(Sequence480p(name, frames, masks, objects, first_class))
        first_class += objects
    return found


def davis_records(root: Path, sequences: Sequence[Sequence480p], name: str) -> Iterator[ImageRecord]:
    """Yield the record of each frame, in order; numbers beyond a sequence's objects are ignored.

    Raises:
        InputError: a file is damaged, or a mask differs in size from its frame.
    """
    items = [(sequence, number) for sequence in sequences for number in range(len(sequence.frames))]
    return track(parallel_map(partial(_record, root), items, chunk=_CHUNK), name, len(items), "frame")


def _record(root: Path, item: tuple[Sequence480p, int]) -> ImageRecord:
    sequence, number = item
    path, mask = sequence.frames[number], sequence.masks[number]
    frame, labels = inspect_image(path), read_label_map(mask)
    if labels.shape != (frame.height, frame.width):
        sizes = f"{labels.shape[1]}x{labels.shape[0]} px, but its frame is {frame.width}x{frame.height} px"
        raise InputError(f"{mask}: is {sizes}")
    labels[labels > sequence.objects] = 0
    codes, _ = codes_of(labels)
    masks = {sequence.first_class + label - 1: code for label, code in codes.items()}
    file = PurePosixPath(path.relative_to(root))
    return ImageRecord(sequence.images[number], "val", file, frame.digest, frame.height, frame.width, masks)
