"""Segment the objects in one's own images that are like those in annotated references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from prosam.checkpoints.loading import load_method
from prosam.data.parallel import Item
from prosam.data.reading_ahead import mapped
from prosam.errors import Faults, InputError, result_or_error
from prosam.methods.fusion import Fusion
from prosam.params.rivals import AnyRival
from prosam.predictor.annotations import AnnotationInput, as_annotation
from prosam.predictor.concept import Concept, concepts_for, reference_digest
from prosam.predictor.draft import Draft
from prosam.predictor.finder import DrawnReference, Finder
from prosam.predictor.image_folders import images_below, read_groups
from prosam.predictor.images import ImageInput, image_name, load_image
from prosam.predictor.model_card import ModelCard, describe_model, describe_training_free
from prosam.predictor.prompt_finder import PromptFinder
from prosam.predictor.result import Result
from prosam.predictor.training_free_finder import TrainingFreeFinder

if TYPE_CHECKING:
    from prosam.checkpoints.sizes import ModelSize

_GPU_BATCH = 8


class Asked(TypedDict, total=False):
    """Options of a segmentation.

    Attributes:
        threshold: presence below which a concept counts as absent, and its mask is empty. With 0, every concept gets
            its mask. The default was measured for the bundled backbone; it is 0 for others.
        samples: number of sampled prompt sets, for the uncertainty; by default 0, without uncertainty.
        seed: seed of the samples, by default 0. The same seed gives every image the same noise.
        refine: whether masks get edges at the image's own resolution, which takes up to twice the time. Score, presence
            and uncertainty stay those of the unrefined mask. The default was measured for the bundled model for
            photographs, where it is True; it is False for others.
        instances: whether each object is found for itself, see `Detection.instances`; by default not. The mask is then
            that of all objects together, without specks, and is not refined.
    """

    threshold: float
    samples: int
    seed: int
    refine: bool
    instances: bool


class Predictor:
    """A trained model, or a method that trains nothing, that learns concepts from references and finds them in images.

    It has no state except weights and cached embeddings, so several threads may use one.

    Example:
        predictor = Predictor.load("models/shapes-5i/prosam/0")
        cat = predictor.learn([("cat.jpg", Box(10, 20, 80, 90))], name="cat")
        result = predictor.segment("photo.jpg", cat)
        print(result.mask, result.presence)

    Attributes:
        finder: the method at work, on its device.
        model: the model's card; as text, it includes what the model is not good at.
    """

    def __init__(self, finder: Finder[Any], model: ModelCard):
        """Wrap a loaded method and its card; `load` is the usual way."""
        self.finder, self.model = finder, model

    @classmethod
    def load(
        cls,
        source: str | Path | None = None,
        *,
        method: str | AnyRival | None = None,
        device: str = "auto",
        sam: str | Path | None = None,
        backbone: str | Path | None = None,
        size: ModelSize | None = None,
        fusion: Fusion = "average",
        keep: int = 0,
    ) -> Self:
        """Load a model, or a method that trains nothing.

        Args:
            source: a trained run's folder, an exported file, an archive, a URL or a hub id, see
                `prosam.checkpoints.model_source.open_model`; None for the bundled model for photographs,
                `bundled:photos`.
            method: a method that trains nothing, instead of a model: `persam`, `persam-f`, `matcher`, `gf-sam`,
                `insid3`, `seggpt` or `painter`, with the parameters published for COCO; or an entry of
                `prosam.params.rivals` with others.
            device: `auto`, `cpu`, `cuda` or another device that torch knows; `auto` is a GPU if there is one.
            sam: the SAM that the model was trained with, if it is not found automatically: a folder of the stage
                `sam`, or a checkpoint. A method that trains nothing takes any SAM; by default, the bundled one for
                photographs.
            backbone: the same for the backbone and the stage `backbone`; for `seggpt` and `painter`, the checkpoint of
                their own network, by default the published one.
            size: for a method that trains nothing, a pair of published models instead of `sam` and `backbone`: `small`
                is MobileSAM with DINOv2 ViT-S, `large` is SAM ViT-H with DINOv2 ViT-L, and `auto` is large on a GPU
                with 12 GB and small otherwise. They are fetched once, into the user's cache.
            fusion: how the prompts of several references are fused: `average`, which was measured to be better, or
                `concatenate`, as in VRP-SAM.
            keep: number of images whose embeddings are kept in memory; the images used last are kept. An image takes
                about 0.5 MB with the bundled model for shapes, and 60 MB with SAM ViT and ResNet-50.

        Raises:
            InputError: the model or its frozen weights are missing, damaged or something else, there is no such method,
                or it is given together with what belongs to a model.
        """
        if method is not None:
            return cls._training_free(method, source, device, _path(sam), _path(backbone), size, fusion, keep)
        if size is not None:
            raise InputError(
                f"size {size!r}: chooses SAM and backbone for a method that trains nothing, but a trained model needs "
                "those that it was trained with; name a method, or omit the size"
            )
        loaded = load_method(source, device=device, sam=_path(sam), backbone=_path(backbone))
        card = describe_model(loaded.files, loaded.frozen, loaded.method)
        return cls(PromptFinder(loaded.method, rule=loaded.rule, fusion=fusion, keep=keep), card)

    @classmethod
    def _training_free(
        cls,
        method: str | AnyRival,
        source: str | Path | None,
        device: str,
        sam: Path | None,
        backbone: Path | None,
        size: ModelSize | None,
        fusion: Fusion,
        keep: int,
    ) -> Self:
        if source is not None:
            raise InputError(f"{source}: is a model, but a method that trains nothing needs none; give one of the two")
        if fusion != "average":
            raise InputError(f"fusion {fusion!r}: combines prompts, and a method that trains nothing has none; omit it")
        from prosam.checkpoints.training_free import load_training_free  # late: it needs more of scipy

        loaded = load_training_free(method, device=device, sam=sam, backbone=backbone, size=size)
        card = describe_training_free(loaded.settings, loaded.sam, loaded.backbone)
        return cls(TrainingFreeFinder(loaded.method, loaded.models, keep=keep), card)

    @torch.no_grad()
    def learn(self, references: Iterable[tuple[ImageInput, AnnotationInput]], name: str = "object") -> Concept:
        """Learn a kind of object from annotated references.

        Args:
            references: pairs of an image (path, Pillow image, or (H, W, 3) uint8 RGB) and its annotation: Points,
                Scribble, Box or Mask in pixels of that image; an array or a path is a mask. If an image shows several
                objects of the kind, mark them in one annotation.
            name: name of the kind of object.

        Raises:
            InputError: there is no reference, an image cannot be read, or an annotation does not fit its image.
        """
        faults = Faults()
        kinds: list[str] = []
        digests: list[str] = []

        def drawn() -> Iterator[DrawnReference]:  # one at a time, since photographs are large
            for pair in references:
                if not isinstance(pair, tuple | list) or len(pair) != 2:
                    raise InputError(
                        "references are pairs of an image and its annotation, as in [('cat.jpg', 'cat.png')]"
                    )
                one = result_or_error(_drawn_reference, pair)
                if isinstance(one, InputError):
                    faults.add(one)
                    continue
                kinds.append(one.kind)
                digests.append(reference_digest(one.pixels, one.drawn, one.kind))
                yield one
            faults.check(f"the references of {name!r}")
            if not kinds:
                raise InputError(f"the concept {name!r} has no references; give at least one image with an annotation")

        state = self.finder.learn(drawn())
        return Concept(name, self.model.digest, self.model.name, tuple(kinds), state, tuple(digests))

    def segment(self, image: ImageInput, concepts: Concept | Sequence[Concept], **asked: Unpack[Asked]) -> Result:
        """Find concepts in an image.

        Args:
            image: a path, a Pillow image, or (H, W, 3) uint8 RGB.
            concepts: concepts of this model. SAM and backbone run once on the image for any number of them.
            **asked: see `Asked`.

        Raises:
            InputError: the image cannot be read, a concept is another model's, or samples are asked of a model without
                a distribution of prompts.
        """
        return self.segment_batch([image], concepts, **asked)[0]

    def segment_batch(
        self, images: Sequence[ImageInput], concepts: Concept | Sequence[Concept], **asked: Unpack[Asked]
    ) -> list[Result]:
        """Find concepts in several images at once, which is faster on a GPU; see `segment`.

        Results are those of `segment` up to rounding.
        """
        paths = [Path(image) if isinstance(image, str | Path) else None for image in images]
        return self._segment(paths, [load_image(image) for image in images], self.checked(concepts, **asked), **asked)

    def segment_folder(
        self,
        folder: str | Path,
        concepts: Concept | Sequence[Concept],
        *,
        batch: int | None = None,
        workers: int = 1,
        on_unreadable: Callable[[Path, InputError], None] | None = None,
        **asked: Unpack[Asked],
    ) -> Iterator[Result]:
        """Find concepts in all images of a folder and of the folders below it; see `segment_files`."""
        paths = images_below(Path(folder))
        return self.segment_files(paths, concepts, batch=batch, workers=workers, on_unreadable=on_unreadable, **asked)

    def segment_files(
        self,
        paths: Sequence[Path],
        concepts: Concept | Sequence[Concept],
        *,
        batch: int | None = None,
        workers: int = 1,
        on_unreadable: Callable[[Path, InputError], None] | None = None,
        **asked: Unpack[Asked],
    ) -> Iterator[Result]:
        """Find concepts in image files, in order; see also `segment`.

        A result is computed when it is asked for; with several workers, the next ones are computed meanwhile.

        Args:
            paths: paths of the images.
            concepts: the concepts to find.
            batch: images at once. With None, it is 8 on a GPU, and 1 on a CPU, so that no result depends on the other
                images.
            workers: how many batches are worked on at the same time, each in a thread of its own. On a CPU, several
                workers are faster than several threads of torch if the models are as small as the bundled ones:
                `torch.set_num_threads(1)` and a worker for each core. The results do not depend on it.
            on_unreadable: called with each image that cannot be read.
            **asked: see `Asked`.

        Raises:
            InputError: as in `segment`. If some images could not be read and there is no `on_unreadable`, it is raised
                after the last image.
        """
        read = self.read_ahead(paths, batch=batch, on_unreadable=on_unreadable)
        return (result for _, result in self.segment_read(read, concepts, workers=workers, **asked))

    def read_ahead(
        self,
        items: Sequence[Item],
        *,
        batch: int | None = None,
        on_unreadable: Callable[[Item, InputError], None] | None = None,
        read: Callable[[Item], NDArray[np.uint8]] = load_image,
    ) -> Iterator[list[tuple[Item, NDArray[np.uint8]]]]:
        """Groups of images for `segment_read`, read ahead.

        Args:
            items: the images, by default their paths.
            batch: images at once, see `segment_files`.
            on_unreadable: called with each image that cannot be read.
            read: reads an image, (H, W, 3) uint8 RGB; InputError says that it cannot be read.
        """
        at_once = batch or (1 if self.finder.models.device.type == "cpu" else _GPU_BATCH)
        return read_groups(items, at_once, on_unreadable, read)

    def segment_read(
        self,
        groups: Iterable[Sequence[tuple[Item, NDArray[np.uint8]]]],
        concepts: Concept | Sequence[Concept],
        *,
        workers: int = 1,
        **asked: Unpack[Asked],
    ) -> Iterator[tuple[Item, Result]]:
        """Find concepts in groups of images, each with what identifies it, in order; see `segment_files`.

        Args:
            groups: as `read_ahead` gives them.
            concepts: the concepts to find.
            workers: how many groups are worked on at the same time.
            **asked: see `Asked`.

        Raises:
            InputError: as in `segment`.
        """
        return self._segment_read(groups, self.checked(concepts, **asked), workers, asked)

    def _segment_read(
        self,
        groups: Iterable[Sequence[tuple[Item, NDArray[np.uint8]]]],
        concepts: Sequence[Concept],
        workers: int,
        asked: Asked,
    ) -> Iterator[tuple[Item, Result]]:
        def segmented(group: Sequence[tuple[Item, NDArray[np.uint8]]]) -> list[tuple[Item, Result]]:
            items, images = [item for item, _ in group], [image for _, image in group]
            paths = [item if isinstance(item, Path) else None for item in items]
            return list(zip(items, self._segment(paths, images, concepts, **asked), strict=True))

        for results in mapped(segmented, groups, workers):
            yield from results

    def checked(self, concepts: Concept | Sequence[Concept], **asked: Unpack[Asked]) -> tuple[Concept, ...]:
        """The concepts as a tuple, after checking that this model can find them.

        Raises:
            InputError: as in `segment`.
        """
        several = concepts_for(self.model, concepts)
        if asked.get("samples") and not self.finder.is_probabilistic:
            raise InputError(f"{self.model.name} has no prompt distribution, hence no uncertainty; use samples=0")
        return several

    @torch.no_grad()
    def _segment(
        self,
        paths: Sequence[Path | None],
        images: Sequence[NDArray[np.uint8]],
        concepts: Sequence[Concept],
        **asked: Unpack[Asked],
    ) -> list[Result]:
        threshold, refine = asked.get("threshold", self.model.present_from), asked.get("refine", self.model.refines)
        samples, seed = asked.get("samples", 0), asked.get("seed", 0)
        models, view = self.finder.models, self.finder.view(images)
        drafts = [Draft(models, path, image, threshold) for path, image in zip(paths, images, strict=True)]
        for concept in concepts:
            known = concept.on(models.device)
            for row, evidence in enumerate(view.find(known, samples=samples, seed=seed)):
                look, objects = None, None
                if asked.get("instances"):  # their edges are those of the objects
                    objects = view.objects(row, known, evidence.logits)
                elif refine and evidence.presence >= threshold:
                    look = view.look(row, known, evidence.logits)
                drafts[row].add(concept.name, evidence, look, objects=objects)
        return [draft.result(str(self.model)) for draft in drafts]


def _drawn_reference(pair: tuple[ImageInput, AnnotationInput]) -> DrawnReference:
    image, given = pair
    pixels, annotation = load_image(image), as_annotation(given)
    height, width = pixels.shape[:2]
    try:
        drawn = annotation.draw(height, width)
    except InputError as error:
        raise InputError(f"{image_name(image)}: {error}") from error
    return DrawnReference(pixels, drawn, annotation.kind)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given).expanduser()
