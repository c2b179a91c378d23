"""Training curves as SVG inside a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np

from prosam.report.compose import Report
from prosam.report.figures import curves


def test_curves_take_text_and_colours_from_the_page(report: Report):
    for svg in report.sections[0].curves.values():
        root = ET.fromstring(svg)
        texts = {element.text for element in root.iter("text")}
        assert {"loss", "base mIoU, %", "sigma", "learning rate", "step"} <= texts
        assert "var(--run-0)" in svg
        assert "var(--run-1)" in svg
        assert not re.search(r"#0[ab]0", svg)  # no placeholder is left
        assert "http" not in svg
        assert root.get("aria-label", "").startswith("Training curves on fold")


def test_runs_without_sigma_have_no_panel_for_it(tree):
    from prosam.params import load_params
    from prosam.report.inputs import read_settings

    (tree / "params.yaml").write_text(
        (tree / "params.yaml").read_text().replace("runs: [prosam, vrp-sam]", "runs: [vrp-sam]")
    )
    (setting,) = read_settings(load_params())
    assert all("sigma" not in svg for svg in curves.training_curves(setting).values())


def test_long_curves_are_averaged_in_bins():
    log = {"step": np.arange(1.0, 1001), "loss": np.arange(1.0, 1001), "sigma_q50": np.full(1000, np.nan)}
    step, loss = curves._binned(log, "loss")
    assert len(step) == 200
    np.testing.assert_allclose(step, np.arange(3, 1001, 5))  # bins of five: their middles
    np.testing.assert_allclose(loss, step)
    assert len(curves._binned(log, "sigma_q50")[0]) == 0


def test_the_moving_mean_equals_a_plain_loop():
    values = np.random.default_rng(0).normal(size=123)
    expected = [values[max(0, i - 3) : i + 4].mean() for i in range(123)]
    np.testing.assert_allclose(curves._smoothed(values), expected)
