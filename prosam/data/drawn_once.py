"""Annotations that several runs share are drawn once and kept in the scratch folder.

Their key is a digest of everything that determines them. Runs of one kind therefore get the same files (hard links, no
second copy), and a change to the settings of another kind draws nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prosam.data.annotating import annotate
from prosam.data.annotations import Annotations, write_annotations
from prosam.data.dataset import Dataset, Split
from prosam.data.folds import ImageClass
from prosam.errors import InputError
from prosam.files import (
    atomic_path,
    digest_of_json,
    link_or_copy,
    one_at_a_time,
    remove_leftovers,
)
from prosam.params import AnnotationKind, AnnotationsParams
from prosam.progress import track
from prosam.seals import seal, sealed_folder

FILES: dict[Split, str] = {"train": "train.parquet", "val": "test.parquet"}


def draw_once(
    folder: Path,
    dataset: Dataset,
    index: Sequence[ImageClass],
    kind: AnnotationKind,
    settings: AnnotationsParams,
    *,
    made_by: Mapping[str, str],
    scratch: Path,
    name: str,
) -> None:
    """Assemble the annotations of one kind atomically, drawing only those that no earlier start has drawn.

    If several processes need the same annotations, one draws them and the others wait.

    Args:
        folder: to write; it gets a file for each split.
        dataset: provides the masks.
        index: the images and classes to annotate.
        kind: of annotation.
        settings: the section `annotations` of params.yaml.
        made_by: digests of the code, and of the content of masks and index.
        scratch: where drawn files are kept.
        name: of the work, for the progress display.

    Raises:
        InputError: a mask cannot be read, or is empty although the index lists the class.
    """
    of_kind = getattr(settings, kind).model_dump(mode="json")
    identity = {**made_by, "kind": kind, "seed": settings.seed, "settings": of_kind}
    key = digest_of_json(identity)
    kept = scratch / "annotations" / key
    kept.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(kept.with_suffix(".lock"), name):
        remove_leftovers(kept)
        for split, file in FILES.items():
            if _is_whole(kept / file):
                print(f"{name} {split}: already drawn by an earlier start or for another run")
                continue
            rows = [row for row in index if row.split == split]
            shown = track(annotate(dataset, rows, kind, settings), f"{name} {split}", len(rows), "mask")
            with atomic_path(kept / file) as temporary:
                write_annotations(temporary, (annotation for of_row in shown for annotation in of_row))
        seal(kept)
        with sealed_folder(folder) as new:
            for file in FILES.values():
                link_or_copy(kept / file, new / file)


def _is_whole(path: Path) -> bool:
    """Whether a file exists and is undamaged; something may have written into a link to it."""
    try:
        Annotations(path)
    except InputError:
        return False
    return True
