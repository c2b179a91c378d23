"""`prosam demo` as a user starts it: where it does not get as far as the page, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prosam.cli.main import main
from prosam.errors import InputError
from prosam.web.server import listen, url_of

Run = tuple[int, str]


def demo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> Run:
    """Exit status and standard error."""
    monkeypatch.setattr(sys, "argv", ["prosam", "demo", "--no-open", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def test_a_port_that_is_taken_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, told = demo(monkeypatch, capsys, "--port", str(port))
    assert (status, told) == (2, f"error: --port {port}: is taken; choose another, or 0 for any free one\n")


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], library: str
):
    monkeypatch.setitem(sys.modules, library, None)
    status, told = demo(monkeypatch, capsys)
    assert (status, told) == (2, f"error: prosam demo needs {library}; install it with: pip install 'prosam[demo]'\n")


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)])
def test_it_warns_when_others_can_reach_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, warned: bool
):
    _, told = demo(monkeypatch, capsys, "--host", host, "--port", "0", "--model", "no-such-model")
    *warnings, error = told.splitlines()
    assert warnings == [f"warning: anyone who can reach {host} can use the page and see the requests"] * warned
    assert "no-such-model" in error


def test_a_host_that_is_not_this_machine_is_told():
    with pytest.raises(InputError, match=r"--host 192\.0\.2\.1: is not an address of this machine"):
        listen("192.0.2.1", 0)  # of the block for documentation


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("localhost",) * 2])
def test_the_address_is_one_that_a_browser_can_open(host: str, shown: str):
    with listen(host, 0) as listening:
        port = listening.getsockname()[1]
        assert url_of(listening, host) == f"http://{shown}:{port}/"
        socket.create_connection((shown, port)).close()


@pytest.mark.processes
@pytest.mark.parametrize("ended_by", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_leaves_no_images_behind(ended_by: signal.Signals, tmp_path: Path):
    command = [sys.executable, "-c", "from prosam.cli.main import main; main()", "demo", "--port", "0", "--no-open"]
    with subprocess.Popen(
        [*command, "--device", "cpu"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(ended_by, signal.SIG_DFL),  # below nohup, which has hang-ups ignored
    ) as server:
        assert server.stdout is not None
        try:
            until = time.monotonic() + 120
            while not list(tmp_path.glob("prosam-demo-*")):
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
            server.send_signal(ended_by)
            server.wait(60)
        finally:
            server.kill()
    assert not list(tmp_path.glob("prosam-demo-*"))
