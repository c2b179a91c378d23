"""DeepGlobe's land cover in tiles."""

from __future__ import annotations

from pathlib import Path

from prosam.data.catalog.benchmark import Benchmark, BenchmarkSource
from prosam.data.catalog.source import ExpectedImages
from prosam.data.sources.by_hand import ByHand, compare_with_stated
from prosam.data.sources.deepglobe import COLOURS, DEEPGLOBE_STATED, IMAGES, deepglobe_images, tile_records
from prosam.params import DeepGlobeDownload

_TILES = 5_666  # that are kept, by PATNet's paper
_TILE_BYTES = 60_000  # of a JPEG of 408 x 408 px, roughly


class DeepGlobe(BenchmarkSource[DeepGlobeDownload]):
    """See the module."""

    by_hand = ByHand(
        (IMAGES,),
        "https://www.kaggle.com/datasets/balraj98/deepglobe-land-cover-classification-dataset",
        "put train (a login is needed)",
    )

    def read(self, name: str, folder: Path) -> Benchmark:
        """See `BenchmarkSource.read`."""
        photos = deepglobe_images(folder)
        compare_with_stated(name, {"images": len(photos)}, DEEPGLOBE_STATED)
        return Benchmark(tuple(COLOURS), tile_records(folder, photos, name))

    def expected(self, name: str, settings: DeepGlobeDownload) -> ExpectedImages:
        """See `Source.expected`."""
        return ExpectedImages(0, _TILES, "PATNet's paper")

    def bytes_written(self, name: str, settings: DeepGlobeDownload) -> int:
        """See `Source.bytes_written`: the tiles, which are in data/sources."""
        return _TILES * _TILE_BYTES


SOURCE = DeepGlobe()
