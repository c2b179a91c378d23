"""`prosam segment`, `learn` and `export` as a user runs them."""

from __future__ import annotations

import io
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from prosam.checkpoints.bundled import PROMPT_ENCODER
from tests.cli.conftest import Prosam, files_below
from tests.scenes import scenes

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from prosam.cli.main import main; main()"]


def sheet_size(tiles: int) -> tuple[int, int]:
    """Of tiles of 240 px with a line of 24 below and gaps of 12, four in a row."""
    columns, rows = min(4, tiles), math.ceil(tiles / 4)
    return columns * (240 + 12) + 12, rows * (240 + 24 + 12) + 12


def test_the_overview_shows_the_reference_with_what_is_drawn_on_it_and_the_first_results(work: Path, prosam: Prosam):
    command = ["segment", "photos", "--reference", "cat.jpg", "--box", "30,30,90,90", "--threshold", "0"]
    assert prosam(*command, "--out", "found")[0] == 0
    sheet = Image.open(work / "found/overview.jpg")
    assert sheet.size == sheet_size(tiles=1 + 5)
    shown = np.asarray(sheet.crop((12, 12, 252, 252)).resize((128, 128)), float)
    reference = np.asarray(Image.open(work / "cat.jpg").convert("RGB"), float)
    change = np.abs(shown - reference).mean(2)
    inside = np.zeros((128, 128), bool)
    inside[34:86, 34:86] = True  # away from the line around it
    outside = np.ones((128, 128), bool)
    outside[26:94, 26:94] = False
    assert change[inside].mean() > 4 * change[outside].mean()
    first = np.asarray(sheet.crop((12 + 252, 12 + 30, 252 + 252, 12 + 210)), float)  # 128 x 96 in a square
    overlay = np.asarray(Image.open(work / "found/overlays/0.jpg").resize((240, 180), Image.Resampling.LANCZOS), float)
    assert np.abs(first - overlay).mean() < 5


def test_the_first_screen_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_typed: Prosam):
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    command = next(line for line in readme.splitlines() if line.startswith("    prosam segment docs/first"))
    monkeypatch.chdir(REPOSITORY)
    words = shlex.split(command)[1:]
    assert words[-2:] == ["--out", "found"]
    status, out, _ = as_typed(*words[:-1], tmp_path / "found")
    assert status == 0
    assert "person in 2 of 3 images" in out
    shown = np.asarray(Image.open(REPOSITORY / "docs/segment.jpg").convert("RGB"), float)
    made = np.asarray(Image.open(tmp_path / "found/overview.jpg").convert("RGB"), float)
    assert np.abs(shown - made).mean() < 1  # the picture there is what comes out


def test_the_default_model_is_for_photographs_and_refuses_a_concept_of_the_model_for_shapes(
    work: Path, as_typed: Prosam
):
    cat = ("--reference", "cat.jpg", "--mask", "cat.png")
    status, out, _ = as_typed("segment", "photos/0.png", *cat, "--out", "default")  # generated, which is not refused
    assert (status, "one object that fills much of the view" in out) == (0, True)
    assert as_typed("segment", "photos/0.png", *cat, "--model", "bundled:photos", "--out", "named")[0] == 0
    assert files_below(work / "default") == files_below(work / "named")
    assert as_typed("learn", "cat.safetensors", *cat, "--model", "bundled:shapes")[0] == 0
    status, _, error = as_typed("segment", "photos/0.png", "--concept", "cat.safetensors", "--out", "refused")
    assert (status, error.count("\n")) == (2, 1)
    assert "was learned by another model" in error


