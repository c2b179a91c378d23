"""The same scenes as prints, in flat inks on paper with drawn outlines, to test under a domain shift.

Kinds, placement and labels are the same as in `prosam.data.shapes.draw`: a class keeps its shape, texture and hue. Only
the rendering differs: the background is a bright sheet with hatching, the inks are pale and flat with hard edges
between them, a dark outline may miss the inks by a pixel, there is no shading or lighting, and the grain of paper
replaces a sensor's noise.
"""

from __future__ import annotations

import math

import numpy as np

from prosam.data.shapes.draw import (
    HUES,
    SECOND_COLOURS,
    TEXTURES,
    Array,
    Canvas,
    Scene,
    ShapeKind,
    hsv,
    smooth_noise,
    texture_pattern,
)


class PrintCanvas(Canvas):
    """A scene being printed, back to front."""

    def _background(self) -> Array:
        """A sheet of paper, perhaps with a hatched part, and pen strokes."""
        rng, size = self._rng, self.size
        self._paper = hsv(rng.uniform(0.08, 0.16), rng.uniform(0.03, 0.16), rng.uniform(0.88, 0.98))
        self._pen = hsv(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.05, 0.3))
        image = np.broadcast_to(self._paper, (size, size, 3)).copy()
        if rng.random() < 0.6:
            pitch, tint = rng.uniform(4, 9), rng.uniform(0.2, 0.6)
            x, _ = self._turned(0, 0, rng.uniform(0, 2 * math.pi), slice(None), slice(None))
            part = smooth_noise(rng, (size, size), int(rng.integers(3, 6))) < rng.uniform(0.4, 0.8)
            image[part & (x % pitch < 1)] += tint * (self._pen - self._paper)
        for _ in range(rng.integers(0, 8)):
            cx, cy = rng.uniform(0, size, 2)
            x, y = self._turned(cx, cy, rng.uniform(0, 2 * math.pi), slice(None), slice(None))
            image[(np.abs(x) < rng.uniform(2, 30)) & (np.abs(y) < rng.uniform(0.5, 1.2))] = self._pen
        return image

    def _surface(self, kind: ShapeKind, x: Array, y: Array, radius: float, distance: Array) -> Array:
        """Two flat inks in the kind's texture, shifted against the outline, which is drawn over them."""
        rng = self._rng
        first, second = self._inks(kind)
        pattern = texture_pattern(TEXTURES[kind.texture], x * radius, y * radius, rng) > 0.5
        fill = np.where(pattern[..., None], second, first)
        down, right = np.gradient(distance)
        steepness = np.clip(np.hypot(down, right), 0.5, 3)  # a star's distance is only roughly in pixels
        inside = -distance / steepness
        shift = tuple(int(pixels) for pixels in rng.integers(-1, 2, 2))
        fill = np.where(np.roll(inside, shift, axis=(0, 1))[..., None] > 0, fill, self._paper)
        line = np.clip(rng.uniform(1.4, 2.4) - inside, 0, 1)[..., None]
        return fill + (self._pen - fill) * line

    def _inks(self, kind: ShapeKind) -> tuple[Array, Array]:
        """The kind's two colours, paler than in shaded scenes; white becomes bare paper."""
        rng = self._rng
        hue = kind.hue / len(HUES) + rng.uniform(-0.035, 0.035)
        first = hsv(hue, rng.uniform(0.35, 0.6), rng.uniform(0.7, 0.95))
        match SECOND_COLOURS[kind.second]:
            case "white":
                return first, self._paper
            case "black":
                return first, self._pen
            case _:
                return first, hsv(hue + 0.5 + rng.uniform(-0.04, 0.04), rng.uniform(0.3, 0.55), rng.uniform(0.6, 0.9))

    def finish(self) -> Scene:
        """Add the paper's grain, which is grey and partly coarser than a pixel, and quantise."""
        rng, size = self._rng, self.size
        fine = rng.standard_normal((size, size, 1), np.float32) * np.float32(rng.uniform(0.01, 0.03))
        coarse = rng.uniform(0.02, 0.08) * (smooth_noise(rng, (size, size), size // 4) - 0.5)
        image = np.clip(self.image + fine + coarse[..., None], 0, 1)
        return Scene((image * 255).astype(np.uint8), self.labels, self.instances)
