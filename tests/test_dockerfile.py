"""The Dockerfile agrees with the rest of the repository. It is linted by hand, and built nowhere here."""

from __future__ import annotations

import inspect
import re
import tomllib

from prosam.cli.api import api
from tests.conftest import REPOSITORY

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_what_is_copied_exists_and_is_not_ignored():
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    ]
    assert {"prosam", "pyproject.toml", "requirements.lock"} <= set(copied)
    for name in copied:
        assert (REPOSITORY / name).exists()
        assert f"!{name}" in IGNORED
    assert {line[1:] for line in IGNORED if line.startswith("!")} == set(copied)


def test_its_port_and_uv_are_those_of_the_repository():
    port = inspect.signature(api).parameters["port"].default
    assert f"EXPOSE {port}\n" in DOCKERFILE
    assert f"http://127.0.0.1:{port}/health" in DOCKERFILE
    (version,) = set(re.findall(r"uv==(\S+)", DOCKERFILE))
    assert f"uv=={version}" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def test_its_extras_are_extras_of_the_package():
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert set(re.findall(r"--extra (\S+)", DOCKERFILE)) <= set(extras)


def test_every_base_image_is_pinned_and_the_last_user_has_no_rights():
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
    own = {name for _, name in stages}
    bases = [base for base, _ in stages if base not in own]
    assert bases
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in bases)
    assert {name for _, name in stages[-2:]} == {"cpu", "cuda"}
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["10001"]
