"""The page's requests: a reference, what was drawn on it, and the targets."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from prosam.data.formats.image_files import opened_image
from prosam.errors import InputError
from prosam.predictor.annotations import Annotation, Box, Mask, Points, Scribble

MAX_QUESTION_BYTES = 8 * 2**20

_DATA_URL = "data:image/png;base64,"
_MOST_PAINTED = 2**22  # pixels; the page paints at 1024x1024 px at most
_OPAQUE, _HALF = 128, 128

_Px = Annotated[float, Field(allow_inf_nan=False)]
_Id = Annotated[str, Field(min_length=1, max_length=64)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Painted(_Sent):
    """A painting from the page's canvas.

    Attributes:
        kind: whether the whole object was painted, or strokes on it.
        png: a data URL of a PNG, opaque where it is painted. It covers the whole image, at any size.
    """

    kind: Literal["mask", "scribble"]
    png: str

    def annotation(self, height: int, width: int) -> Annotation:
        """The annotation on an image of this size, px."""
        pixels = self._scaled(height, width)
        return Mask(pixels) if self.kind == "mask" else Scribble(pixels=pixels)

    def _scaled(self, height: int, width: int) -> NDArray[np.bool_]:
        if not self.png.startswith(_DATA_URL):
            raise InputError("the painting is not a PNG; reload the page")
        try:
            content = base64.b64decode(self.png.removeprefix(_DATA_URL), validate=True)
        except ValueError as error:
            raise InputError("the painting is not a PNG; reload the page") from error
        with opened_image(Path("the painting"), BytesIO(content), formats=("PNG",)) as image:
            if image.width * image.height > _MOST_PAINTED:
                raise InputError(f"the painting is {image.width}x{image.height} px, which is too large")
            drawn = np.asarray(image.convert("RGBA"))[..., 3] >= _OPAQUE
        covered = np.asarray(
            Image.fromarray(drawn.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BOX)
        )
        filled = covered >= _HALF
        # otherwise thin strokes, and objects smaller than a pixel, would vanish
        return filled if self.kind == "mask" and filled.any() else covered > 0


class Clicked(_Sent):
    """Clicks on the object, px of the image.

    Attributes:
        kind: the kind of annotation.
        points: (x, y) of each click.
    """

    kind: Literal["point"]
    points: tuple[tuple[_Px, _Px], ...] = Field(max_length=1000)

    def annotation(self, height: int, width: int) -> Annotation:
        """The annotation on an image of this size, px."""
        return Points(self.points)


class Boxed(_Sent):
    """A box around the object, px of the image.

    Attributes:
        kind: the kind of annotation.
        box: left, upper, right and lower edge.
    """

    kind: Literal["box"]
    box: tuple[_Px, _Px, _Px, _Px]

    def annotation(self, height: int, width: int) -> Annotation:
        """The annotation on an image of this size, px."""
        return Box(*self.box)


Drawing = Annotated[Painted | Clicked | Boxed, Field(discriminator="kind")]
_DRAWING: TypeAdapter[Painted | Clicked | Boxed] = TypeAdapter(Drawing)


class Question(_Sent):
    """A request to segment one target.

    Attributes:
        reference: id of the reference.
        drawing: what is drawn on the reference.
        target: id of the target.
        count: whether each object is found for itself.
        refine: whether the mask gets edges at the image's own resolution.
    """

    reference: _Id
    drawing: Drawing
    target: _Id
    count: bool = False
    refine: bool = False


class Order(_Sent):
    """A request for a zip of the results of all targets.

    Attributes:
        reference: id of the reference.
        drawing: what is drawn on the reference.
        targets: ids of the targets.
        threshold: presence below which the object counts as absent.
        count: see `Question`.
        refine: see `Question`.
    """

    reference: _Id
    drawing: Drawing
    targets: tuple[_Id, ...] = Field(min_length=1)
    threshold: float = Field(ge=0, le=1)
    count: bool = False
    refine: bool = False


def annotation_of(drawing: str, height: int, width: int) -> Annotation:
    """The annotation of a drawing's JSON, which has been validated before, on an image of this size, px."""
    return _DRAWING.validate_json(drawing).annotation(height, width)


_Asked = TypeVar("_Asked", Question, Order)


def read_question(kind: type[_Asked], body: bytes) -> _Asked:
    """A request from the JSON that was sent.

    Raises:
        InputError: the JSON is not such a request, or something in it is wrong.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the question"
        raise InputError(f"{place}: {first['msg']}; reload the page") from error
