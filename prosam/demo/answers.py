"""The model's answers to the page's requests."""

from __future__ import annotations

import base64
import shutil
import tempfile
import zipfile
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prosam.demo.images import ImageStore, KeptImage, view
from prosam.demo.questions import Order, Question, annotation_of
from prosam.demo.samples import sample_sets
from prosam.errors import InputError
from prosam.output.jobs import ImageJob, jobs_of
from prosam.output.results_folder import Format, Provenance, ResultsFolder
from prosam.predictor.concept import Concept
from prosam.predictor.instance import Instance
from prosam.predictor.predictor import Asked, Predictor
from prosam.remarks import say_remarks
from prosam.web.sent_images import MAX_IMAGE_BYTES

CONCEPT = "object"
VIEW_SIDE = 1024  # px, the longer side of images and masks on the page
ZIP_NAME = "prosam.zip"
MOST_TARGETS = 100  # in a zip

_SAMPLES, _SEED = 10, 0  # sampled prompt sets, for the uncertainty
_LEARNED = 16  # concepts that are cached


class Answers:
    """A model and the images that were sent to it. Several threads may use one.

    Attributes:
        images: the images that were sent.
    """

    def __init__(self, predictor: Predictor, folder: Path):
        """Prepare.

        Args:
            predictor: the model that answers.
            folder: a temporary folder, for images and unfinished zips.
        """
        self.images = ImageStore(folder)
        self._predictor, self._folder = predictor, folder
        self._samples = _SAMPLES if predictor.finder.is_probabilistic else 0
        self._concept = lru_cache(maxsize=_LEARNED)(self._learned)
        self._sets = cache(lambda: sample_sets(predictor.model.for_shapes))

    def start(self) -> dict[str, Any]:
        """The start of the page: model, threshold, limits, the kinds of the samples, and the first samples."""
        model = self._predictor.model
        return {
            "model": model.name,
            "caveat": model.caveat,
            "threshold": model.present_from,
            "uncertainty": self._samples > 0,
            "refines": model.refines,
            "most_bytes": MAX_IMAGE_BYTES,
            "kinds": [samples.kind for samples in self._sets()],
            **self.samples(0),
        }

    def samples(self, number: int) -> dict[str, Any]:
        """Samples for the page, which are stored as if they were sent.

        Args:
            number: of the samples, from 0, in the order of `kinds` of `start`.

        Raises:
            InputError: there are no such samples.
        """
        sets = self._sets()
        if number >= len(sets):
            raise InputError(f"there are no samples {number}; reload the page")
        chosen = sets[number]
        name, content = chosen.reference
        marked = chosen.marked
        return {
            "reference": self.kept(content, name),
            "mask": _data_url(marked) if isinstance(marked, np.ndarray) else None,
            "drawing": None if isinstance(marked, np.ndarray) else marked.model_dump(),
            "targets": [self.kept(content, name) for name, content in chosen.targets],
            "count": chosen.count,
        }

    def kept(self, content: bytes, name: str) -> dict[str, Any]:
        """Keep an image that was sent, and describe it to the page; see `ImageStore.add`."""
        image = self.images.add(content, name)
        say_remarks()
        return {"id": image.id, "name": image.name, "height": image.height, "width": image.width}

    def shown(self, id: str) -> bytes:
        """An image as the model sees it, scaled down for the page: JPEG."""
        return view(self.images[id].pixels(), VIEW_SIDE)

    def segmented(self, question: Question) -> dict[str, Any]:
        """The mask of the object in a target as if it were present. The page compares presence with its threshold.

        Returns:
            presence, score, disagreement (None without uncertainty), `empty` (whether the mask is empty), and data URLs
            of PNGs: `mask` at the image's own size; `view`, the mask at the page's size; `spread` at the page's size
            (255 stands for a standard deviation of 0.5). `objects` is None unless objects are counted; then it has the
            box of each: left, upper, right and lower edge, as parts of the image's width and height.

        Raises:
            InputError: an image is no longer kept, or the drawing does not fit the reference.
        """
        concept = self._concept(question.reference, question.drawing.model_dump_json())
        target = self.images[question.target].pixels()
        result = self._predictor.segment(target, concept, **self._asked(question, threshold=0))
        uncertain = result.uncertainty
        return {
            "presence": result.presence,
            "empty": not result.mask.any(),
            "score": result.score,
            "disagreement": uncertain.disagreement if uncertain else None,
            "objects": [_parts(one) for one in result.instances] if question.count else None,
            "mask": _data_url(result.mask),
            "view": _data_url(result.mask, VIEW_SIDE),
            "spread": _data_url(uncertain.spread.clip(0, 0.5) * 2, VIEW_SIDE) if uncertain else None,
        }

    def zipped(self, order: Order) -> Path:
        """Write a zip of the folder that `prosam segment` would write, with the images; it lies in a folder of its own.

        Raises:
            InputError: as in `segmented`, or there are too many targets.
        """
        if len(order.targets) > MOST_TARGETS:
            raise InputError(
                f"a zip can have {MOST_TARGETS} targets, and there are {len(order.targets)}; remove some, or use "
                "`prosam segment`"
            )
        concept = self._concept(order.reference, order.drawing.model_dump_json())
        targets = [self.images[id] for id in dict.fromkeys(order.targets)]
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            results = folder / "prosam"
            self._write(results, _jobs(targets, results / "images"), concept, order)
            with zipfile.ZipFile(folder / ZIP_NAME, "w", zipfile.ZIP_DEFLATED) as packed:
                for path in sorted(results.rglob("*")):
                    if path.is_file():
                        packed.write(path, path.relative_to(folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder / ZIP_NAME

    def _write(self, folder: Path, jobs: list[ImageJob], concept: Concept, order: Order) -> None:
        predictor = self._predictor
        asked = self._asked(order, threshold=order.threshold)
        formats: list[Format] = ["masks", "overlays", "labelme", "coco"]
        if order.count:
            formats.append("labels")  # with the number of each object
        if self._samples:
            formats.append("uncertainty")
        identity = {"model": predictor.model.digest, "concepts": [concept.digest], **asked}
        with ResultsFolder(folder, jobs, Provenance(str(predictor.model), (CONCEPT,), identity), formats) as results:
            for job in jobs:
                result = predictor.segment(job.path, concept, **asked)
                results.add(job, result)
            results.finish([])

    def _asked(self, asked: Question | Order, *, threshold: float) -> Asked:
        return Asked(threshold=threshold, samples=self._samples, seed=_SEED, instances=asked.count, refine=asked.refine)

    def _learned(self, reference: str, drawing: str) -> Concept:
        image = self.images[reference]
        annotation = annotation_of(drawing, image.height, image.width)
        return self._predictor.learn([(image.pixels(), annotation)], CONCEPT)


def _jobs(images: list[KeptImage], folder: Path) -> list[ImageJob]:
    """Copy images to a folder under their names. An image gets a number if an earlier one has the same name."""
    folder.mkdir(parents=True)
    names: dict[str, KeptImage] = {}
    for image in images:
        name, number = image.name, 2
        while name.lower() in names:
            name, number = f"{number} {image.name}", number + 1
        names[name.lower()] = image
        (folder / name).write_bytes(image.content())
    return jobs_of((path, path.name) for path in sorted(folder.iterdir()))


def _parts(one: Instance) -> list[float]:
    """The box of an object, as parts of the image's width and height."""
    (height, width), (left, upper, right, lower) = one.size, one.box
    return [left / width, upper / height, right / width, lower / height]


def _png(values: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def _data_url(values: NDArray[np.bool_] | NDArray[np.float32], most: int | None = None) -> str:
    """(H, W) in [0, 1] as the data URL of an 8-bit PNG, no side longer than `most` px."""
    image = Image.fromarray(np.rint(values.astype(np.float32) * 255).astype(np.uint8))
    if most is not None:
        image.thumbnail((most, most))
    return "data:image/png;base64," + base64.b64encode(_png(np.asarray(image))).decode("ascii")
