"""Segment one's own images like annotated references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from prosam.checkpoints.loading import load_method
from prosam.errors import InputError
from prosam.evaluation.presence import best_presence
from prosam.features.pairs import References
from prosam.features.reference_masks import GridRule
from prosam.methods.prompting import PromptMethod
from prosam.methods.several_references import Fusion, fused_prompts
from prosam.predictor.annotations import Annotation, AnnotationInput, as_annotation
from prosam.predictor.concept import Concept, concepts_for, reference_digest
from prosam.predictor.draft import Draft
from prosam.predictor.encoding import ImageEncoder
from prosam.predictor.image_folders import images_below, read_groups
from prosam.predictor.images import ImageInput, image_name, load_image
from prosam.predictor.model_card import ModelCard, describe_model
from prosam.predictor.result import Result

_GPU_BATCH = 8


class Asked(TypedDict, total=False):
    """What is asked of an image.

    Attributes:
        threshold: of presence; below it a concept is not there, and its mask is empty. 0 always answers. Unless given,
            as measured for the bundled backbone, and 0 with others.
        samples: of prompts, for the uncertainty; 0, the default, for none.
        seed: of the samples, 0 unless given. The same seed gives every image the same noise.
    """

    threshold: float
    samples: int
    seed: int


class Predictor:
    """A trained model that learns concepts from references and finds them in images.

    It holds no state but weights and kept embeddings: several threads may use one.

    Example:
        predictor = Predictor.load("models/shapes-5i/prosam/0")
        cat = predictor.learn([("cat.jpg", Box(10, 20, 80, 90))], name="cat")
        result = predictor.segment("photo.jpg", cat)
        print(result.mask, result.presence)

    Attributes:
        method: prompt encoder and frozen models, on their device.
        model: which model it is; as text it tells what the model is no good at.
    """

    def __init__(
        self,
        method: PromptMethod,
        model: ModelCard,
        *,
        rule: GridRule | None = None,
        fusion: Fusion = "average",
        keep: int = 0,
    ):
        """Wrap a loaded method; `load` is the usual way.

        Args:
            method: whose frozen SAM has its image encoder.
            model: its card.
            rule: how annotations get to the feature grid; by coverage unless given.
            fusion: see `load`.
            keep: likewise.
        """
        self.method, self.model = method, model
        self._fusion: Fusion = fusion
        self._encoder = ImageEncoder(method.models, rule or GridRule.of(method.models, "covered"), keep)

    @classmethod
    def load(
        cls,
        source: str | Path | None = None,
        *,
        device: str = "auto",
        sam: str | Path | None = None,
        backbone: str | Path | None = None,
        fusion: Fusion = "average",
        keep: int = 0,
    ) -> Self:
        """Load a model.

        Args:
            source: a trained run's folder, a bundle, an archive, a URL or a hub id, see
                `prosam.checkpoints.model_source.open_model`; None for the bundled model, which knows simple shapes
                only.
            device: auto, cpu, cuda or another that torch knows; `auto` takes a GPU where there is one.
            sam: the SAM that the model was trained with, where it is not found by itself: a folder of the stage
                `sam`, or a checkpoint.
            backbone: likewise.
            fusion: what several references do: `average` their prompts, measured to be better, or `concatenate` them,
                as VRP-SAM does.
            keep: of so many images the embeddings are kept in memory, the last used; about 0.5 MB an image for the
                bundled model, 60 MB for SAM ViT with ResNet-50.

        Raises:
            InputError: the model or its frozen weights are missing, damaged or of something else.
        """
        loaded = load_method(source, device=device, sam=_path(sam), backbone=_path(backbone))
        card = describe_model(loaded.files, loaded.frozen, loaded.method)
        return cls(loaded.method, card, rule=loaded.rule, fusion=fusion, keep=keep)

    @torch.no_grad()
    def learn(self, references: Iterable[tuple[ImageInput, AnnotationInput]], name: str = "object") -> Concept:
        """Learn a kind from annotated references.

        Args:
            references: pairs of an image (path, Pillow image, or HWC uint8 RGB) and its annotation: Points, Scribble,
                Box or Mask in pixels of that image; an array or a path is a mask. Several objects of the kind in
                one image belong into one annotation.
            name: of the kind.

        Raises:
            InputError: there is none, an image cannot be read, or an annotation does not fit its image.
        """
        learned: list[References] = []
        kinds: list[str] = []
        digests: list[str] = []
        for pair in references:
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise InputError("references are pairs of an image and its annotation, as in [('cat.jpg', 'cat.png')]")
            image, given = pair
            pixels, annotation = load_image(image), as_annotation(given)
            learned.append(self._reference(pixels, annotation, image_name(image)))
            kinds.append(annotation.kind)
            digests.append(reference_digest(pixels, learned[-1].drawn[0].numpy(), annotation.kind))
        if not learned:
            raise InputError(f"the concept {name!r} has no references; give one image with an annotation at least")
        joined = References(
            torch.cat([r.features for r in learned]),
            torch.cat([r.annotation for r in learned]),
            [features for r in learned for features in r.foreground],
            [drawn for r in learned for drawn in r.drawn],
        )
        model = self.model
        return Concept(name, model.digest, model.name, tuple(kinds), self.method.learn(joined), tuple(digests))

    def _reference(self, image: NDArray[np.uint8], annotation: Annotation, name: str) -> References:
        height, width = image.shape[:2]
        try:
            drawn = annotation.draw(height, width)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        return self._encoder.reference(image, drawn, annotation.kind)

    def segment(self, image: ImageInput, concepts: Concept | Sequence[Concept], **asked: Unpack[Asked]) -> Result:
        """Find concepts in an image.

        Args:
            image: a path, a Pillow image, or HWC uint8 RGB.
            concepts: of this model; SAM and backbone look at the image once, however many there are.
            **asked: see `Asked`.

        Raises:
            InputError: the image cannot be read, a concept is another model's, or the model has no distribution of
                prompts to sample from.
        """
        path = Path(image) if isinstance(image, str | Path) else None
        return self._segment([path], [load_image(image)], self.checked(concepts, **asked), **asked)[0]

    def segment_folder(
        self,
        folder: str | Path,
        concepts: Concept | Sequence[Concept],
        *,
        batch: int | None = None,
        on_unreadable: Callable[[Path, InputError], None] | None = None,
        **asked: Unpack[Asked],
    ) -> Iterator[Result]:
        """Find concepts in all images of a folder and below it; see `segment_files`."""
        paths = images_below(Path(folder))
        return self.segment_files(paths, concepts, batch=batch, on_unreadable=on_unreadable, **asked)

    def segment_files(
        self,
        paths: Sequence[Path],
        concepts: Concept | Sequence[Concept],
        *,
        batch: int | None = None,
        on_unreadable: Callable[[Path, InputError], None] | None = None,
        **asked: Unpack[Asked],
    ) -> Iterator[Result]:
        """Find concepts in image files, in order, as the results are asked for; see `segment` for the rest.

        Args:
            paths: of the images.
            concepts: to find.
            batch: images at once; None for one on a CPU, so that no result depends on its neighbours, and 8 on a GPU.
            on_unreadable: is told of each image that cannot be read.
            **asked: see `Asked`.

        Raises:
            InputError: as `segment`; and behind the last image, when some could not be read and there is no
                `on_unreadable`.
        """
        checked = self.checked(concepts, **asked)
        at_once = batch or (1 if self.method.models.device.type == "cpu" else _GPU_BATCH)
        return self._segment_files(paths, checked, at_once, on_unreadable, asked)

    def _segment_files(
        self,
        paths: Sequence[Path],
        concepts: Sequence[Concept],
        at_once: int,
        on_unreadable: Callable[[Path, InputError], None] | None,
        asked: Asked,
    ) -> Iterator[Result]:
        for read in read_groups(paths, at_once, on_unreadable):
            yield from self._segment([path for path, _ in read], [image for _, image in read], concepts, **asked)

    def checked(self, concepts: Concept | Sequence[Concept], **asked: Unpack[Asked]) -> tuple[Concept, ...]:
        """Concepts that this model can look for, as a tuple.

        Raises:
            InputError: as `segment`.
        """
        several = concepts_for(self.model, concepts)
        if asked.get("samples") and self.method.encoder.distribution == "dirac":
            raise InputError(f"{self.model.name} has no distribution of prompts, so no uncertainty; take samples=0")
        return several

    @torch.no_grad()
    def _segment(
        self,
        paths: Sequence[Path | None],
        images: Sequence[NDArray[np.uint8]],
        concepts: Sequence[Concept],
        **asked: Unpack[Asked],
    ) -> list[Result]:
        threshold, samples = asked.get("threshold", self.model.present_from), asked.get("samples", 0)
        models = self.method.models
        targets = self._encoder.targets(images)
        drafts = [Draft(models, path, image, threshold) for path, image in zip(paths, images, strict=True)]
        for concept in concepts:
            prompts = fused_prompts(self.method, concept.on(models.device), targets, self._fusion)
            logits = self.method.decode(targets, prompts.mean())[:, 0]
            sure = best_presence(concept.state.foreground, targets).tolist()
            for row, draft in enumerate(drafts):
                sampled = None
                if samples:  # image by image, each from the seed, so that none depends on its neighbours
                    generator = torch.Generator(models.device).manual_seed(asked.get("seed", 0))
                    noisy = prompts.of(row).sample(samples, generator)
                    sampled = models.decoder(targets.embedding[row : row + 1], noisy)[0]
                draft.add(concept.name, sure[row], logits[row], sampled)
        return [draft.result(str(self.model)) for draft in drafts]


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given).expanduser()
