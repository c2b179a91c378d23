"""The bundled params.yaml with changes, in an empty folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prosam.params import Params
from tests.conftest import bundled_params

ParamsWith = Callable[..., Params]


@pytest.fixture
def params_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ParamsWith:
    """`params_with(sam="vit_h", datasets=["pascal-5i"])`; the current folder is an empty one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROSAM_SCRATCH", raising=False)

    def changed(*, sam: str = "tiny", datasets: list[str] | None = None, **download: object) -> Params:
        content = bundled_params()
        content["pipeline"]["runs"] = ["prosam"]  # counting another takes seconds
        content["models"]["sam"] = {"name": sam}
        content["pipeline"]["datasets"] = datasets or ["shapes-5i"]
        content["device"], content["threads"] = "cpu", 1
        content["datasets"][content["pipeline"]["datasets"][0]]["download"] |= download
        return Params.model_validate(content)

    return changed
