"""The bundled data set: scenes of textured shapes, generated in VOC's layout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prosam.data.catalog.source import ExpectedImages, Source
from prosam.data.dataset import Split
from prosam.data.formats.voc import write_voc
from prosam.data.shapes.scenes import LabelledImage, shapes_classes, shapes_scenes
from prosam.params import ShapesDownload
from prosam.progress import track

_BYTES_A_PIXEL = 1.25  # an image and its mask


class Shapes(Source[ShapesDownload]):
    """See the module."""

    def write(self, folder: Path, name: str, settings: ShapesDownload) -> None:
        """See `Source.write`."""
        counts: dict[Split, int] = {"train": settings.train_images, "val": settings.val_images}
        scenes: dict[Split, Iterable[LabelledImage]] = {}
        for split, count in counts.items():
            made = shapes_scenes(split, count, size=settings.size, seed=settings.seed, style=settings.style)
            scenes[split] = track(made, f"{name} {split}", count, "image")
        write_voc(folder, shapes_classes(), scenes)

    def expected(self, name: str, settings: ShapesDownload) -> ExpectedImages:
        """See `Source.expected`."""
        return ExpectedImages(settings.train_images, settings.train_images + settings.val_images, "params.yaml")

    def bytes_written(self, name: str, settings: ShapesDownload) -> int:
        """See `Source.bytes_written`."""
        images = settings.train_images + settings.val_images
        return round(images * settings.size**2 * _BYTES_A_PIXEL)


SOURCE = Shapes()
