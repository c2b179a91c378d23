"""How a mask is drawn, and what an episode shows."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from prosam.report.compose import Report
from prosam.report.figures.outlines import Picture, outlined


def pixels(picture: Picture) -> np.ndarray:
    kind, data = picture.uri.split(",")
    assert kind == "data:image/jpeg;base64"
    return np.array(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)


def test_inside_keeps_its_colour_and_outside_turns_grey():
    image = np.full((64, 64, 3), (200, 60, 20), np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    shown = pixels(outlined(image, mask, (0, 0, 255), "", ""))
    assert shown.shape == (256, 256, 3)  # grown by a whole factor
    assert abs(shown[128, 128] - (200, 60, 20)).max() < 12
    assert np.ptp(shown[8, 8]) < 12
    assert shown[128, 62, 2] > 150  # the line, just outside the mask's edge at 64
    assert shown[128, 62, 2] > shown[128, 62, 0] + 50


def test_one_annotated_pixel_of_a_large_image_can_be_seen():
    image = np.zeros((600, 1000, 3), np.uint8)
    point = np.zeros((600, 1000), bool)
    point[301, 503] = True
    shown = pixels(outlined(image, point, (255, 255, 0), "", "", thick=True))
    assert shown.shape == (192, 320, 3)
    row, column = 301 * 192 // 600, 503 * 320 // 1000
    assert shown[row, column, :2].min() > 180


def test_an_episode_shows_reference_target_truth_and_every_run(report: Report):
    shown = report.sections[0].episodes
    assert list(shown) == ["good", "typical", "bad", "irregular"]  # no target has three objects
    for episodes in shown.values():
        assert len(episodes) == 2
        for episode in episodes:
            captions = [picture.caption for picture in episode.pictures]
            runs = [f"{run}: {iou:.1f}" for run, iou in episode.iou.items()]
            assert captions == ["reference with mask", "target", "truth", *runs]
            assert all(picture.alt for picture in episode.pictures)
