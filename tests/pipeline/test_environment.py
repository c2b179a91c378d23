"""Commands without activation, HOME or letters beyond ASCII, and from a full disk."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

BARE = {"PATH": "/usr/bin:/bin"}


@pytest.mark.skipif(
    not (Path(sysconfig.get_path("purelib")) / "prosam_path.pth").exists(), reason="`make setup` did not make this"
)
def test_what_a_program_of_the_environment_starts_is_of_the_environment():
    shell = "python -c 'import sys; print(sys.executable)'"
    line = f"import subprocess; subprocess.run({shell!r}, shell=True, check=True)"
    done = subprocess.run([sys.executable, "-c", line], env=BARE, capture_output=True, text=True, check=True)
    assert Path(done.stdout.splitlines()[0]).parent == Path(sys.executable).parent


REPOSITORY = Path(__file__).parents[2]


@contextmanager
def index() -> Iterator[tuple[str, list[str]]]:
    """A package index that has nothing: its address, and the paths that were asked for."""
    asked: list[str] = []

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("ours", [True, False], ids=["alone", "beside uv's own"])
def test_what_make_installs_comes_from_pips_index(ours: bool, tmp_path: Path):
    uv = shutil.which("uv") or REPOSITORY / ".uv/bin/uv"
    if not Path(uv).exists():
        pytest.skip("`make setup` installs uv")
    line = f"asked: ; @{uv} pip install --no-cache --target {tmp_path}/there a-package-of-nobody"
    with index() as (pips, asked_pip), index() as (uvs, asked_uv):
        env = BARE | {"HOME": str(tmp_path), "PIP_INDEX_URL": pips, "UV_HTTP_RETRIES": "0"}
        env |= {} if ours else {"UV_DEFAULT_INDEX": uvs}
        command = ["make", "--no-print-directory", f"PYTHON={sys.executable}", f"--eval={line}", "asked"]
        done = subprocess.run(command, env=env, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    expected = ["/simple/a-package-of-nobody/"]
    assert (asked_pip, asked_uv) == ((expected, []) if ours else ([], expected)), done.stderr


def test_the_command_needs_neither_home_nor_activation(tmp_path: Path):
    prosam = Path(sys.executable).with_name("prosam")
    done = subprocess.run([prosam, "info"], env=BARE, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
