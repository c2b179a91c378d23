"""Outputs that are links into DVC's cache, when the cache is no longer at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.graph import _lost_link
from prosam.data.formats.image_files import read_image
from prosam.errors import InputError
from prosam.files import lost_cache


def test_a_link_into_a_cache_that_is_gone_has_its_remedy(tmp_path: Path):
    image, other = tmp_path / "data/raw/mine/a.jpg", tmp_path / "data/raw/mine/b.jpg"
    image.parent.mkdir(parents=True)
    image.symlink_to("/disk/cache/files/md5/00/1234")
    other.symlink_to("/disk/elsewhere/b.jpg")
    remedy = lost_cache(image)
    assert remedy is not None
    assert "`dvc checkout --relink`" in remedy
    assert _lost_link(tmp_path) == f"data/raw/mine/a.jpg: {remedy}"
    with pytest.raises(InputError, match=r"a\.jpg: leads to DVC's cache"):
        read_image(image)
    assert lost_cache(other) is None
    assert lost_cache(tmp_path) is None
