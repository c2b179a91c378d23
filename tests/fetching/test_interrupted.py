"""Fetching and unpacking in real processes: killed, and several at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from prosam.fetching.archives import extract
from prosam.fetching.transfer import fetch
from tests.conftest import REPOSITORY
from tests.fetching.conftest import IMPATIENT, Answer, Server, described

pytestmark = pytest.mark.processes
MEGABYTE = 1 << 20


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-c", program, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=os.environ | {"NO_PROXY": "*"}, stdout=subprocess.PIPE, text=True
    )


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


FETCH = """
import sys
from pathlib import Path
from prosam.fetching.remote_file import RemoteFile
from prosam.fetching.transfer import fetch
url, folder, size, md5 = sys.argv[1:]
fetch(RemoteFile("a.bin", (url,), int(size), md5), Path(folder))
"""


def test_a_killed_fetch_goes_on(server: Server, content: bytes, tmp_path: Path):
    big = content * 4
    killed = threading.Event()
    url = server.offer("/a", big, Answer(hold=(MEGABYTE * 3 // 2, killed)))
    file = described("a.bin", big, url)
    process = start(FETCH, url, tmp_path, len(big), file.md5)
    part = tmp_path / ".a.bin.part"
    wait_for(lambda: part.exists() and part.stat().st_size >= MEGABYTE)
    process.kill()
    process.communicate()
    killed.set()
    there = part.stat().st_size
    assert MEGABYTE <= there < len(big)
    assert not (tmp_path / "a.bin").exists()
    assert fetch(file, tmp_path, patience=IMPATIENT).read_bytes() == big
    assert server.asked() == [("/a", None, 200), ("/a", f"bytes={there}-", 206)]
    assert server.requests[1].sent == len(big) - there


def test_of_two_processes_one_fetches(server: Server, content: bytes, tmp_path: Path):
    both_are_there = threading.Event()
    url = server.offer("/a", content, Answer(hold=(1 << 18, both_are_there)))
    file = described("a.bin", content, url)
    first = start(FETCH, url, tmp_path, len(content), file.md5)
    wait_for(lambda: server.requests)
    second = start(FETCH, url, tmp_path, len(content), file.md5)
    assert second.stdout is not None
    assert second.stdout.readline() == "a.bin: another process is working on it; waiting\n"
    both_are_there.set()
    for process in (first, second):
        process.communicate()
        assert process.returncode == 0
    assert server.asked() == [("/a", None, 200)]
    assert (tmp_path / "a.bin").read_bytes() == content


UNPACK = """
import sys, time
from pathlib import Path
from prosam.fetching import archives
write = archives._write_file
def slowly(*arguments):
    write(*arguments)
    time.sleep(0.05)
archives._write_file = slowly
archives.extract(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_unpacking_goes_on(tmp_path: Path):
    expected = {f"sub/{number:03}.bin": bytes([number]) * 5000 for number in range(100)}
    archive, folder = tmp_path / "a.zip", tmp_path / "out"
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, data in expected.items():
            zipped.writestr(name, data)
    process = start(UNPACK, archive, folder)
    wait_for(lambda: len(list(folder.glob("sub/*.bin"))) >= 10)
    process.kill()
    process.communicate()
    there = {path: path.stat().st_mtime_ns for path in folder.glob("sub/*.bin")}
    assert 10 <= len(there) < 100
    extract(archive, folder)
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("**/*.bin")}
    assert found == expected
    assert {path: path.stat().st_mtime_ns for path in there} == there  # kept, not written again
    assert not list(folder.glob("**/*.partial"))
