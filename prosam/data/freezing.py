"""The frozen test episodes of a fold or a domain shift, by the data set's protocol."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from prosam.data.episodes import DrawnTargets, Episode, Purpose, freeze_episodes
from prosam.data.folds import ClassImages
from prosam.data.shots import with_further_references
from prosam.errors import InputError
from prosam.params import FoldsParams, Protocol


def frozen_test(
    images: ClassImages,
    image_order: Sequence[str],
    protocol: Protocol,
    settings: FoldsParams,
    *,
    published: Sequence[Episode] = (),
    classes: Collection[int],
    fold: int,
    purpose: Purpose,
) -> list[Episode]:
    """The episodes to test on, with as many references as `folds.shots` wants.

    Episodes that the data set determines have the one reference that it names, at all shots.

    Args:
        images: the val images of each class that is tested.
        image_order: ids of the val split in list order.
        protocol: of the data set.
        settings: the section `folds`.
        published: the episodes that the data set determines.
        classes: ids of the classes that are tested.
        fold: its number.
        purpose: `test` or `shift`.

    Raises:
        InputError: the protocol wants episodes that the data set determines, and it determines none.
    """
    if protocol.targets == "published":
        chosen = [episode for episode in published if episode.class_id in classes]
        if not chosen:
            raise InputError("protocol.targets: the data set determines no episodes of these classes; write in-order")
        return chosen
    count = protocol.episodes or settings.episodes
    drawn = freeze_episodes(
        images, image_order, count, targets=protocol.targets, seed=settings.seed, fold=fold, purpose=purpose
    )
    most = settings.shots[-1]
    return with_further_references(drawn, images, most, seed=settings.seed, fold=fold, purpose=purpose)


def validation_targets(protocol: Protocol) -> DrawnTargets:
    """How episodes to validate a training are drawn: as in the test, unless that takes all there are."""
    return "uniform-class" if protocol.targets in ("each-once", "published") else protocol.targets
