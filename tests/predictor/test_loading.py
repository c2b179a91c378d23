"""Where a model and its frozen weights may come from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter
from safetensors.torch import save_file

from prosam import InputError, Predictor
from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, PROMPT_ENCODER, SAM_WEIGHTS
from prosam.checkpoints.exported import export_model, read_exported_description, write_exported
from prosam.checkpoints.frozen_weights import Origin, weights_file, write_frozen_weights
from prosam.checkpoints.model_source import open_model
from prosam.checkpoints.trained import read_description
from prosam.checkpoints.weights import load_state
from tests.fetching.conftest import Server, server
from tests.scenes import pair

__all__ = ["server"]


def make_run(folder: Path, **changes: Any) -> Path:
    """The bundled model as the stage `train` would write it."""
    folder.mkdir(parents=True)
    save_file(load_state(PROMPT_ENCODER), folder / "prompt_encoder.safetensors")
    description = {**read_exported_description(PROMPT_ENCODER), **changes}
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def test_a_folder_a_bundle_and_an_archive_are_the_model_that_they_were_made_of(predictor: Predictor, tmp_path: Path):
    run = make_run(tmp_path / "models" / "run" / "0")
    export_model(run, tmp_path / "bundle.safetensors")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "models")
    shutil.make_archive(str(tmp_path / "flat"), "gztar", run)
    with zipfile.ZipFile(tmp_path / "bundled.zip", "w") as archive:
        archive.write(tmp_path / "bundle.safetensors", "bundle.safetensors")
    sources = [run, run / "model.json", *(tmp_path / n for n in ("bundle.safetensors", "packed.zip", "flat.tar.gz"))]
    for source in [*sources, tmp_path / "bundled.zip"]:
        assert Predictor.load(source, device="cpu").model.digest == predictor.model.digest


def test_exporting_gives_the_same_bytes_and_keeps_the_description(tmp_path: Path):
    run = make_run(tmp_path / "run", commit="abc")
    for name in ("one", "two"):
        export_model(run, tmp_path / f"{name}.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    assert read_exported_description(tmp_path / "one.safetensors") == read_description(run)


def test_a_model_comes_from_a_url_verified_and_once(predictor: Predictor, server: Server, tmp_path: Path):
    content = PROMPT_ENCODER.read_bytes()
    url = server.offer("/models/prosam.safetensors", content)
    digest = hashlib.sha256(content).hexdigest()
    for _ in range(2):
        assert Predictor.load(f"{url}#sha256={digest}", device="cpu").model.digest == predictor.model.digest
    assert len(server.requests) == 1
    with pytest.raises(InputError, match="wrong content"):
        open_model(f"{server.offer('/other/prosam.safetensors', content)}#sha256={'0' * 64}")
    for address, message in ((f"{url}#md5=1", "must be sha256="), (server.url("/page.html"), "must be the address")):
        with pytest.raises(InputError, match=message):
            open_model(address)


class _Hub(BaseHTTPRequestHandler):
    """As much of a hub as fetching a file takes: its main branch is at one commit."""

    folder: Path

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        place = "/someone/prosam/resolve/"
        if not self.path.startswith(place):
            self.send_error(404)
            return
        content = (self.folder / self.path.rpartition("/")[2]).read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)


def test_a_model_comes_from_a_hub_by_its_id(predictor: Predictor, tmp_path: Path):
    run = make_run(tmp_path / "run")
    code = "import sys; from prosam.checkpoints.model_source import open_model; print(open_model(sys.argv[1]).folder)"
    hub = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), {"folder": run}))
    Thread(target=hub.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{hub.server_address[1]}"
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*"}
    command = [sys.executable, "-c", code, "someone/prosam"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    hub.shutdown()
    hub.server_close()
    assert ran.returncode == 0, ran.stderr
    assert Predictor.load(ran.stdout.strip(), device="cpu").model.digest == predictor.model.digest


def test_a_mistyped_folder_is_not_looked_for_in_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for source in ("models/prosam", "models/a/b/0", "nothing", tmp_path / "none"):
        with pytest.raises(InputError, match="no such file or folder"):
            open_model(source)


def other_sam(folder: Path) -> tuple[Path, Origin]:
    """A SAM that is not the bundled one, as the stage `sam` writes it."""
    state = load_state(SAM_WEIGHTS)
    state["mask_decoder.iou_token.weight"] = state["mask_decoder.iou_token.weight"] + 1
    origin = Origin("tiny", "mine.safetensors", "5a" * 32)
    write_frozen_weights(folder, state, origin)
    return folder, origin


def test_frozen_weights_are_found_above_the_model_in_the_current_folder_or_where_one_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, origin = other_sam(tmp_path / "project" / "data" / "weights" / "sam")
    above = make_run(tmp_path / "project" / "models" / "any" / "depth" / "0", sam=vars(origin))
    elsewhere = make_run(tmp_path / "elsewhere" / "run", sam=vars(origin))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"its SAM tiny of mine.safetensors \(SHA-256 5a5a.* was not found; .*`sam`"):
        Predictor.load(elsewhere, device="cpu")
    digests = {Predictor.load(above, device="cpu").model.digest, Predictor.load(elsewhere, sam=folder).model.digest}
    monkeypatch.chdir(tmp_path / "project")
    digests.add(Predictor.load(elsewhere, device="cpu").model.digest)
    assert len(digests) == 1


def test_a_checkpoint_file_is_taken_when_it_is_the_right_one(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    state = load_state(BACKBONE_WEIGHTS["tiny-resnet"])
    state["classifier.bias"] = state["classifier.bias"] + 1
    torch.save(state, tmp_path / "mine.pth")
    digest = hashlib.sha256((tmp_path / "mine.pth").read_bytes()).hexdigest()
    origin = Origin("tiny-resnet", "mine.pth", digest)
    run = make_run(tmp_path / "run", backbone_weights=vars(origin))
    given = Predictor.load(run, backbone=tmp_path / "mine.pth", device="cpu")
    converted = load_state(weights_file(cache / "weights" / f"tiny-resnet-{digest[:16]}"))
    assert torch.equal(converted["classifier.bias"], state["classifier.bias"])
    shutil.copy(tmp_path / "mine.pth", cache / "weights" / "mine.pth")
    assert Predictor.load(run, device="cpu").model.digest == given.model.digest
    for wrong, message in ((SAM_WEIGHTS, "is not the backbone that the model was trained with"), ("none", "no such")):
        with pytest.raises(InputError, match=message):
            Predictor.load(run, backbone=wrong, device="cpu")


def test_a_model_that_names_no_sam_needs_one(tmp_path: Path, predictor: Predictor):
    run = make_run(tmp_path / "run", sam=None)
    with pytest.raises(InputError, match="does not name its SAM; pass `sam`"):
        Predictor.load(run, device="cpu")
    with pytest.raises(InputError, match="is not one of SAM's published checkpoints"):
        Predictor.load(run, sam=SAM_WEIGHTS, device="cpu")
    folder = tmp_path / "sam"
    digest = hashlib.sha256(SAM_WEIGHTS.read_bytes()).hexdigest()
    write_frozen_weights(folder, load_state(SAM_WEIGHTS), Origin("tiny", SAM_WEIGHTS.name, digest))
    assert Predictor.load(run, sam=folder, device="cpu").model.digest == predictor.model.digest


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.json", "{", "is damaged"),
        ("model.json", '{"format": 99}', "has format 99"),
        ("model.json", '{"format": 1}', "does not describe a run"),
        ("prompt_encoder.safetensors", "x", "cannot be read as weights"),
    ],
)
def test_a_damaged_model_is_one_line(tmp_path: Path, file: str, content: str, message: str):
    run = make_run(tmp_path / "run")
    (run / file).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        Predictor.load(run, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_model_without_a_distribution_has_no_uncertainty(tmp_path: Path):
    run = {**read_exported_description(PROMPT_ENCODER)["run"], "method": "vrp-sam", "distribution": None}
    description = {**read_exported_description(PROMPT_ENCODER), "run": run, "name": "vrp-sam"}
    state = {name: tensor for name, tensor in load_state(PROMPT_ENCODER).items() if "head" not in name}
    write_exported(tmp_path / "vrp-sam.safetensors", state, description)
    vrp_sam = Predictor.load(tmp_path / "vrp-sam.safetensors", device="cpu")
    reference, target, class_id = pair()
    concept = vrp_sam.learn([(reference.image, reference.mask(class_id))])
    assert vrp_sam.segment(target.image, concept, threshold=0).uncertainty is None
    with pytest.raises(InputError, match=r"vrp-sam trained on shapes-5i .* has no prompt distribution"):
        vrp_sam.segment(target.image, concept, samples=5)


def test_the_bundled_model_is_under_a_megabyte_and_goes_with_the_bundled_weights():
    assert PROMPT_ENCODER.stat().st_size < 1e6
    description = read_exported_description(PROMPT_ENCODER)
    for key, path in (("sam", SAM_WEIGHTS), ("backbone_weights", BACKBONE_WEIGHTS["tiny-resnet"])):
        assert description[key]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(description["base_classes"]) == 20


def test_the_bundled_models_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()  # a folder of that name is none of the bundled models
    assert open_model("bundled:shapes").description["sam"]["model"] == "tiny"
    assert open_model("bundled:photos").description["sam"]["model"] == "lite"
    assert open_model(None).weights == open_model("bundled:photos").weights
    with pytest.raises(InputError, match=r"bundled:photo: unknown bundled model 'photo'; did you mean 'photos'\?"):
        open_model("bundled:photo")


def drawn_scene(seed: int, left: int, top: int) -> tuple[np.ndarray, np.ndarray]:
    """An orange disk with soft edges before a blurred background, and its mask."""
    noise = np.random.default_rng(seed).integers(60, 180, (12, 16, 3), np.uint8)
    background = np.asarray(Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)) / 2 + (60, 90, 50)
    image, mask = Image.fromarray(background.astype(np.uint8)), Image.new("L", (320, 240))
    for drawn, colour in ((image, (200, 60, 30)), (mask, 255)):
        ImageDraw.Draw(drawn).ellipse((left, top, left + 110, top + 100), fill=colour)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(1))), np.asarray(mask) > 0


def test_the_default_model_finds_the_object_elsewhere_before_another_background():
    predictor = Predictor.load()
    assert predictor.model.caveat is not None
    assert "one object that fills much of the view" in predictor.model.caveat
    (reference, marked), (target, truth) = drawn_scene(0, 90, 60), drawn_scene(10, 150, 80)
    concept = predictor.learn([(reference, marked)], name="disk")
    result = predictor.segment(target, concept)
    assert result.present
    assert (result.mask & truth).sum() / (result.mask | truth).sum() > 0.85  # the reference mask itself has 0.18