def test_the_command_that_use_md_begins_with(work: Path, prosam: Prosam):
    status, out, _ = prosam("segment", "photos/", "--reference", "cat.jpg", "--mask", "cat.png", "--out", "masks/")
    assert status == 0
    assert "knows simple generated shapes only" in out
    names = ["0", "1", "2", "3", "deep/4"]
    forms = {"masks/cat/{}.png", "overlays/{}.jpg", "labelme/{}.json"}
    expected = {form.format(name) for form in forms for name in names} | {"coco.json", "overview.jpg", "results.jsonl"}
    assert set(files_below(work / "masks")) == expected
    coco = COCO(str(work / "masks/coco.json"))
    assert "simple generated shapes only" in json.loads((work / "masks/coco.json").read_text())["info"]["description"]
    by_name = {image["file_name"]: image["id"] for image in coco.loadImgs(coco.getImgIds())}
    assert sorted(by_name) == [f"{name}.png" for name in names]
    lines = [json.loads(line) for line in (work / "masks/results.jsonl").read_text().splitlines()[1:]]
    assert [line["found"][0]["present"] for line in lines].count(True) == len(coco.getAnnIds())
    for name in names:
        mask = Image.open(work / f"masks/masks/cat/{name}.png")
        assert mask.size == (128, 96)
        assert "simple generated shapes only" in mask.info["Software"]
        annotations = coco.loadAnns(coco.getAnnIds([by_name[f"{name}.png"]]))
        drawn = coco.annToMask(annotations[0]) if annotations else np.zeros((96, 128))
        assert np.array_equal(np.asarray(mask) == 255, drawn == 1)
        labelme = json.loads((work / f"masks/labelme/{name}.json").read_text())
        assert (
            (work / f"masks/labelme/{name}.json")
            .parent.joinpath(labelme["imagePath"])
            .samefile(work / f"photos/{name}.png")
        )
        assert bool(labelme["shapes"]) == bool(annotations)
        assert Image.open(work / f"masks/overlays/{name}.jpg").size == (128, 96)


def test_several_concepts_with_several_references_each_also_saved(work: Path, prosam: Prosam):
    cat = ["--name", "cat", "--reference", "cat.jpg", "--mask", "cat.png", "--reference", "photos/0.png"]
    cat += ["--point", "40,60", "--point", "41,62"]
    dog = ["--name", "dog", "--reference", "dog.jpg", "--scribble", "60,60 64,66 70,70"]
    status, out, _ = prosam("learn", "concepts", *cat, *dog)
    assert status == 0
    assert "cat, from 2 references (mask, point)" in out
    assert "dog, from 1 references (scribble)" in out
    assert prosam("segment", "photos", *cat, *dog, "--out", "one", "--threshold", "0", "--samples", "2")[0] == 0
    saved = ["--concept", "concepts/cat.safetensors", "--concept", "concepts/dog.safetensors"]
    assert prosam("segment", "photos", *saved, "--out", "two", "--threshold", "0", "--samples", "2")[0] == 0
    one, two = files_below(work / "one"), files_below(work / "two")
    sheets = [Image.open(io.BytesIO(files.pop("overview.jpg"))).size for files in (one, two)]
    assert sheets == [sheet_size(tiles=7), sheet_size(tiles=5)]  # a saved concept has no image of its references
    assert one == two
    assert {"labels/0.png", "masks/dog/0.png", "uncertainty/cat/deep/4.png"} < set(one)
    labels = np.asarray(Image.open(work / "one/labels/0.png"))
    masks = [np.asarray(Image.open(work / f"one/masks/{name}/0.png")) == 255 for name in ("cat", "dog")]
    assert np.array_equal(labels > 0, masks[0] | masks[1])
    assert masks[0][labels == 1].all()
    assert masks[1][labels == 2].all()


def test_results_are_references_of_a_next_run(work: Path, prosam: Prosam):
    given = ["--reference", "cat.jpg", "--mask", "cat.png", "--threshold", "0"]
    assert prosam("segment", "photos", *given, "--out", "found", "--write", "coco", "--write", "labelme")[0] == 0
    assert set(files_below(work / "found")) - {"coco.json", "results.jsonl"} == {
        f"labelme/{name}.json" for name in ("0", "1", "2", "3", "deep/4")
    }
    for source, more in (("found/coco.json", ["--images", "photos"]), ("found/labelme", [])):
        status, out, _ = prosam(
            "learn", "again.safetensors", "--references", source, *more, "--label", "cat", "--most", "2"
        )
        assert (status, "cat, from 2 references (mask, mask)" in out) == (0, True)


