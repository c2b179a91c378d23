"""Digests of folders and lines: damage is noticed by name, and what has no digest is read as ever."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prosam.checkpoints.exported import read_exported_description, write_exported
from prosam.checkpoints.frozen_weights import Origin, read_origin, write_frozen_weights
from prosam.errors import InputError
from prosam.features.embedding_forms import CHECKS, KEY
from prosam.features.embedding_store import EmbeddingStore
from prosam.output.journal import Journal
from prosam.seals import SUMS, Seal, check_seal, checked_line, line_content, seal, sealed_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with sealed_folder(tmp_path / "out") as new:
        (new / "deep").mkdir()
        (new / "a.txt").write_bytes(b"one")
        (new / "deep" / "b\n\\.txt").write_bytes(b"two")
    return tmp_path / "out"


def test_a_sealed_folder_has_the_sha256_of_each_file(folder: Path):
    lines = (folder / SUMS).read_text().splitlines()
    assert lines[0] == f"{hashlib.sha256(b'one').hexdigest()}  a.txt"
    assert len(lines) == 2
    for path in (folder / "a.txt", folder / "deep" / "b\n\\.txt"):
        Seal(folder, "").check(path)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
def test_the_form_is_that_of_sha256sum(tmp_path: Path):
    (tmp_path / "a b.txt").write_bytes(b"one")
    seal(tmp_path)
    subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=tmp_path, check=True)


def test_a_changed_file_is_named_with_the_remedy(folder: Path):
    (folder / "a.txt").write_bytes(b"onf")
    with pytest.raises(InputError, match=r"out/a\.txt: is damaged: .* beside it; do this"):
        check_seal(folder / "a.txt", "do this")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"half a li", b"0000  a.txt\n"])
def test_a_damaged_file_of_digests_is_named(folder: Path, content: bytes):
    (folder / SUMS).write_bytes(content)
    with pytest.raises(InputError, match=rf"out/{SUMS}: .*; do this"):
        check_seal(folder / "a.txt", "do this")


def test_what_has_no_digest_is_read_unchecked(folder: Path, tmp_path: Path):
    (folder / "new.txt").write_text("added by hand")
    check_seal(folder / "new.txt", "")
    check_seal(folder / "missing.txt", "")
    (folder / "a.txt").unlink()
    check_seal(folder / "a.txt", "")  # whoever reads it says what to do
    check_seal(tmp_path / "elsewhere" / "a.txt", "")


def test_a_line_ends_with_the_crc_of_its_content():
    line = checked_line({"b": 1, "a": "x"})
    assert json.loads(line)["crc32"] == zlib.crc32(b'{"a": "x", "b": 1}')
    assert line_content(line) == {"b": 1, "a": "x"}
    assert line_content('{"b": 1}') == {"b": 1}  # of an older version
    for place in range(len(line) - 1):
        spoiled = line[:place] + chr(ord(line[place]) ^ 1) + line[place + 1 :]
        try:
            found = line_content(spoiled)
        except (ValueError, TypeError):
            continue
        found = {key: value for key, value in found.items() if key in ("a", "b")}
        assert found == {"b": 1, "a": "x"}, spoiled


def test_a_changed_number_in_a_journal_is_noticed(tmp_path: Path):
    line = {"image": "a", "stem": "a", "from": "a", "file": [1, 2], "height": 9, "width": 9, "found": []}
    journal = Journal(tmp_path / "results.jsonl", {"model": "m", "concepts": []})
    journal.write()
    journal.append(line)
    journal.close()
    text = journal.path.read_text()
    journal.path.write_text(text.replace('"height": 9', '"height": 8'))
    with pytest.raises(InputError, match=r"results\.jsonl, line 2: is damaged"):
        Journal(journal.path, {})
    journal.path.write_text("".join(f"{json.dumps(line_content(line))}\n" for line in text.splitlines()))
    assert Journal(journal.path, {}).lines == [line]  # an older version's


def test_a_changed_tensor_or_description_of_an_exported_model_is_noticed(tmp_path: Path):
    path = tmp_path / "m.safetensors"
    write_exported(path, {"a": torch.arange(64.0)}, {"name": "mine"})
    assert read_exported_description(path) == {"format": 1, "name": "mine"}
    whole = path.read_bytes()
    for old, new in ((np.float32(40).tobytes(), np.float32(41).tobytes()), (b"mine", b"mind")):
        assert whole.count(old) == 1
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(InputError, match=r"m\.safetensors: is damaged: it differs from its digest"):
            read_exported_description(path)


def test_a_changed_origin_of_weights_is_noticed_and_a_path_in_it_refused(tmp_path: Path):
    write_frozen_weights(tmp_path / "sam", {"a": torch.zeros(1)}, Origin("tiny", "a.pth", "0" * 64))
    path = tmp_path / "sam" / "weights.json"
    text = path.read_text()
    path.write_text(text.replace("a.pth", "b.pth"))
    with pytest.raises(InputError, match=r"weights\.json: is damaged"):
        read_origin(tmp_path / "sam", stage="sam")
    (tmp_path / "sam" / SUMS).unlink()
    assert read_origin(tmp_path / "sam", stage="sam").checkpoint == "b.pth"
    for spoiled in (text.replace("a.pth", "../a.pth"), text.replace('"a.pth"', "[1]"), text.replace("0" * 64, "0")):
        path.write_text(spoiled)
        with pytest.raises(InputError, match=r"weights\.json: is damaged"):
            read_origin(tmp_path / "sam", stage="sam")


def test_a_changed_embedding_is_noticed_when_it_is_read_and_one_without_a_check_is_not(tmp_path: Path):
    rows = torch.arange(12.0).reshape(3, 4, 1, 1).half()
    index = {"made_by": {}, "content": "", "shape": [4, 1, 1], "shards": [{"file": "s", "images": ["a", "b", "c"]}]}
    (tmp_path / "index.json").write_text(json.dumps(index))
    checks = torch.tensor([zlib.crc32(row.numpy().tobytes()) for row in rows])
    save_file({KEY: rows, CHECKS: checks}, tmp_path / "s")
    assert torch.equal(EmbeddingStore(tmp_path).read(["a", "b", "c", "b"]), rows[[0, 1, 2, 1]].float())
    changed = load_file(tmp_path / "s")[KEY].clone()
    changed[1, 2] += 1
    save_file({KEY: changed, CHECKS: checks}, tmp_path / "s")
    store = EmbeddingStore(tmp_path)
    assert torch.equal(store.read(["a", "c"]), rows[[0, 2]].float())
    with pytest.raises(InputError, match=r"/s: is damaged"):
        store.read(["b"])
    save_file({KEY: changed}, tmp_path / "s")  # of an older version
    assert torch.equal(EmbeddingStore(tmp_path).read(["b"]), changed[1:2].float())
