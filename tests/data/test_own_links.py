"""Links in data/own: what DVC notices is read, and what it would not notice is refused before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prosam.data.catalog.own import SOURCE
from prosam.errors import InputError
from prosam.params import OwnDownload
from tests.data.exports import label_studio

SETTINGS = OwnDownload(source="own")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    label_studio(tmp_path / "far")
    return tmp_path


def link(place: str, target: str) -> None:
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).symlink_to(target)


def whole(here: Path) -> None:
    link("data/own/mine", str(here / "far"))


def images(here: Path) -> None:
    Path("data/own/mine").mkdir(parents=True)
    (here / "far/result.json").rename("data/own/mine/result.json")
    link("data/own/mine/images", "../../../far/images")


def circle(here: Path) -> None:
    Path("data/own").mkdir(parents=True)
    (here / "far").rename("data/own/mine")
    link("data/own/mine/images/up", "..")


@pytest.mark.parametrize(
    ("make", "place"),
    [(whole, "data/own/mine"), (images, "data/own/mine/images"), (circle, "data/own/mine/images/up")],
)
def test_a_link_to_a_folder_is_refused_with_what_to_do(make: Callable[[Path], None], place: str, here: Path):
    make(here)
    target = Path(place).resolve()
    with pytest.raises(InputError) as caught:
        SOURCE.found("mine", SETTINGS)
    told = str(caught.value)
    assert told.startswith(
        f"{place}: is a link to a folder, and DVC does not notice changes behind it; move the folder"
    )
    assert f"rm {place}; mv {target} {place}" in told
    assert "dvc repro --force --single-item download@mine" in told


def test_what_dvc_notices_is_read(here: Path):
    Path("elsewhere").mkdir()
    (here / "far").rename("elsewhere/mine")
    link("data/own", "../elsewhere")
    photo = next(Path("elsewhere/mine/images").iterdir())
    photo.rename("one.jpg")
    photo.symlink_to(here / "one.jpg")
    assert len(SOURCE.found("mine", SETTINGS).records) == 4


def test_a_folder_elsewhere_may_be_linked(here: Path):
    whole(here)
    named = OwnDownload(source="own", folder=Path("data/own/mine"))
    assert len(SOURCE.found("other", named).records) == 4