def test_what_is_there_is_kept_and_what_is_new_is_added(work: Path, prosam: Prosam):
    command = ["segment", "photos", "--reference", "cat.jpg", "--mask", "cat.png", "--out", "found"]
    assert prosam(*command)[0] == 0
    before = files_below(work / "found")
    (work / "found/masks/cat/1.png").unlink()
    changed = work / "photos/2.png"
    os.utime(changed, ns=(1, 1))
    Image.fromarray(scenes()[9].image).save(work / "photos/new.png")
    status, out, _ = prosam(*command)
    assert status == 0
    assert "3 of 6 images are done from an earlier start" in out
    after = files_below(work / "found")
    assert set(after) - set(before) == {"masks/cat/new.png", "overlays/new.jpg", "labelme/new.json"}
    assert {name for name in before if after[name] != before[name]} == {"coco.json", "overview.jpg", "results.jsonl"}
    status, _, error = prosam(*command, "--threshold", "1")
    assert (status, error.count("\n")) == (2, 1)
    assert "holds results of other concepts or settings" in error
    assert files_below(work / "found") == after
    (work / "found/masks/cat/mine.txt").write_text("mine")
    assert prosam(*command, "--threshold", "1", "--again", "--write", "masks")[0] == 0
    assert set(files_below(work / "found")) == {"masks/cat/mine.txt", "results.jsonl"} | {
        f"masks/cat/{name}.png" for name in ("0", "1", "2", "3", "deep/4", "new")
    }


def test_refined_masks_are_other_masks_and_no_folder_holds_both(work: Path, prosam: Prosam):
    command = ["segment", "photos/0.png", "--reference", "cat.jpg", "--mask", "cat.png", "--threshold", "0"]
    plain, refined = "masks/cat/0.png", "refined/masks/cat/0.png"
    assert prosam(*command, "--out", ".", "--write", "masks")[0] == 0
    assert prosam(*command, "--out", "refined", "--write", "masks", "--refine")[0] == 0
    assert (work / plain).read_bytes() != (work / refined).read_bytes()
    for out, other in ((".", "--refine"), ("refined", "--no-refine")):
        status, _, error = prosam(*command, "--out", out, "--write", "masks", other)
        assert (status, error.count("\n")) == (2, 1)
        assert "holds results of other concepts or settings" in error
    # the bundled model for shapes does not refine unless it is asked to
    assert prosam(*command, "--out", ".", "--write", "masks", "--no-refine")[0] == 0


