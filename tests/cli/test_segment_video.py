"""`prosam segment clip.mp4`: every frame as an image, and the overlays as a video."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam.data.formats.video_files import VideoFacts, video_facts, video_frames
from prosam.output.videos import write_video
from tests.cli.conftest import Prosam, files_below
from tests.scenes import scenes

CAT = ("--reference", "cat.jpg", "--mask", "cat.png", "--threshold", "0")


@pytest.fixture
def clip(work: Path) -> Path:
    """Five scenes as the frames of a video at 10 frames a second."""
    folder = work / "pictures"
    folder.mkdir()
    for number, scene in enumerate(scenes()[:5]):
        Image.fromarray(scene.image).save(folder / f"{number}.png")
    write_video(work / "clip.mp4", sorted(folder.iterdir()), Fraction(10), "nobody")
    return work / "clip.mp4"


def test_frames_get_the_results_of_images_and_the_overlays_become_a_video(work: Path, clip: Path, prosam: Prosam):
    status, out, _ = prosam("segment", "clip.mp4", *CAT, "--out", "found")
    assert (status, "found/videos/clip.mp4" in out) == (0, True)
    frames = work / "frames"
    frames.mkdir()
    for index, pixels in video_frames(clip):
        Image.fromarray(pixels).save(frames / f"{index:06d}.png")
    assert prosam("segment", "frames", *CAT, "--out", "as-images")[0] == 0
    for form in ("masks/cat", "overlays"):
        assert files_below(work / "found" / form / "clip.mp4") == files_below(work / "as-images" / form)
    assert not (work / "found/labelme").exists()  # labelme opens images only
    names = [image["file_name"] for image in json.loads((work / "found/coco.json").read_text())["images"]]
    assert names == [f"clip.mp4/{index:06d}.png" for index in range(5)]
    made = work / "found/videos/clip.mp4"
    assert video_facts(made) == VideoFacts(5, Fraction(10))
    for index, pixels in video_frames(made):
        overlay = np.asarray(Image.open(work / f"found/overlays/clip.mp4/{index:06d}.jpg"), float)
        assert np.abs(pixels - overlay).mean() < 6


def test_what_is_missing_is_made_again_and_nothing_else(work: Path, clip: Path, prosam: Prosam):
    command = ("segment", "clip.mp4", "photos/0.png", *CAT, "--out", "found")
    assert prosam(*command)[0] == 0
    before = files_below(work / "found")
    assert (work / "found/videos/clip.mp4").exists()
    (work / "found/masks/cat/clip.mp4/000003.png").unlink()
    (work / "found/videos/clip.mp4").write_bytes(b"of before")
    status, out, _ = prosam(*command)
    assert (status, "5 of 6 images are done" in out) == (0, True)
    assert files_below(work / "found") == before


def test_every_second_frame(work: Path, clip: Path, prosam: Prosam):
    assert prosam("segment", "clip.mp4", *CAT, "--out", "found", "--every", "2")[0] == 0
    assert sorted(path.name for path in (work / "found/masks/cat/clip.mp4").iterdir()) == [
        "000000.png",
        "000002.png",
        "000004.png",
    ]
    assert video_facts(work / "found/videos/clip.mp4") == VideoFacts(3, Fraction(5))


def test_a_cut_video_is_told_and_nothing_is_written(work: Path, clip: Path, prosam: Prosam):
    (work / "cut.mp4").write_bytes(clip.read_bytes()[:400])
    status, _, error = prosam("segment", "cut.mp4", *CAT, "--out", "found")
    assert (status, error.count("\n")) == (2, 1)
    assert "cut.mp4: the video has no frames; it may be cut" in error
    assert not (work / "found").exists()


def test_videos_in_a_folder_are_left_out_aloud(work: Path, clip: Path, prosam: Prosam):
    clip.rename(work / "photos/clip.mp4")
    status, out, _ = prosam("segment", "photos", *CAT, "--out", "found")
    assert (status, "photos: videos are left out (1)" in out) == (0, True)
