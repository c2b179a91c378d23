"""Commands without activation, HOME or letters beyond ASCII, and from a full disk."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

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


def test_the_command_needs_neither_home_nor_activation(tmp_path: Path):
    prosam = Path(sys.executable).with_name("prosam")
    done = subprocess.run([prosam, "info"], env=BARE, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
