"""`prosam demo` in a real browser: paint, segment, download."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.demo.chromium import Tab, chromium_tab, find_chromium
from tests.scenes import pair

pytestmark = [pytest.mark.slow, pytest.mark.processes]

COMMAND = [sys.executable, "-c", "from prosam.cli.main import main; main()", "demo", "--port", "0", "--no-open"]
SHAPES = ["--model", "bundled:shapes"]
VERDICTS = "[...document.querySelectorAll('figure')].map(f => f.querySelector('.verdict').textContent)"
ALL_ANSWERED = f"(v => v.length > 0 && v.every(text => text))({VERDICTS})"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address with the model for shapes."""
    yield from running(tmp_path_factory.mktemp("tmp"), *SHAPES)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address with the default model."""
    yield from running(tmp_path_factory.mktemp("tmp"))


def running(folder: Path, *options: str) -> Iterator[str]:
    """The address of the running command, which ends in peace on Ctrl-C and leaves no file."""
    with subprocess.Popen(
        [*COMMAND, *options, "--device", "cpu"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    ) as server:
        assert server.stdout is not None
        try:
            said = ""
            while not (found := re.search(r"the page is at (\S+);", said)):
                line = server.stdout.readline()
                assert line, f"the command ended with {said!r}"
                said += line
            yield found[1]
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0
            assert not list(folder.glob("prosam-demo-*"))
        finally:
            server.kill()


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("there is no Chromium or Chrome on this machine, so the page of prosam demo is NOT tested")
    with chromium_tab(executable, tmp_path) as opened:
        yield opened


def downloaded(folder: Path, name: str) -> bytes:
    until = time.monotonic() + 60
    while not (folder / name).is_file():
        assert time.monotonic() < until, f"{name} was not downloaded; there are {list(folder.iterdir())}"
        time.sleep(0.1)
    return (folder / name).read_bytes()


def opened(tab: Tab, url: str) -> None:
    tab.open(url)
    tab.wait_for(ALL_ANSWERED)


def test_paint_segment_download(tab: Tab, url: str, tmp_path: Path):
    reference, target, class_id = pair()
    mask = reference.mask(class_id)
    Image.fromarray(reference.image).save(tmp_path / "reference.png")
    Image.fromarray(target.image).save(tmp_path / "photo.png")

    opened(tab, url)
    assert "knows simple generated shapes only" in tab.evaluate("document.querySelector('header').textContent")
    assert tab.evaluate(VERDICTS) == ["there", "there", "there", "not there"]  # the samples

    tab.click("#remove-all")
    tab.drop([tmp_path / "reference.png"], "#reference-drop")
    tab.wait_for("document.getElementById('status').textContent.startsWith('The drawing has changed')")
    tab.drop([tmp_path / "photo.png"], "#targets-drop")
    tab.wait_for("document.querySelectorAll('figure').length === 1")
    assert tab.evaluate(VERDICTS) == [""]  # nothing is painted yet, so nothing is answered

    tab.click("#segment")
    tab.wait_for("document.getElementById('error').textContent.startsWith('nothing is marked')")

    tab.centre("#canvas")
    left, top, width, height = tab.evaluate(
        "(r => [r.x, r.y, r.width, r.height])(document.getElementById('canvas').getBoundingClientRect())"
    )
    side = min(width, height)
    left, top = left + (width - side) / 2, top + (height - side) / 2
    rows, columns = np.nonzero(mask)
    for row in np.unique(rows)[1:-1:3]:  # as a person does, to and fro
        across = columns[rows == row]
        y = top + (row + 0.5) * side / mask.shape[0]
        tab.drag([(left + (x + 0.5) * side / mask.shape[1], y) for x in (across.min() + 2, across.max() - 2)])
    tab.evaluate("document.getElementById('threshold').value = 0")
    tab.click("#segment")
    tab.wait_for(ALL_ANSWERED)
    assert tab.evaluate(VERDICTS) == ["there"]
    tab.screenshot(tmp_path / "page.png")

    tab.click("figure a")
    found = np.asarray(Image.open(BytesIO(downloaded(tmp_path / "downloads", "photo mask.png")))) > 127
    truth, known = target.mask(class_id), target.labels != 255
    assert (found & truth & known).sum() / ((found | truth) & known).sum() > 0.6
    tab.click("#download")
    with zipfile.ZipFile(BytesIO(downloaded(tmp_path / "downloads", "prosam.zip"))) as packed:
        in_zip = np.asarray(Image.open(BytesIO(packed.read("prosam/masks/object/photo.png")))) > 127
        assert {"prosam/coco.json", "prosam/labelme/photo.json"} <= set(packed.namelist())
    np.testing.assert_array_equal(in_zip, found)
    assert not tab.complaints
    assert all(asked.startswith((url, "data:", f"blob:{url}")) for asked in tab.requested)


def test_with_the_default_model_it_starts_with_photographs_and_one_coin_marked_by_a_box_finds_and_counts_all(
    tab: Tab, photographs: str, tmp_path: Path
):
    opened(tab, photographs)
    assert "one object that fills much of the view" in tab.evaluate("document.querySelector('header').textContent")
    assert tab.evaluate(VERDICTS) == ["there", "there", "not there"]
    assert tab.evaluate("document.getElementById('uncertainty-label').offsetParent !== null")
    coins = "[...document.querySelectorAll('#samples button')].at(-1)"
    assert tab.evaluate(f"{coins}.textContent") == "coins"
    tab.evaluate(f"{coins}.click()")
    tab.wait_for("document.querySelector('figure .name')?.textContent === 'coins.jpg'")
    tab.wait_for(ALL_ANSWERED)
    assert tab.evaluate(VERDICTS) == ["there", "not there"]

    tab.click("#clear")
    tab.evaluate("document.getElementById('canvas').scrollIntoView()")
    left, top, width, height = tab.evaluate(
        "(r => [r.x, r.y, r.width, r.height])(document.getElementById('canvas').getBoundingClientRect())"
    )
    scale = min(width / 384, height / 303)  # px of the page for one of the photo
    left, top = left + (width - 384 * scale) / 2, top + (height - 303 * scale) / 2
    x0, y0, x1, y1 = 254, 34, 296, 73  # the fifth coin of the first row
    tab.drag([(left + x0 * scale, top + y0 * scale), (left + x1 * scale, top + y1 * scale)])
    tab.click("#segment")
    tab.wait_for(ALL_ANSWERED)
    tab.screenshot(tmp_path / "coins.png")
    tab.click("figure a")
    count = int(tab.evaluate("document.querySelector('figure dd').textContent"))
    assert abs(count - 24) <= 2  # there are 24 coins
    found = np.asarray(Image.open(BytesIO(downloaded(tmp_path / "downloads", "coins mask.png")))) > 127
    assert found[y0 + 10 : y1 - 10, x0 + 10 : x1 - 10].mean() > 0.9  # the marked coin
    bright = data.coins() > 110  # the coins are brighter than what they lie on
    assert bright[found].mean() > 0.8 > 2 * bright.mean()  # hardly any background
    tab.click("#download")
    with zipfile.ZipFile(BytesIO(downloaded(tmp_path / "downloads", "prosam.zip"))) as packed:
        coco = json.loads(packed.read("prosam/coco.json"))
    ids = {image["file_name"]: image["id"] for image in coco["images"]}
    assert set(ids) == {"coins.jpg", "cat.jpg"}
    assert [one["image_id"] for one in coco["annotations"]].count(ids["coins.jpg"]) == count  # one for each coin
    assert not tab.complaints


def test_opacity_threshold_and_uncertainty_change_what_is_shown(tab: Tab, url: str):
    shown = "document.querySelector('figure canvas').toDataURL()"
    opened(tab, url)
    views = {tab.evaluate(shown)}
    for control, change in [
        ("opacity", "value = 0"),
        ("opacity", "value = 100"),
        ("uncertainty", "checked = true"),
    ]:
        tab.evaluate(
            f"(e => {{ e.{change}; e.dispatchEvent(new Event('input')) }})(document.getElementById('{control}'))"
        )
        views.add(tab.evaluate(shown))
    assert len(views) == 4
    tab.evaluate("document.getElementById('threshold').value = 1")
    tab.evaluate("document.getElementById('threshold').dispatchEvent(new Event('input'))")
    assert set(tab.evaluate(VERDICTS)) == {"not there"}
    assert tab.evaluate("[...document.querySelectorAll('figure a')].every(link => link.hidden)")


def test_the_count_is_of_what_is_shown_and_an_empty_mask_is_never_there(tab: Tab, url: str, tmp_path: Path):
    status = "document.getElementById('status').textContent"

    def threshold(value: int) -> None:
        tab.evaluate(f"document.getElementById('threshold').value = {value}")
        tab.evaluate("document.getElementById('threshold').dispatchEvent(new Event('input'))")

    opened(tab, url)
    tab.wait_for(f"{status} === 'The object is in 3 of 4 targets.'")
    threshold(1)
    assert tab.evaluate(status) == "The object is in 0 of 4 targets."
    threshold(0)
    tab.click("figure .remove")
    assert tab.evaluate(status) == f"The object is in {tab.evaluate(VERDICTS).count('there')} of 3 targets."
    tab.click("#remove-all")
    assert tab.evaluate(status) == ""
    Image.new("RGB", (60, 40)).save(tmp_path / "dark.png")  # where the model for shapes has no pixel to show
    tab.drop([tmp_path / "dark.png"], "#targets-drop")
    tab.wait_for(f"{status} === 'The object is in 0 of 1 targets.'")
    assert tab.evaluate(VERDICTS) == ["not there"]


def test_an_answer_whose_pictures_are_not_there_yet_is_none(tab: Tab, url: str):
    opened(tab, url)
    complaints = len(tab.complaints)
    tab.evaluate("document.getElementById('threshold').value = 0")
    told = tab.evaluate(
        """(async () => {
            const { Target } = await import("/page/target.js");
            const { blank } = await import("/page/drawing.js");
            const shown = Object.assign(blank(8, 8), { naturalWidth: 8, naturalHeight: 8 });
            const png = shown.toDataURL("image/png");
            const answer = { presence: 1, score: 1, disagreement: null, view: png, mask: png, spread: null };
            const look = { opacity: 1, threshold: 0, uncertainty: false };
            const verdict = () => (target.render(look), target.figure.querySelector(".verdict").textContent);
            const target = new Target({ name: "a.png" }, shown, () => {});
            const first = target.take(answer);
            const told = [verdict()];
            await first;
            told.push(verdict());
            const second = target.take({ ...answer });
            target.take(null);
            await second;
            told.push(verdict());
            return told;
        })()"""
    )
    assert told == ["", "there", ""]
    assert tab.complaints[complaints:] == []


def test_a_box_by_keyboard_alone(tab: Tab, url: str):
    opened(tab, url)
    tab.evaluate("document.querySelector('input[name=kind][value=box]').click()")
    tab.evaluate("document.getElementById('canvas').focus()")
    tab.press("ArrowLeft", 20)
    tab.press(" ")
    tab.press("ArrowRight", 30)
    tab.press("ArrowDown", 25)
    tab.press(" ")
    tab.evaluate("document.getElementById('segment').focus()")
    asked_before = len(tab.requested)
    tab.click("#segment")
    tab.wait_for(ALL_ANSWERED)
    assert sum(address.endswith("api/segment") for address in tab.requested[asked_before:]) == 4
    tab.evaluate("document.getElementById('canvas').focus()")
    tab.press(" ")  # another box, which is never ended; the first is gone, and so are the answers to it
    tab.evaluate("document.getElementById('canvas').blur()")
    assert tab.evaluate(VERDICTS) == [""] * 4
    assert tab.evaluate("document.getElementById('status').textContent") == "The drawing has changed; press Segment."


def test_a_bad_image_is_told_and_the_good_ones_are_taken(tab: Tab, url: str, tmp_path: Path):
    (tmp_path / "bad.png").write_text("no image")
    Image.fromarray(pair()[1].image).save(tmp_path / "good.png")
    opened(tab, url)
    tab.drop([tmp_path / "bad.png", tmp_path / "good.png"], "#targets-drop")
    tab.wait_for("document.getElementById('error').textContent.startsWith('bad.png: cannot be read as an image')")
    tab.wait_for(f"{VERDICTS}.length === 5")
    assert tab.evaluate("[...document.querySelectorAll('figure .name')].at(-1).textContent") == "good.png"
