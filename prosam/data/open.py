"""Opening a data set that the download stage wrote."""

from __future__ import annotations

from pathlib import Path

from prosam.data.dataset import Dataset
from prosam.data.formats.table import TableDataset
from prosam.data.formats.table_files import DESCRIPTION, IMAGES, LABELS
from prosam.data.formats.voc import VocDataset


def open_dataset(root: Path) -> Dataset:
    """Open the data set in a folder that the download stage wrote, as a table or in VOC layout.

    Raises:
        InputError: the folder is missing or not in a known layout.
    """
    is_table = any((root / name).exists() for name in (DESCRIPTION, IMAGES, LABELS))
    return TableDataset(root) if is_table else VocDataset(root)
