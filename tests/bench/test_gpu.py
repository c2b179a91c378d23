"""`make gpu`: every part runs, one that fails costs no other its turn, and the table has a row for each figure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import gpu
from bench.gpu import PARTS, Part, as_table
from tests.conftest import REPOSITORY


@pytest.mark.long
def test_all_parts_run_on_a_cpu_with_the_smallest_models(tmp_path: Path):
    words = ["--device", "cpu", "--tiny", "--out", tmp_path / "gpu.json", "--table", tmp_path / "gpu.md"]
    command = [sys.executable, "-m", "bench.gpu", *map(str, words), "--seconds", "3000"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert {name: part["error"] for name, part in report["parts"].items()} == dict.fromkeys(PARTS), done.stdout
    assert done.returncode == 0
    assert report["tiny"]
    rows = [line.split("|")[1].strip() for line in (tmp_path / "gpu.md").read_text().splitlines()[4:]]
    assert set(rows) == set(PARTS)
    for check in report["parts"]["checks"]["figures"].values():
        assert check["ok"] == 1
    for name, part in report["parts"].items():
        assert part["peak MiB"] > 100, name


def test_a_part_that_fails_is_named_and_the_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ended = {
        "fails": subprocess.CompletedProcess([], 1, "", "Traceback\nRuntimeError: CUDA error: no kernel | here\n"),
        "good": subprocess.CompletedProcess([], 0, "printed", ""),
    }

    def run(command: list[str], *, timeout: float, **_: object) -> subprocess.CompletedProcess[str]:
        name = command[command.index("--part") + 1]
        if name == "hangs":
            raise subprocess.TimeoutExpired(command, timeout)
        if name == "good":
            result = {"figures": {"a": {"b": 1234.5}}, "peak MiB": 2.0, "gpu": True, "device": "G", "torch": "2"}
            Path(command[command.index("--out") + 1]).write_text(json.dumps(result))
        return ended[name]

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(gpu, "PARTS", {name: Part(9, lambda tiny: {}) for name in ("fails", "hangs", "good")})
    with pytest.raises(gpu.typer.Exit):
        gpu.bench(out=tmp_path / "gpu.json", table=tmp_path / "gpu.md", seconds=100)
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert parts["fails"]["error"] == "RuntimeError: CUDA error: no kernel | here"
    assert parts["hangs"]["error"] == "was ended after 9 s"
    assert (parts["good"]["error"], parts["good"]["output"]) == (None, "printed")
    table = (tmp_path / "gpu.md").read_text().splitlines()
    assert table[0] == "G, torch 2"
    assert "| fails | RuntimeError: CUDA error: no kernel / here | failed |" in table
    assert table[-2:] == ["| good | a, b | 1,234 |", "| good | peak memory, MiB | 2 |"]


def test_the_parts_fit_in_eight_minutes():
    assert sum(part.seconds for part in PARTS.values()) <= 480


def test_a_check_that_fails_keeps_its_figures():
    check = {"of the largest": 0.5, "ok": 0.0}
    failed = {"error": "not as they should be: bf16", "figures": {"bf16": check}, "peak MiB": 3.0, "seconds": 1.0}
    lines = as_table({"device": "G", "torch": "2", "tiny": True, "parts": {"checks": failed}}).splitlines()
    assert "no measurement" in lines[0]
    assert lines[4] == "| checks | not as they should be: bf16 | failed |"
    assert lines[5] == "| checks | bf16, of the largest | 0.5 |"
