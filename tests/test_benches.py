"""The benches run at the smallest size, and tell what they are for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from bench import embed, epoch, gf_sam, roofline, shards, sizes, step, training
from prosam.checkpoints.sizes import SIZES
from prosam.predictor.predictor import Predictor
from tests.conftest import DATASET
from tests.scenes import pair


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in re.findall(r"(?<![\w.])\d[\d,]*\.?\d*(?:e-?\d+)?", text)]


@pytest.mark.slow
def test_step_compares_gradients_first_and_counts_what_ours_saves(capsys: pytest.CaptureFixture[str]):
    step.bench(images=1, samples=2, at_once=[1], rounds=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("gradients of ours, 1 at once differ by ")
    assert numbers(lines[1])[1] < 1e-4
    titles = [number for number, line in enumerate(lines) if line in ("decoder and loss", "whole step")]
    assert len(titles) == 2
    for title in titles:
        plain, frozen, ours = (line[15:].split() for line in lines[title + 2 : title + 5])
        for column in range(5):
            assert float(ours[column].replace(",", "")) < float(plain[column].replace(",", ""))
        assert float(frozen[1]) < float(plain[1])  # no gradients of weights are written
        assert "x plain loop" in lines[title + 7]
        assert "x frozen loop" in lines[title + 7]


def test_step_compares_nothing_that_differs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bench.forms.plain_loss", lambda models, embedding, truth, samples: samples.square().mean())
    with pytest.raises(SystemExit, match="the forms do not compute the same"):
        step.bench(images=1, samples=1, at_once=[1], rounds=1)


def test_embed_compares_embeddings_first(capsys: pytest.CaptureFixture[str]):
    embed.bench(images=2, batch=[2], rounds=1)
    first, plain, ours = capsys.readouterr().out.splitlines()
    assert numbers(first)[0] < 1e-4
    assert plain.split(":")[0].strip() == "segment-anything"
    assert ours.split(":")[0].strip() == "ours, 2 at once"
    assert all(numbers(line.split(":")[1])[0] > 0 for line in (plain, ours))


def test_gf_sam_compares_masks_first_and_takes_less_memory(capsys: pytest.CaptureFixture[str]):
    gf_sam.bench(rounds=1)
    first, *rows = capsys.readouterr().out.splitlines()
    points, covered, differing, *_ = numbers(first)
    assert points > 50
    assert 10 < covered < 90
    assert differing <= gf_sam.TOLERANCE
    assert [row.split(":")[0].strip() for row in rows[:4]] == [
        "plain decoder",
        "our decoder",
        "plain target",
        "our target",
    ]
    memory = [numbers(row)[1] for row in rows[:4]]
    assert memory[1] < memory[0]
    assert memory[3] < memory[2]
    assert all("x plain" in row for row in rows[4:])


def test_sizes_sums_the_parts_of_a_target(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(SIZES, "small", ("tiny", "tiny-resnet"))
    sizes.bench(rounds=1)
    first, *parts, target = capsys.readouterr().out.splitlines()
    assert first.startswith("tiny with tiny-resnet on ")
    assert [part.split(":")[0].strip() for part in parts] == ["SAM's image encoder", "the backbone", "the method"]
    assert numbers(target)[0] == pytest.approx(sum(numbers(part)[0] for part in parts), abs=0.02)


def test_gf_sam_compares_nothing_that_differs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bench.plain_gf_sam.plain_gf_sam", lambda *given: (torch.zeros(128, 128, dtype=torch.bool), 1))
    with pytest.raises(SystemExit, match="do not find the same mask"):
        gf_sam.bench(rounds=1)


def test_epoch_tells_waiting_from_computing(workspace: Path, capsys: pytest.CaptureFixture[str]):
    epoch.bench(DATASET, "prosam", steps=4, batch=2, samples=1, workers=[0, 1])
    lines = [line for line in capsys.readouterr().out.splitlines() if "waiting" in line]
    assert [line.split(" workers")[0] for line in lines] == ["0", "1"]
    for line in lines:
        first, second = (float(share) for share in re.findall(r"(\d+) %", line))
        assert 0 < first < 100
        assert 0 <= second < 100


def test_training_takes_the_same_path_in_both_forms(workspace: Path, capsys: pytest.CaptureFixture[str]):
    training.bench(DATASET, "prosam", steps=2, samples=2)
    _, plain, ours, ratio, _, apart = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].strip() for line in (plain, ours)] == ["plain", "ours"]
    assert numbers(ratio)[0] > 0
    first, most = numbers(apart)
    assert first <= most < 1e-4


def test_roofline_gives_shares_of_measured_peaks(capsys: pytest.CaptureFixture[str]):
    roofline.bench(images=1, samples=1, rounds=1, side=256)
    lines = capsys.readouterr().out.splitlines()
    assert all(numbers(line.split(":")[1])[0] > 0 for line in lines[:3])
    assert [line[:18].strip() for line in lines[5:]] == [
        "backbone",
        "pseudo mask",
        "prompt encoder",
        "decoder and loss",
    ]
    for line in lines[5:]:
        arithmetic, memory = (float(share) for share in re.findall(r"(\d+)%", line))
        assert 0 <= arithmetic <= 150
        assert 0 <= memory <= 150


def test_shards_multiplies_what_it_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    scene, _, shown = pair()
    (tmp_path / "photos").mkdir()
    for number in range(2):
        Image.fromarray(scene.image).save(tmp_path / "photos" / f"{number}.png")
    concept = Predictor.load("bundled:shapes", device="cpu").learn([(scene.image, scene.mask(shown))])
    concept.save(tmp_path / "cat.safetensors")
    words = {"model": "bundled:shapes", "device": "cpu", "count": 3600, "each": 60, "cores": 2, "gbit": 8}
    shards.bench(tmp_path / "photos", tmp_path / "cat.safetensors", **words)
    measured, sizes, hours, a_shard, _ = capsys.readouterr().out.splitlines()
    sample, milliseconds, rate = numbers(measured)
    assert (sample, rate) == (2, pytest.approx(1000 / milliseconds, abs=0.1))
    seconds = milliseconds / 1000  # 3600 photos take as many hours, and 60 as many minutes
    assert numbers(hours.partition(":")[2])[0] == pytest.approx(seconds, abs=1)
    assert hours.endswith("; 60 shards")
    assert numbers(a_shard.partition(":")[2])[0] == pytest.approx(seconds, abs=0.1)
    assert numbers(sizes)[0] == pytest.approx((tmp_path / "photos/0.png").stat().st_size / 1000, abs=1)