@pytest.mark.slow
@pytest.mark.processes
def test_killed_half_way_it_goes_on_and_ends_in_the_same_bytes(work: Path, prosam: Prosam):
    many = work / "many"
    many.mkdir()
    for number, scene in enumerate(scenes()):
        Image.fromarray(scene.image).save(many / f"{number:02d}.png")
    (many / "30.png").write_bytes(b"no image")
    command = ["segment", "many", "--reference", "cat.jpg", "--mask", "cat.png", "--out"]
    process = subprocess.Popen(
        [*COMMAND, *command, "killed", "--model", "bundled:shapes"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal = work / "killed/results.jsonl"
    while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") > 5):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    there = journal.read_text().count("\n") - 1
    assert 5 <= there < 59
    assert not (work / "killed/coco.json").exists()
    with journal.open("a") as file:
        file.write('{"image": "59.p')  # as a kill in the middle of a line leaves it
    status, out, error = prosam(*command, "killed")
    assert status == 1, error
    assert f"{there} of 60 images are done from an earlier start" in out
    assert "1 of 60 images could not be read:\n  many/30.png: cannot be read as an image" in error
    assert prosam(*command, "whole")[0] == 1
    assert files_below(work / "killed") == files_below(work / "whole")
    assert (work / "whole/unreadable.txt").read_text().startswith("many/30.png: cannot be read as an image")
    Image.fromarray(scenes()[30].image).save(many / "30.png")
    status, out, _ = prosam(*command, "whole")
    assert (status, "59 of 60 images are done" in out) == (0, True)
    assert not (work / "whole/unreadable.txt").exists()


CAT = ("--reference", "cat.jpg")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("segment", "photos", *CAT, "--box", "10,20,900,90"),
            "cat.jpg: box 10,20,900,90 reaches outside the image",
        ),
        (("segment", "photos", *CAT, "--box", "10,20"), "--box 10,20: must be X0,Y0,X1,Y1"),
        (("segment", "photos", *CAT, "--point", "a,b"), "--point a,b: must be X,Y"),
        (("segment", "photos", *CAT, "--mask", "empty.png"), "the mask empty.png is empty"),
        (("segment", "photos", *CAT, "--mask", "none.png"), "none.png: not found"),
        (("segment", "photos", *CAT), "--reference cat.jpg: has no annotation after it"),
        (("segment", "photos", *CAT, "--point", "1,1", "--box", "1,1,2,2"), "has a --point and a --box; use one kind"),
        (("segment", "photos", "--mask", "cat.png", *CAT), "--mask cat.png: has no --reference before it"),
        (("segment", "photos", "--name", "cat"), "--name cat: has no --reference after it"),
        (("segment", "photos", "--name", "a/b", *CAT, "--point", "1,1"), "cannot be a concept's name"),
        (("segment", "photos", "--name", "a\nb", *CAT, "--point", "1,1"), "cannot be a concept's name"),
        (("segment", "photos"), "nothing to look for"),
        (("segment", "photos", *CAT, "--mask", ""), "--mask: is empty"),
        (("segment", "empty", *CAT, "--point", "1,1"), "empty: has no images"),
        (("segment", "nowhere", *CAT, "--point", "1,1"), "nowhere: no such file or folder"),
        (
            ("segment", "photos", "broken.jpg", "photos/0.png", *CAT, "--point", "1,1", "--model", "no"),
            "no: no such file",
        ),
        (
            ("segment", "photos", "--reference", "broken.jpg", "--point", "1,1"),
            "broken.jpg: cannot be read as an image",
        ),
        (("segment", "photos", "--concept", "foreign.safetensors"), "was learned by another model"),
        (("segment", "photos", "--concept", "cat.jpg"), "cat.jpg: is not a concept: it is a JPEG image"),
        (("segment", "photos", "--references", "cat.png"), "cat.png: is not JSON"),
        (("segment", "photos", *CAT, "--point", "1,1", "--write", "mask"), "did you mean 'masks'?"),
        (("segment", "photos", *CAT, "--point", "1,1", "--write", "uncertainty"), "needs --samples"),
    ],
)
def test_a_mistake_is_one_line(work: Path, prosam: Prosam, words: tuple[str, ...], message: str):
    from prosam import Concept, Predictor

    (work / "empty").mkdir()
    (work / "broken.jpg").write_text("no image")
    Image.new("L", (128, 128)).save(work / "empty.png")
    if "foreign.safetensors" in words:
        concept = Predictor.load("bundled:shapes").learn([("cat.jpg", "cat.png")])
        Concept("cat", "0" * 64, "another", concept.kinds, concept.state).save(work / "foreign.safetensors")
    status, _, error = prosam(*words, "--out", "found")
    assert status == 2
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (work / "found").exists() or not files_below(work / "found")


def test_of_labels_that_are_no_names_nothing_is_learned(work: Path, prosam: Prosam):
    names = {"version": "5.4.0", "imagePath": "cat.jpg"}
    shapes = [{"label": label, "shape_type": "point", "points": [[9, 9]]} for label in ("cat", "cat/dog")]
    (work / "labels.json").write_text(json.dumps(names | {"shapes": shapes}))
    status, _, error = prosam("learn", "concepts", "--references", "labels.json")
    assert (status, error.count("\n")) == (2, 1)
    assert "'cat/dog' cannot be a concept's name" in error
    assert not (work / "concepts").exists()


def test_several_concepts_need_a_folder(work: Path, prosam: Prosam):
    both = ["--name", "a", *CAT, "--point", "1,1", "--name", "b", *CAT, "--point", "1,1"]
    status, _, error = prosam("learn", "one.safetensors", *both)
    assert (status, "there are 2 concepts, a, b; name a folder" in error) == (2, True)


