"""`prosam segment` with photos that cannot be read, show nothing, or are looked at once more."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import SafetensorError

from prosam.output.jobs import ImageJob
from prosam.predictor import concept
from prosam.predictor.predictor import Predictor
from prosam.predictor.result import Result
from tests.cli.conftest import Prosam, files_below
from tests.data.odd_files import ODD_FILES

CAT = ("--reference", "cat.jpg", "--mask", "cat.png")


def test_what_looks_like_an_image_and_cannot_be_read_is_reported(work: Path, prosam: Prosam):
    (work / "photos/phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (work / "photos/moved.jpg").symlink_to(work / "elsewhere/moved.jpg")
    (work / "photos/notes.txt").write_text("no image")
    status, out, error = prosam("segment", "photos", *CAT, "--out", "found", "--write", "coco")
    assert status == 1
    assert "of 5 images" in out
    told = [
        "photos/moved.jpg: is a broken link",
        "photos/phone.HEIC: cannot be read as an image: .HEIC is not a supported format; convert it to JPEG or PNG",
    ]
    assert error.splitlines()[-3:] == ["error: 2 of 7 images could not be read:", *(f"  {line}" for line in told)]
    assert (work / "found/unreadable.txt").read_text().splitlines() == told


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_of_a_folder_of_odd_files_each_is_segmented_or_named_with_its_reason(work: Path, prosam: Prosam):
    (work / "odd").mkdir()
    files = {f"{number}.{odd.suffix}": odd for number, odd in enumerate(ODD_FILES.values())}
    for name, odd in files.items():
        (work / "odd" / name).write_bytes(odd.content)
    status, out, error = prosam("segment", "odd", *CAT, "--out", "found", "--write", "masks")
    assert (status, "Traceback" in error) == (1, False)
    read = {Path(name).stem for name, odd in files.items() if odd.is_read}
    assert {path.stem for path in (work / "found/masks/cat").iterdir()} == read
    assert f"of {len(read)} images" in out
    told = dict(line.split(": ", 1) for line in (work / "found/unreadable.txt").read_text().splitlines())
    assert told.keys() == {f"odd/{name}" for name, odd in files.items() if not odd.is_read}
    for name, odd in files.items():
        assert odd.told in told.get(f"odd/{name}", "")


def test_what_is_left_out_or_understood_otherwise_is_said_once(work: Path, prosam: Prosam):
    photos = [Image.open(path).convert("L") for path in sorted((work / "photos").glob("*.png"))]
    (work / "scans").mkdir()
    for number, photo in enumerate(photos[:2]):
        photo.save(work / f"scans/{number}.tif", save_all=True, append_images=photos[2:])
    (work / "far").mkdir()
    Image.fromarray(np.asarray(photos[3]).astype(np.uint16)).save(work / "far/deep.png")
    (work / "scans/day1").symlink_to("../far")
    Image.open(work / "cat.png").convert("L").save(work / "cat-mask.jpg", quality=75)
    status, out, error = prosam(
        "segment", "scans", "--reference", "cat.jpg", "--mask", "cat-mask.jpg", "--out", "found", "--write", "masks"
    )
    assert (status, "of 3 images" in out) == (0, True)
    assert (work / "found/masks/cat/day1/deep.png").is_file()
    notes = [line for line in error.splitlines() if line.startswith("note: ")]
    assert len(notes) == 3
    assert notes[0].startswith("note: cat-mask.jpg: it has grey pixels")
    assert "note: 2 files: has several pages or frames, of which the first is read: scans/0.tif, scans/1.tif" in notes
    assert any("scans/day1/deep.png: its 16-bit numbers are no larger than 255" in note for note in notes)


def test_all_outputs_agree_that_an_empty_mask_is_nothing(work: Path, prosam: Prosam):
    (work / "dark").mkdir()
    Image.new("RGB", (60, 40)).save(work / "dark/1.png")  # where the model for shapes has no pixel to show
    status, out, _ = prosam("segment", "dark", *CAT, "--out", "found", "--threshold", "0")
    assert status == 0
    assert not any(Image.open(work / "found/masks/cat/1.png").tobytes())
    assert "cat in 0 of 1 images" in out
    line = json.loads((work / "found/results.jsonl").read_text().splitlines()[1])
    assert (line["found"][0]["present"], line["found"][0]["rle"]) == (False, None)
    assert json.loads((work / "found/coco.json").read_text())["annotations"] == []
    assert json.loads((work / "found/labelme/1.json").read_text())["shapes"] == []


def test_an_image_that_is_looked_at_again_alone_takes_no_other_with_it(work: Path, prosam: Prosam):
    command = [*CAT, "--out", "found", "--write", "masks", "--write", "coco"]
    assert prosam("segment", "photos", *command)[0] == 0
    before = files_below(work / "found")
    (work / "found/masks/cat/1.png").write_bytes(b"damaged meanwhile")
    status, out, _ = prosam("segment", "photos/1.png", *command, "--again")
    assert (status, "of 1 images" in out) == (0, True)
    after = files_below(work / "found")
    assert {name for name in before if after.get(name) != before[name]} <= {"coco.json", "results.jsonl"}
    images = json.loads(after["coco.json"])["images"]
    assert [image["file_name"] for image in images] == ["1.png", "0.png", "2.png", "3.png", "deep/4.png"]
    status, out, _ = prosam("segment", "photos", *command)
    assert (status, "5 of 5 images are done" in out) == (0, True)
    assert files_below(work / "found") == before


@pytest.mark.parametrize(("option", "value"), [("--label", "dog"), ("--most", "3"), ("--images", "photos")])
def test_options_of_references_do_nothing_in_silence(work: Path, prosam: Prosam, option: str, value: str):
    status, _, error = prosam("segment", "photos", *CAT, option, value, "--out", "found")
    assert (status, error.count("\n")) == (2, 1)
    assert f"{option}: needs --references" in error


def test_a_run_that_is_stopped_says_how_it_goes_on(work: Path, prosam: Prosam, monkeypatch: pytest.MonkeyPatch):
    from prosam.output.results_folder import ResultsFolder

    add, command = ResultsFolder.add, ("segment", "photos", *CAT, "--out", "found")

    def stopped_at_2(folder: ResultsFolder, job: ImageJob, result: Result) -> None:
        if job.stem == "2":
            raise KeyboardInterrupt
        add(folder, job, result)

    with monkeypatch.context() as patched:
        patched.setattr(ResultsFolder, "add", stopped_at_2)
        status, out, _ = prosam(*command)
    assert (status, out.splitlines()[-1]) == (130, "stopped; the same command resumes from here")
    assert not (work / "found/coco.json").exists()
    status, out, _ = prosam(*command)
    assert (status, "2 of 5 images are done from an earlier start" in out) == (0, True)


def test_pictures_of_earlier_runs_are_no_photos(work: Path, prosam: Prosam):
    for folder in ("photos/one", "photos/deep/two", "photos/three", "elsewhere"):
        status, out, _ = prosam("segment", "photos", *CAT, "--out", folder)
        assert (status, "of 5 images" in out) == (0, True)
    assert "of 5 images" in prosam("segment", "photos/one/overlays", *CAT, "--out", "named")[1]  # asked for


@pytest.mark.parametrize(("options", "told"), [((), True), (("--threshold", "0"), False)])
def test_that_no_threshold_is_known_is_said(
    work: Path, prosam: Prosam, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], told: bool
):
    monkeypatch.setattr("prosam.predictor.model_card.usual_threshold", lambda architecture: 0.0)  # as of others
    status, out, _ = prosam("segment", "photos/0.png", *CAT, "--out", "found", *options)
    assert (status, "no presence threshold is known for this model" in out) == (0, told)


def test_an_overlay_that_was_damaged_is_named(work: Path, prosam: Prosam):
    command = ("segment", "photos/0.png", *CAT, "--out", "found")
    assert prosam(*command)[0] == 0
    (work / "found/overlays/0.jpg").write_bytes(b"")
    status, _, error = prosam(*command)
    assert (status, "found/overlays/0.jpg: cannot be read as an image" in error) == (2, True)


def test_the_own_annotations_beside_the_photos_stay(work: Path, prosam: Prosam):
    (work / "coco.json").write_text("mine")
    status, _, error = prosam("segment", "photos", *CAT, "--out", ".", "--write", "masks")
    assert (status, "coco.json: exists, but without results.jsonl" in error) == (2, True)
    assert (work / "coco.json").read_text() == "mine"
    assert not (work / "masks").exists()


def test_names_that_are_no_utf8_and_no_line_are_names(work: Path, prosam: Prosam):
    name = os.fsdecode(b"caf\xe9\n.png")
    (work / "photos/0.png").rename(work / "photos" / name)
    command = ("segment", "photos", *CAT, "--out", "found")
    assert prosam(*command)[0] == 0
    assert (work / "found/masks/cat" / name).exists()
    status, out, _ = prosam(*command)
    assert (status, "5 of 5 images are done" in out) == (0, True)


@pytest.mark.parametrize("command", [("segment", "photos", *CAT, "--out"), ("learn", *CAT)])
def test_results_do_not_go_into_a_file_of_something_else(work: Path, prosam: Prosam, command: tuple[str, ...]):
    before = (work / "dog.png").read_bytes()
    status, _, error = prosam(*command, "dog.png")
    assert (status, error.count("\n"), "dog.png: is a file" in error) == (2, 1, True)
    assert (work / "dog.png").read_bytes() == before


def test_a_concept_named_for_no_folder_is_refused_before_the_model_is_loaded(work: Path, prosam: Prosam):
    shapes = [{"label": "a/b", "shape_type": "point", "points": [[9, 9]]}]
    (work / "labels.json").write_text(json.dumps({"imagePath": "cat.jpg", "shapes": shapes}))
    words = ("segment", "photos", "--references", "labels.json", "--model", "nowhere", "--out", "found")
    assert "'a/b' cannot be a concept's name" in prosam(*words)[2]


def test_a_gpu_that_is_too_small_is_told_options_of_segment(
    work: Path, prosam: Prosam, monkeypatch: pytest.MonkeyPatch
):
    def load(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 9 GiB.")

    monkeypatch.setattr(Predictor, "load", load)
    status, _, error = prosam("segment", "photos", *CAT, "--out", "found", "--batch", "512")
    assert (status, error.count("\n"), "params.yaml" in error) == (2, 1, False)
    assert error.endswith("; lower --batch, or compute with --device cpu\n")


def test_a_disk_that_is_too_small_for_a_concept_is_one_line(
    work: Path, prosam: Prosam, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(concept, "save_file", full)
    status, _, error = prosam("learn", "learned.safetensors", *CAT)
    assert (status, error) == (2, "error: learned.safetensors: No space left on device\n")
    assert not list(work.glob("*learned*"))
