"""The schema of `models`: the frozen SAM and the frozen backbones."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from prosam.params.section import Name, Section

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]

SamName = Literal["tiny", "lite", "vit_t", "vit_b", "vit_l", "vit_h", "sam2.1_t", "sam2.1_s", "sam2.1_b+", "sam2.1_l"]
SMALL_SAMS: tuple[SamName, ...] = ("tiny", "lite")  # the bundled ones, which more threads make no faster
Architecture = Literal[
    "tiny-resnet",
    "tiny-vgg",
    "efficientnet-lite0",
    "resnet50",
    "resnet50-deep-stem",
    "vgg16-bn",
    "vgg16-bn-vrp-sam",
    "dinov2-vits14",
    "dinov2-vitb14",
    "dinov2-vitl14",
    "dinov2-reg-vits14",
    "dinov2-reg-vitb14",
    "dinov2-reg-vitl14",
    "dinov3-vits16",
    "dinov3-vitb16",
    "dinov3-vitl16",
    "dinov3-convnext-tiny",
    "dinov3-convnext-small",
]

BUNDLED_SIZE, PHOTOGRAPH_SIZE, PAPER_SIZE = 128, 384, 512
_AUTO = {  # with the bundled SAMs for shapes and for photographs; with the others
    "auto": {"tiny": "tiny-resnet", "lite": "efficientnet-lite0", "others": "resnet50"},
    "auto-vgg": {"tiny": "tiny-vgg", "lite": "efficientnet-lite0", "others": "vgg16"},
}


class SamParams(Section):
    """The SAM whose embeddings are stored and whose decoder predicts masks.

    Attributes:
        name: `tiny` is the bundled default, `lite` the bundled one for photographs, `vit_t` MobileSAM;
            `vit_b`, `vit_l` and `vit_h` are segment-anything's, the others SAM 2.1's.
        checkpoint: your own file, or a URL; by default the published one, which is fetched if necessary.
        sha256: digest of the checkpoint, or its beginning; another file is refused. A URL requires it.
    """

    name: SamName
    checkpoint: str | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _url_needs_a_digest(self) -> Self:
        return _with_digest(self)


class BackboneParams(Section):
    """A frozen backbone; its key in params.yaml is the name under which runs refer to it.

    Attributes:
        architecture: a key of BACKBONE_BUILDERS.
        checkpoint: as for SAM.
        sha256: as for SAM.
    """

    architecture: Architecture
    checkpoint: str | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _url_needs_a_digest(self) -> Self:
        return _with_digest(self)


_Model = TypeVar("_Model", SamParams, BackboneParams)


def _with_digest(model: _Model) -> _Model:
    if model.checkpoint and "://" in model.checkpoint and model.sha256 is None:
        raise ValueError("a checkpoint from a URL needs its sha256 beside it")
    return model


class ModelsParams(Section):
    """The frozen models.

    Attributes:
        image_size: side of the square to which images are resized for the backbone, px; also the side of the masks in
            the loss. SAM gets the same square, resized to its own input. `auto` is 128 for `tiny`, 384 for `lite` and
            the paper's 512 for the others.
        upsampling: of SAM's mask logits to full size. `centres` maps pixel centres, as SAM does; `corners` maps corner
            to corner (align_corners=True), as VRP-SAM's code does.
        feature_table_gb: keep the backbone's features of a whole data set, in .scratch on disk, if they fit into this
            size; worthwhile for small images on a CPU. 1,500 photographs with the SAM lite take 6 GB.
        decoded_gb: otherwise keep the resized images decoded, in .scratch on disk, if they fit into this size.
    """

    image_size: Annotated[int, Field(ge=32, multiple_of=16, strict=True)] | Literal["auto"] = "auto"
    upsampling: Literal["centres", "corners"] = "centres"
    feature_table_gb: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 8.0
    decoded_gb: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] = 10.0
    sam: SamParams
    backbones: Annotated[dict[Name, BackboneParams], Field(min_length=1)]

    @property
    def size(self) -> int:
        """S, the image size in px, with `auto` resolved."""
        if isinstance(self.image_size, int):
            return self.image_size
        return {"tiny": BUNDLED_SIZE, "lite": PHOTOGRAPH_SIZE}.get(self.sam.name, PAPER_SIZE)

    @property
    def usual_init(self) -> Literal["labelled", "anchored"]:
        """How prompt encoders for this SAM are initialised unless a run says otherwise."""
        return "labelled" if self.sam.name == "lite" else "anchored"

    def backbone_of(self, named: str) -> str:
        """The backbone that a run names, `auto` and `auto-vgg` resolved; a key of `backbones` if it is defined."""
        if named not in _AUTO:
            return named
        return _AUTO[named].get(self.sam.name, _AUTO[named]["others"])
