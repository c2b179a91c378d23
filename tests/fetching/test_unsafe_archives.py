"""Archives that would write where they must not, or more than they may, are refused whole."""

from __future__ import annotations

import gzip
import stat
import tarfile
from pathlib import Path

import pytest

from prosam.errors import InputError
from prosam.fetching.archives import extract
from tests.fetching.archive_files import assert_refused, tar_entry, unpacked, write_tar, write_zip
from tests.fetching.conftest import disk_with

BAD_NAMES = {"../evil": "leads outside", "good/../../evil": "leads outside", "/tmp/evil": "absolute", "C:\\evil": "abs"}
BAD_TARS: dict[str, tuple[list[tarfile.TarInfo], str]] = {
    "absolute link": ([tar_entry("l", tarfile.SYMTYPE, "/etc")], "link to '/etc'"),
    "link outside": ([tar_entry("d/l", tarfile.SYMTYPE, "../../x")], "outside"),
    "link to the parent": ([tar_entry("l", tarfile.SYMTYPE, "..")], "outside"),
    "hard link outside": ([tar_entry("l", tarfile.LNKTYPE, "../x")], "not an earlier file"),
    "through a link": ([tar_entry("l", tarfile.SYMTYPE, "d"), tar_entry("l/x", tarfile.REGTYPE)], "'l' has two types"),
    "over a link": ([tar_entry("l", tarfile.SYMTYPE, "d"), tar_entry("l", tarfile.REGTYPE)], "'l' has two types"),
    "file and folder": ([tar_entry("f", tarfile.REGTYPE), tar_entry("f/x", tarfile.REGTYPE)], "'f' has two types"),
    "pipe": ([tar_entry("p", tarfile.FIFOTYPE)], "special file"),
    "device": ([tar_entry("p", tarfile.CHRTYPE)], "special file"),
    "unknown": ([tar_entry("p", b"Z")], "special file"),
}
BAD_ZIPS: dict[str, tuple[tuple[str, int, bytes], str]] = {
    "absolute link": (("l", stat.S_IFLNK, b"/etc"), "link to '/etc'"),
    "link outside": (("d/l", stat.S_IFLNK, b"../../x"), "outside"),
    "endless link": (("l", stat.S_IFLNK, b"x" * 5000), "impossible length"),
    "pipe": (("p", stat.S_IFIFO, b""), "special file"),
    "device": (("p", stat.S_IFBLK, b""), "special file"),
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str):
    assert_refused(write_tar(tmp_path / "a.tar", {"good": b"x", name: b"evil"}), BAD_NAMES[name])
    (tmp_path / "a.tar").unlink()
    assert_refused(write_zip(tmp_path / "a.zip", {"good": b"x", name: b"evil"}), BAD_NAMES[name])


@pytest.mark.parametrize("what", BAD_TARS)
def test_tars_that_are_not_only_files_and_folders_are_refused(tmp_path: Path, what: str):
    entries, message = BAD_TARS[what]
    assert_refused(write_tar(tmp_path / "a.tgz", {"good": b"x"}, *entries), message)


@pytest.mark.parametrize("what", BAD_ZIPS)
def test_zips_that_are_not_only_files_and_folders_are_refused(tmp_path: Path, what: str):
    entry, message = BAD_ZIPS[what]
    assert_refused(write_zip(tmp_path / "a.zip", {"good": b"x"}, entry), message)


def test_chained_links_cannot_climb(tmp_path: Path):
    """By their text both stay inside, but `p/q/x` is the folder itself, and `..` from there is outside."""
    links = [tar_entry("p/q/x", tarfile.SYMTYPE, "../.."), tar_entry("y", tarfile.SYMTYPE, "p/q/x/..")]
    archive = write_tar(tmp_path / "a.tar", {"good": b"x"}, *links)
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out" / "y").resolve() == tmp_path / "out" / "p" / "q"


def test_a_link_on_the_disk_is_not_followed_outside(archive: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "data").symlink_to(tmp_path / "elsewhere")
    message = "because of a link" if archive.suffix == ".zip" else "data filter"
    with pytest.raises(InputError, match=message):
        extract(archive, tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
def test_a_bomb_is_refused_by_what_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    write = write_zip if name == "a.zip" else write_tar
    archive = write(tmp_path / name, {f"{number}": bytes(10**7) for number in range(4)})
    assert archive.stat().st_size < 200_000
    disk_with(monkeypatch, 100_000_000)
    assert_refused(archive, r"needs 40\.0 MB, and a margin, on the disk of .*/out, where 100\.0 MB are free")
    disk_with(monkeypatch, 110_000_000)
    extract(archive, tmp_path / "out")
    assert len(unpacked(tmp_path / "out")) == 4


def test_a_bomb_is_not_read_to_its_end(tmp_path: Path):
    """A header that declares a petabyte comes before the data, of which there is none."""
    info = tarfile.TarInfo("bomb")
    info.size = 10**15
    with gzip.open(tmp_path / "a.tgz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
    assert_refused(tmp_path / "a.tgz", r"needs 1000\.0 TB")


def test_a_zip_that_holds_more_than_it_declares(tmp_path: Path):
    archive = write_zip(tmp_path / "a.zip", {"bomb": bytes(10**6)})
    data = archive.read_bytes()
    assert data.count((10**6).to_bytes(4, "little")) == 2  # the local header and the directory
    archive.write_bytes(data.replace((10**6).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    assert_refused(archive, "is damaged .*; delete it and start again")
