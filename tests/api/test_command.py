"""`prosam api` as a user starts it, keys, and concepts in a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prosam import Predictor
from prosam.api.concepts import NamedConcepts
from prosam.api.keys import KEY_VARIABLE, read_key
from prosam.api.service import Service
from prosam.cli.main import app, main
from prosam.errors import InputError
from prosam.predictor.concept import Concept
from tests.api.conftest import KEY, form, reference_fields, service_of


def api(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit status and standard error of a start that fails."""
    monkeypatch.setattr(sys, "argv", ["prosam", "api", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "key", "warned"), [("0.0.0.0", None, True), ("0.0.0.0", KEY, False), ("127.0.0.1", None, False)]
)
def test_it_warns_when_others_can_reach_it_without_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, key: str | None, warned: bool
):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    if key:
        monkeypatch.setenv(KEY_VARIABLE, key)
    status, told = api(monkeypatch, capsys, "--host", host, "--port", "0", "--model", "no-such-model")
    *warnings, error = told.splitlines()
    expected = f"warning: anyone who can reach {host} can use the service; pass --key-file, or set PROSAM_API_KEY"
    assert (status, warnings) == (2, [expected] * warned)
    assert "no-such-model" in error


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], library: str
):
    monkeypatch.setitem(sys.modules, library, None)
    told = f"error: prosam api needs {library}; install it with: pip install 'prosam[demo]'\n"
    assert api(monkeypatch, capsys) == (2, told)


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5", "", "99999"])
def test_threads_are_auto_or_a_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], threads: str
):
    status, told = api(monkeypatch, capsys, "--threads", threads)
    assert (status, told) == (2, f"error: --threads {threads}: must be auto, or a number of cores, such as 4\n")


def test_no_option_takes_the_key_itself():
    shown = CliRunner().invoke(app, ["api", "--help"]).output
    assert "--key-file" in shown
    assert "--key " not in shown
    assert "curl -F image=@photo.jpg -F concept=cat" in shown


def test_the_key_is_read_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert read_key(None) is None
    monkeypatch.setenv(KEY_VARIABLE, "of-the-environment-1234")
    assert read_key(None) == "of-the-environment-1234"
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert read_key(file) == KEY


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short", b"with blanks in it, long", "schl\u00fcssel-123456789".encode(), b"\xff" * 20]
)
def test_a_weak_or_damaged_key_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(InputError, match="key"):
        read_key(file)
    with pytest.raises(InputError, match="No such file"):
        read_key(tmp_path / "none")


def test_concepts_in_a_folder_outlive_the_service_and_are_files_of_prosam_learn(
    tmp_path: Path, predictor: Predictor, shown: Concept
):
    with service_of(Service(predictor, NamedConcepts(tmp_path, predictor.checked))) as client:
        assert client.post("/v1/concepts", files=form(("name", "shape"), *reference_fields())).status_code == 201
    assert Concept.load(tmp_path / "shape.safetensors").digest == shown.digest
    again = NamedConcepts(tmp_path, predictor.checked)
    assert [one.digest for one in again.all()] == [shown.digest]
    again.remove("shape")
    assert list(tmp_path.glob("*.safetensors")) == []


def test_a_folder_with_another_models_or_a_renamed_concept_is_refused(
    tmp_path: Path, predictor: Predictor, shown: Concept
):
    shown.save(tmp_path / "renamed.safetensors")
    with pytest.raises(InputError, match=r"renamed\.safetensors: has the concept 'shape'"):
        NamedConcepts(tmp_path, predictor.checked)
    (tmp_path / "renamed.safetensors").rename(tmp_path / "shape.safetensors")
    with pytest.raises(InputError, match="was learned by another model"):
        NamedConcepts(tmp_path, Predictor.load(device="cpu").checked)