def test_files_of_one_name_do_not_overwrite_one_another(work: Path, prosam: Prosam):
    scene = Image.fromarray(scenes()[0].image)
    (work / "twice").mkdir()
    for name in ("a.png", "a.jpg"):
        scene.save(work / "twice" / name)
    given = [*CAT, "--point", "60,60", "--out", "found", "--write", "masks"]
    assert prosam("segment", "twice", *given)[0] == 0
    assert set(files_below(work / "found/masks")) == {"cat/a.png.png", "cat/a.jpg.png"}
    status, _, error = prosam("segment", "twice/a.png", "twice/../twice/a.png", *given)
    assert (status, "would get results of the same name" in error) == (2, True)


def test_an_image_that_is_given_twice_is_looked_at_once(work: Path, prosam: Prosam):
    given = [*CAT, "--point", "60,60", "--out", "found", "--write", "masks"]
    for there in (0, 5):
        status, out, _ = prosam("segment", "photos", "photos/0.png", *given)
        assert (status, "of 5 images" in out) == (0, True)
        assert (f"{there} of 5 images are done" in out) == bool(there)
    assert len(files_below(work / "found/masks")) == 5


def test_the_results_may_lie_above_the_photos_but_not_among_them(work: Path, prosam: Prosam):
    for _ in range(2):
        status, out, _ = prosam("segment", "photos", *CAT, "--point", "60,60", "--out", ".", "--write", "masks")
        assert (status, "of 5 images" in out) == (0, True)
    status, _, error = prosam("segment", "photos", *CAT, "--point", "60,60", "--out", "photos/../photos")
    assert (status, error.count("\n")) == (2, 1)
    assert "is the folder of the images" in error


def test_references_that_go_meanwhile_are_in_the_overview(work: Path, prosam: Prosam, monkeypatch: pytest.MonkeyPatch):
    from prosam import Predictor

    segmented = Predictor.segment_files

    def slowly(*args: Any, **kwargs: Any) -> Any:
        (work / "cat.jpg").unlink()
        return segmented(*args, **kwargs)

    monkeypatch.setattr(Predictor, "segment_files", slowly)
    assert prosam("segment", "photos", *CAT, "--mask", "cat.png", "--out", "found")[0] == 0
    assert Image.open(work / "found/overview.jpg").size == sheet_size(tiles=1 + 5)


def test_results_inside_of_the_photos_are_no_photos(work: Path, prosam: Prosam):
    for _ in range(2):
        status, out, _ = prosam(
            "segment", "photos", *CAT, "--point", "60,60", "--out", "photos/found", "--write", "masks"
        )
        assert (status, "of 5 images" in out) == (0, True)


def test_an_exported_run_is_the_same_model(work: Path, prosam: Prosam):
    from safetensors.torch import save_file

    from prosam import Predictor
    from prosam.checkpoints.exported import read_exported_description
    from prosam.checkpoints.weights import load_state

    (work / "run").mkdir()
    save_file(load_state(PROMPT_ENCODER), work / "run/prompt_encoder.safetensors")
    (work / "run/model.json").write_text(json.dumps(read_exported_description(PROMPT_ENCODER)))
    status, out, _ = prosam("export", "run", "one.safetensors")
    assert (status, "SHA-256" in out) == (0, True)
    for read in (read_exported_description, load_state):
        exported, bundled = read(work / "one.safetensors"), read(PROMPT_ENCODER)
        assert str(exported) == str(bundled)
    assert Predictor.load("one.safetensors").model.digest == Predictor.load("bundled:shapes").model.digest
    assert "must end in .safetensors" in prosam("export", "run", "one.zip")[2]


@pytest.mark.parametrize("command", ["segment", "learn"])
def test_help_has_examples_and_imports_nothing_heavy(command: str):
    heavy = "print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    code = f"import sys; from prosam.cli.main import main\ntry: main()\nfinally: {heavy}"
    ran = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True)
    assert ran.returncode == 0
    assert f"prosam {command} " in ran.stdout.split("Examples:")[1]
    assert ran.stdout.endswith("[]\n")
