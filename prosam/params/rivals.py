"""The schema of `rivals`: methods that train nothing, with their own parameters. The defaults are those published.

Where a benchmark is not named, the defaults are the published ones for COCO.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from prosam.params.section import AnnotationKind, Count, Fraction, Name, NonNegative, Positive, Section

Share = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class PerSamSettings(Section):
    """Of PerSAM.

    Attributes:
        painted: value of an annotation's pixels, 0 to 255, before the annotation is resized as an image. With 255 a
            cell counts if about half of what it reads is covered; with the 128 of PerSeg's annotations, all of it must
            be.
    """

    painted: Annotated[int, Field(ge=1, le=255, strict=True)] = 255


class FitSettings(Section):
    """Of PerSAM-F's fit.

    Attributes:
        steps: of AdamW.
        lr: learning rate at first; it falls to 0 along a cosine.
        weight_decay: of AdamW.
        eps: of AdamW.
        alpha: weight of foreground pixels in the focal loss; background pixels have the rest.
    """

    steps: Count = 1000
    lr: Positive = 1e-3
    weight_decay: Share = 0.01
    eps: Positive = 1e-4
    alpha: Fraction = 0.25


class PerSamFSettings(PerSamSettings):
    """Of PerSAM-F.

    Attributes:
        fit: of the masks' weights.
    """

    fit: FitSettings = FitSettings()


class SamplingSettings(Section):
    """Of Matcher's prompt sets.

    Attributes:
        least: points in a set; fewer only if there are fewer.
        most: points in a set; fewer if there are fewer.
        draws: sets of each size, if there are more than 8 points. Of at most 8 points, all sets are used.
        centres: the points are replaced by so many centres of k-means first. None for the points themselves.
        boxed: whether the box around all points is given with each set.
    """

    least: Count = 1
    most: Count = 6
    draws: Count = 64
    centres: Count | None = None
    boxed: bool = False


class MaskFilter(Section):
    """What a mask needs to be a candidate of Matcher's.

    Attributes:
        quality: SAM's own estimate of its IoU must be greater.
        stability: the IoU of the mask above +1 and the mask above -1 must be at least that.
    """

    quality: float
    stability: float


class SelectionSettings(Section):
    """Of the masks that Matcher joins.

    A mask's score is emd x its emd + purity x its purity, where the purity is multiplied by its coverage if `covered`.

    Attributes:
        emd: weight.
        purity: weight.
        covered: see above.
        least_purity: masks below are left out; if all are below, those of the greatest purity stay.
        least_coverage: likewise.
        most: masks that are joined for one reference.
        most_of_several: masks that are joined for several references.
        share_of_best: of the best `most` masks, those with a score greater than that share of the best one's are
            joined. None for the rule of the next two.
        distance: with d = 1 - score, d must be less than that.
        excess: d may exceed the least d by less than that share of the greatest d.
    """

    emd: Share = 1.0
    purity: Share = 0.0
    covered: bool = False
    least_purity: Share = 0.02
    least_coverage: Share = 0.0
    most: Count = 9
    most_of_several: Count = 5
    share_of_best: Share | None = None
    distance: Share = 0.33
    excess: Share = 0.1


class MatcherSettings(Section):
    """Of Matcher. The defaults are those published for COCO and LVIS; `fss` and `parts` have other benchmarks'.

    Attributes:
        sampling: of prompt sets from matched points.
        multimask: whether a prompt set yields SAM's three masks, or the single one.
        filter: of the masks of prompt sets; None for none.
        grid: points a side of a grid that prompts SAM point by point, for the single mask; 0 for none.
        grid_filter: of the grid's masks.
        overlap: of two masks whose boxes have a greater IoU, only that with the better estimate stays; None for no such
            rule.
        selection: of the masks that are joined.
        seed: of the draws.
        draws: whether the generator is seeded `once`, as in the published code, so that the draws of an image depend on
            how many came before; or for `each` image.
    """

    sampling: SamplingSettings = SamplingSettings()
    multimask: bool = True
    filter: MaskFilter | None = MaskFilter(quality=0.85, stability=0.90)
    grid: NonNegative = 64
    grid_filter: MaskFilter | None = MaskFilter(quality=0.88, stability=0.95)
    overlap: Fraction | None = 0.65
    selection: SelectionSettings = SelectionSettings()
    seed: NonNegative = 0
    draws: Literal["once", "each"] = "once"

    @classmethod
    def fss(cls) -> Self:
        """As published for FSS-1000: sets of 4 to 6 of eight centres, one mask each, all of them candidates."""
        return cls(
            sampling=SamplingSettings(least=4, most=6, draws=30, centres=8),
            multimask=False,
            filter=None,
            grid=0,
            overlap=None,
            selection=SelectionSettings(
                emd=0.8, purity=0.2, covered=True, least_purity=0.0, most=10, share_of_best=0.7
            ),
        )

    @classmethod
    def parts(cls) -> Self:
        """As published for PASCAL-Part and PACO-Part: the box around all matches is given with each set."""
        return cls(
            sampling=SamplingSettings(least=3, most=6, draws=128, boxed=True),
            multimask=False,
            filter=None,
            grid=0,
            overlap=None,
            selection=SelectionSettings(
                emd=0.5, purity=0.5, least_purity=0.0, least_coverage=0.3, most=5, share_of_best=0.7
            ),
        )


class GfSamSettings(Section):
    """Of GF-SAM.

    Attributes:
        most_points: how many points a target gets at most.
        points_at_once: how many of them are decoded at a time.
        empty_square: px of SAM's square. If no reference shows the object, a square of that side in the middle of each
            stands for it.
    """

    most_points: Count = 128
    points_at_once: Count = 64
    empty_square: Count = 14


class Insid3Settings(Section):
    """Of INSID3; the published ones hold for all data sets.

    Attributes:
        positional_share: of the channels, how many directions count as positional: 500 of DINOv3-L's 1,024.
        similarity: clusters are merged while their mean cosine is above this.
        least_score: clusters belong to the object if their score is above this.
        fallback_share: of the target's tokens, how many are compared further if none is like the references.
    """

    positional_share: Fraction = 500 / 1024
    similarity: float = 0.6
    least_score: float = 0.2
    fallback_share: Fraction = 0.1


class RivalEntry(Section):
    """What every entry of `rivals` has.

    Attributes:
        kind: of the references' annotations, which are those of runs with the same kind. The methods know masks only,
            so SAM itself makes masks of points, scribbles and boxes.
    """

    kind: AnnotationKind = "mask"


class SegGptSettings(Section):
    """Of SegGPT.

    Attributes:
        token: which of its two type tokens says what is looked for; its authors' script takes `instance`.
    """

    token: Literal["instance", "semantic"] = "instance"


class GeneralistSection(RivalEntry):
    """A method that is a network of its own, which its authors trained; `backbone` cannot be given.

    Attributes:
        checkpoint: of the network: your own file, or a URL; by default the published one.
        sha256: digest of the checkpoint, or its beginning; another file is refused. A URL requires it.
    """

    backbone: None = None
    checkpoint: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = None

    @model_validator(mode="after")
    def _url_needs_a_digest(self) -> Self:
        if self.checkpoint and "://" in self.checkpoint and self.sha256 is None:
            raise ValueError("a checkpoint from a URL needs its sha256 beside it")
        return self


class PerSamRival(RivalEntry, PerSamSettings):
    """PerSAM, which needs no backbone; `backbone` cannot be given."""

    method: Literal["persam"]
    backbone: None = None


class PerSamFRival(RivalEntry, PerSamFSettings):
    """PerSAM-F, which needs no backbone; `backbone` cannot be given."""

    method: Literal["persam-f"]
    backbone: None = None


class MatcherRival(RivalEntry, MatcherSettings):
    """Matcher with a backbone, a key of models.backbones or `auto`."""

    method: Literal["matcher"]
    backbone: Name = "auto"


class GfSamRival(RivalEntry, GfSamSettings):
    """GF-SAM with a backbone, a key of models.backbones or `auto`."""

    method: Literal["gf-sam"]
    backbone: Name = "auto"


class Insid3Rival(RivalEntry, Insid3Settings):
    """INSID3 with a backbone, a key of models.backbones or `auto`."""

    method: Literal["insid3"]
    backbone: Name = "auto"


class SegGptRival(GeneralistSection, SegGptSettings):
    """SegGPT, with the extra `generalists`."""

    method: Literal["seggpt"]


class PainterRival(GeneralistSection):
    """Painter, with the extra `generalists`."""

    method: Literal["painter"]


AnyRival = PerSamRival | PerSamFRival | MatcherRival | GfSamRival | Insid3Rival | SegGptRival | PainterRival
Rival = Annotated[AnyRival, Field(discriminator="method")]
RivalName = Literal["persam", "persam-f", "matcher", "gf-sam", "insid3", "seggpt", "painter"]
GeneralistName = Literal["seggpt", "painter"]  # those that are networks of their own
