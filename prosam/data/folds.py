"""Folds: which classes are novel, and which images each class has for training, testing and monitoring.

In the protocol of PASCAL-5i and COCO-20i, a fold's novel classes are never trained on, and an image counts for a class
if the class covers enough of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prosam.data.dataset import SPLITS, Dataset, Split
from prosam.errors import InputError, unknown_name
from prosam.params import Protocol

ClassImages = dict[int, list[str]]  # class id -> image ids in list order

_ONE_CLASS = "the data set has one class; a fold is tested on classes that it is not trained on, so it needs two"


@dataclass(frozen=True)
class ImageClass:
    """A row of the index: an image shows a class.

    Attributes:
        image: id.
        split: of the image, train or val.
        class_id: index of the class + 1.
        area: px that the class covers in the image.
    """

    image: str
    split: Split
    class_id: int
    area: int


@dataclass(frozen=True)
class ListedClasses:
    """The classes of one fold as a data set lists them, by name.

    Attributes:
        train: to train on; empty if nothing is trained.
        validate: to validate a training on.
        test: to test on.
    """

    train: tuple[str, ...]
    validate: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Fold:
    """One fold of a data set.

    Attributes:
        fold: its number, from 0.
        classes: the names of all classes, in class-id order.
        novel: ids of the classes to test on.
        base: ids of the classes to train on.
        train: the training images of each base class.
        test: the val images of each novel class.
        monitor: the val images of each base class, to monitor a training without using novel classes; or of other
            classes, if the data set lists them for that.

    Each class in train, test and monitor has at least two images, for a reference and a target; in test it may have
    fewer if the data set determines the episodes. If nothing is trained, train and monitor are empty.
    """

    fold: int
    classes: tuple[str, ...]
    novel: tuple[int, ...]
    base: tuple[int, ...]
    train: ClassImages
    test: ClassImages
    monitor: ClassImages


def image_classes(dataset: Dataset, split: Split, image: str) -> list[ImageClass]:
    """The classes that an image shows, however small, in class-id order."""
    return [ImageClass(image, split, class_id, area) for class_id, area in dataset.class_areas(image).items()]


def counted(index: Iterable[ImageClass], min_area: int) -> list[ImageClass]:
    """The rows with an area of at least `min_area` px; only these are annotated and used in episodes."""
    return [row for row in index if row.area >= min_area]


def novel_classes(classes: Sequence[str], protocol: Protocol, fold: int) -> tuple[int, ...]:
    """The ids of a fold's novel classes, ascending.

    A protocol names them or gives a number of folds. With n classes and k folds, `contiguous` gives fold i the class
    indices from floor(i n / k) up to but not including floor((i + 1) n / k); `interleaved` gives it the indices i,
    i + k, i + 2k, ... If k does not divide n, the sizes of the folds differ by one.

    Raises:
        InputError: a name is not a class, no class remains to train on, or there are more folds than classes.
    """
    n = len(classes)
    if isinstance(protocol.folds, list):
        return _named_classes(classes, protocol.folds[fold], fold)
    k = protocol.folds
    if n < 2:
        raise InputError(f"protocol.folds: {_ONE_CLASS}")
    if not 2 <= k <= n:
        raise InputError(
            f"protocol.folds: {k} folds of {n} classes; each fold needs novel and base classes: use 2 to {n} "
            "folds, or name the novel classes of each"
        )
    contiguous = protocol.order == "contiguous"
    indices = range(fold * n // k, (fold + 1) * n // k) if contiguous else range(fold, n, k)
    return tuple(index + 1 for index in indices)


def _named_classes(classes: Sequence[str], names: Sequence[str], fold: int) -> tuple[int, ...]:
    for name in names:
        if name not in classes:
            raise InputError(f"protocol.folds: fold {fold}: {unknown_name('class', name, classes)}")
    if len(classes) < 2:
        raise InputError(f"protocol.folds: {_ONE_CLASS}")
    if len(names) == len(classes):
        raise InputError(f"protocol.folds: fold {fold} names all {len(classes)} classes; none remains to train on")
    return tuple(sorted(classes.index(name) + 1 for name in names))


@dataclass(frozen=True)
class _Roles:
    """What the classes of a fold are for, by class id: to test on, to train on, to validate a training on."""

    novel: tuple[int, ...]
    base: tuple[int, ...]
    validated: tuple[int, ...]


def _roles(classes: Sequence[str], protocol: Protocol, fold: int, listed: Sequence[ListedClasses]) -> _Roles:
    everything = tuple(range(1, len(classes) + 1))
    if protocol.classes == "tested":
        return _Roles(everything, (), ())
    if protocol.classes == "published":
        if len(listed) != protocol.num_folds:
            raise InputError(
                f"protocol.folds: must be {len(listed)}, as many as the data set lists, not {protocol.num_folds}"
                if listed
                else "protocol.classes: the data set lists no classes; write `dealt` or `tested`"
            )
        ids = {name: class_id for class_id, name in enumerate(classes, start=1)}
        novel, base, validated = (
            tuple(sorted(ids[name] for name in names))
            for names in (listed[fold].test, listed[fold].train, listed[fold].validate)
        )
        return _Roles(novel, base, validated)
    novel = novel_classes(classes, protocol, fold)
    base = tuple(class_id for class_id in everything if class_id not in novel)
    return _Roles(novel, base, base)


def make_fold(
    classes: Sequence[str],
    index: Sequence[ImageClass],
    protocol: Protocol,
    fold: int,
    listed: Sequence[ListedClasses] = (),
) -> Fold:
    """Assign classes and images to a fold.

    - train: with `novel_in_training: exclude`, an image with even one pixel of a novel class is left out. A base class
      with fewer than two remaining images cannot be sampled and is dropped.
    - test: a novel class with fewer than two val images cannot be tested and is an error; a class that the data set
      does not show at all is left out.
    - monitor: like train, on the val images and without exclusions.

    Classes that are neither novel nor base, such as those that a data set lists to validate with, are only monitored.

    Args:
        classes: names in class-id order.
        index: all rows of the data set, of any area, in list order.
        protocol: how to assign classes and images.
        fold: its number, from 0.
        listed: the data set's own lists of classes by fold, for `classes: published`.

    Raises:
        InputError: no class can be trained, tested or monitored, or a novel class has too few images.
    """
    roles = _roles(classes, protocol, fold, listed)
    novel, base = roles.novel, roles.base
    rows = counted(index, protocol.min_area)
    train_rows = [row for row in rows if row.split == "train"]
    if protocol.novel_in_training == "exclude":
        with_novel = {row.image for row in index if row.class_id in novel}
        train_rows = [row for row in train_rows if row.image not in with_novel]
    val_rows = [row for row in rows if row.split == "val"]
    test = _by_class(val_rows, novel)
    shown = Counter(row.class_id for row in index)
    for class_id in novel if protocol.targets != "published" else ():
        if shown[class_id] and (count := len(test.get(class_id, []))) < 2:
            raise InputError(
                f"fold {fold}: the novel class {classes[class_id - 1]!r} covers {protocol.min_area} px "
                f"in only {count} val images but needs two; {_how_to_get_two(index, class_id)}"
            )
    dealt = {
        "train": images_with_pairs(train_rows, base),
        "test": test,
        "monitor": images_with_pairs(val_rows, roles.validated),
    }
    if base and not dealt["train"] and images_with_pairs([row for row in rows if row.split == "train"], base):
        raise InputError(
            f"fold {fold}: no class has two images to train, because images that show novel classes are left out; "
            "set protocol.novel_in_training to background or add images"
        )
    for use, images in dealt.items():
        if not images and (base or use == "test"):
            where = " the training with, in val" if use == "monitor" else ""
            raise InputError(
                f"fold {fold}: no class has two images to {use}{where}; lower protocol.min_area or add images"
            )
    return Fold(fold, tuple(classes), novel, base, **dealt)


def _how_to_get_two(index: Sequence[ImageClass], class_id: int) -> str:
    """How a class can get two val images: with a smaller minimum area, or else with more images."""
    areas = {split: sorted(r.area for r in index if (r.split, r.class_id) == (split, class_id)) for split in SPLITS}
    if len(areas["val"]) >= 2:
        return f"lower protocol.min_area to {areas['val'][-2]} or add images"
    return f"{len(areas['val'])} val and {len(areas['train'])} train images show it: add images, or move some to val"


def _by_class(rows: Iterable[ImageClass], class_ids: Iterable[int]) -> ClassImages:
    images: ClassImages = {class_id: [] for class_id in class_ids}
    for row in rows:
        if row.class_id in images:
            images[row.class_id].append(row.image)
    return {class_id: ids for class_id, ids in images.items() if ids}


def images_with_pairs(rows: Iterable[ImageClass], class_ids: Iterable[int]) -> ClassImages:
    """The images of each class in `class_ids` that has at least two: a reference and a target."""
    return {class_id: ids for class_id, ids in _by_class(rows, class_ids).items() if len(ids) >= 2}
