"""FSS-1000: 1,000 classes of 10 images with a mask each, and three lists of classes.

    FSS-1000/<class>/<1 to 10>.jpg with <1 to 10>.png
    splits/{trn,val,test}.txt     a class a line: 520, 240, 240

The lists are those of HSNet: the test classes are the data set's own, the others were divided at random. Classes are
numbered as there: those to train on, to validate with, to test on, each list sorted by name. The images of a class are
sorted by name as text.
"""

from __future__ import annotations

from pathlib import Path

from prosam.data.folds import ListedClasses
from prosam.data.sources.mask_pairs import MaskPair
from prosam.errors import InputError

IMAGES, SPLITS = "FSS-1000", "splits"
FSS_STATED = {"classes to train on": 520, "classes to validate with": 240, "classes to test on": 240, "images": 10_000}


def fss_lists(root: Path) -> ListedClasses:
    """The three lists, each sorted.

    Raises:
        InputError: a list is missing or names no class, or a class is in two lists or has no folder.
    """
    lists = ListedClasses(*(_classes(root / SPLITS / f"{name}.txt") for name in ("trn", "val", "test")))
    together = [*lists.train, *lists.validate, *lists.test]
    if twice := sorted({name for name in together if together.count(name) > 1}):
        raise InputError(f"{root / SPLITS}: class {twice[0]!r} is listed twice; each class is in one of the lists")
    for name in together:
        if not (root / IMAGES / name).is_dir():
            raise InputError(f"{root / IMAGES / name}: not found; {root / SPLITS} lists this class")
    return lists


def fss_pairs(root: Path, lists: ListedClasses) -> list[MaskPair]:
    """All images with their masks; those of classes to train on are the train split."""
    pairs, class_id = [], 0
    for names in (lists.train, lists.validate, lists.test):
        for name in names:
            class_id += 1
            pairs += [
                MaskPair(
                    f"{name}-{photo.stem}",
                    "train" if names is lists.train else "val",
                    photo,
                    photo.with_suffix(".png"),
                    class_id,
                )
                for photo in sorted((root / IMAGES / name).glob("*.jpg"))
            ]
    return pairs


def _classes(path: Path) -> tuple[str, ...]:
    try:
        names = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; it lists classes, one a line") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text") from error
    classes = tuple(sorted(name.strip() for name in names if name.strip()))
    if not classes:
        raise InputError(f"{path}: lists no classes")
    return classes
