"""Videos are read frame by frame, upright, and what cannot be read is told in one line."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prosam.data.formats.video_files import VideoFacts, video_facts, video_frames
from prosam.errors import InputError
from prosam.output.videos import write_video

RATE = Fraction(24)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Seven frames of 64 x 96 px, the left half of frame i of grey 30 i, the right half white."""
    pictures: list[Path] = []
    for number in range(7):
        pixels = np.full((65, 97, 3), 255, np.uint8)  # odd: a row and a column are cut off
        pixels[:, :48] = 30 * number
        pictures.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).save(pictures[-1])
    write_video(tmp_path / "clip.mp4", pictures, RATE, "a model")
    return tmp_path / "clip.mp4"


def test_all_frames_come_in_order_with_their_colours(clip: Path):
    assert video_facts(clip) == VideoFacts(7, RATE)
    frames = dict(video_frames(clip))
    assert list(frames) == list(range(7))
    for number, pixels in frames.items():
        assert pixels.shape == (64, 96, 3)
        assert abs(int(pixels[32, 20, 0]) - 30 * number) <= 3
        assert pixels[32, 80].min() >= 252


def test_some_frames(clip: Path):
    assert [index for index, _ in video_frames(clip, every=3)] == [0, 3, 6]


def test_the_same_pictures_make_the_same_bytes(clip: Path, tmp_path: Path):
    for _ in range(10):  # with x264's look ahead, every third or so was another one
        write_video(tmp_path / "again.mp4", [tmp_path / f"{number}.png" for number in range(7)], RATE, "a model")
        assert (tmp_path / "again.mp4").read_bytes() == clip.read_bytes()


def test_a_telephone_that_was_held_upright(clip: Path):
    content = bytearray(clip.read_bytes())
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    header = content.index(b"tkhd")  # of the track, ISO 14496-12; its matrix turns the pictures clockwise
    at = content.index(identity, header)
    content[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    clip.write_bytes(content)
    _, pixels = next(video_frames(clip))
    assert pixels.shape == (96, 64, 3)
    assert pixels[20, 32].max() <= 3  # what was on the left is at the top
    assert pixels[80, 32].min() >= 252


def test_what_is_no_video_is_told_in_one_line(clip: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"nothing\.mp4: no such file"):
        video_facts(tmp_path / "nothing.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("not a video, whatever it is called")
    with pytest.raises(InputError, match=r"text\.mp4: cannot be read as a video"):
        video_facts(text)


def test_what_is_cut_gives_the_frames_it_has_then_says_so(clip: Path, tmp_path: Path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:600])
    with pytest.raises(InputError, match=r"cut\.mp4"):
        list(video_frames(cut))
