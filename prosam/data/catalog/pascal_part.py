"""PASCAL-Part: parts of objects on VOC 2010."""

from __future__ import annotations

from prosam.data.catalog.crops import CropSource, PartData
from prosam.data.catalog.source import ExpectedImages
from prosam.data.sources.pascal_part import VOC_PHOTOS, images_of_parts, part_images, read_part_index, voc2010_folder
from prosam.data.sources.published import VOC_2010, ArchivePart, gather
from prosam.errors import InputError
from prosam.params import PascalPartDownload

_CLASSES, _VAL_CROPS, _CROP_BYTES = 56, 8_000, 100_000  # the last two roughly


class PascalPart(CropSource[PascalPartDownload]):
    """See the module."""

    def archives(self, settings: PascalPartDownload) -> tuple[ArchivePart, ...]:
        """See `Source.archives`: the images of VOC 2010, unless they lie beside the annotations."""
        if settings.data_root is None:
            return (VOC_2010,)
        return () if (voc2010_folder(settings.data_root) / VOC_PHOTOS).is_dir() else (VOC_2010,)

    def needs_hands(self, name: str, settings: PascalPartDownload) -> bool:
        """See `Source.needs_hands`."""
        try:
            voc2010_folder(settings.data_root or self.place(name))
        except InputError:
            return True
        return False

    def read(self, name: str, settings: PascalPartDownload) -> PartData:
        """See `CropSource.read`."""
        place = self.place(name)
        folder = voc2010_folder(settings.data_root or place)
        photos = folder / VOC_PHOTOS
        if not photos.is_dir():
            gather((VOC_2010,), place, None)
            photos = place / VOC_2010.content / "VOC2010" / VOC_PHOTOS
        index = read_part_index(folder)
        to_crop = part_images(index, settings.train_crops, settings.seed)
        images, count = images_of_parts(folder, photos, index, to_crop), sum(map(len, to_crop.values()))
        return PartData(index.classes, index.folds, images, count, 1, settings.seed)

    def expected(self, name: str, settings: PascalPartDownload) -> ExpectedImages:
        """See `Source.expected`."""
        train = _CLASSES * settings.train_crops
        return ExpectedImages(train, train + _VAL_CROPS, "a rough estimate")

    def bytes_written(self, name: str, settings: PascalPartDownload) -> int:
        """See `Source.bytes_written`."""
        return self.expected(name, settings).total * _CROP_BYTES


SOURCE = PascalPart()
