"""Methods that train nothing, on a user's own images, with the bundled SAM and backbone for shapes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from prosam import Box, Concept, InputError, Mask, Points, Predictor, Scribble
from prosam.checkpoints.bundled import BACKBONE_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.frozen import load_frozen_models
from prosam.features import annotation_masks
from prosam.features.annotation_masks import object_mask, spread_points
from prosam.features.seeing import Seeing
from prosam.features.seen import Needs, SeenImage, Shot
from prosam.methods.insid3 import Insid3Concept
from prosam.methods.parts.prior_maps import ShotPrior
from prosam.methods.persam import PerSamConcept
from prosam.methods.rivals import build_rival
from prosam.methods.training_free import Found, TrainingFree
from prosam.params.rivals import (
    AnyRival,
    FitSettings,
    GfSamRival,
    Insid3Rival,
    MatcherRival,
    PerSamFRival,
    PerSamRival,
    SamplingSettings,
)
from prosam.predictor.concept_state import built_state, parts_of
from prosam.predictor.result import Result
from prosam.predictor.training_free_finder import TrainingFreeFinder
from tests.scenes import pair, scenes

BACKBONE = BACKBONE_WEIGHTS["tiny-resnet"]
METHODS: dict[str, AnyRival] = {
    "persam": PerSamRival(method="persam"),
    "persam-f": PerSamFRival(method="persam-f", fit=FitSettings(steps=20)),
    "matcher": MatcherRival(method="matcher", grid=4, sampling=SamplingSettings(draws=4), draws="each"),
    "gf-sam": GfSamRival(method="gf-sam"),
    "insid3": Insid3Rival(method="insid3"),
}


def load(name: str, **given: Any) -> Predictor:
    backbone = None if METHODS[name].backbone is None else BACKBONE
    return Predictor.load(method=METHODS[name], device="cpu", sam=SAM_WEIGHTS, backbone=backbone, **given)


@dataclass(frozen=True)
class Case:
    name: str
    predictor: Predictor


@pytest.fixture(scope="module", params=METHODS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param, load(request.param))


@pytest.fixture(scope="module")
def gf_sam() -> Predictor:
    return load("gf-sam")


def learned(predictor: Predictor, number: int = 0, name: str = "it") -> Concept:
    reference, _, class_id = pair(number)
    return predictor.learn([(reference.image, reference.mask(class_id))], name)


def wide(number: int = 0) -> np.ndarray:
    return np.asarray(Image.fromarray(pair(number)[1].image).resize((200, 90)))


def same(one: Result, other: Result) -> bool:
    facts = [[(found.presence, found.score, found.present) for found in result] for result in (one, other)]
    return np.array_equal(one.masks, other.masks) and facts[0] == facts[1]


def test_a_mask_is_what_the_method_finds_brought_to_the_images_size(case: Case):
    models = load_frozen_models(
        sam="tiny",
        sam_checkpoint=SAM_WEIGHTS,
        architecture="tiny-resnet",
        backbone_checkpoint=BACKBONE,
        image_size=128,
        upsampling="centres",
        device=torch.device("cpu"),
        image_encoder=True,
    )
    method = build_rival(METHODS[case.name], models)
    see = Seeing.of(method.needs, models)
    shots = [Shot(see(scene.image), torch.from_numpy(scene.mask(kind))) for scene, _, kind in (pair(0), pair(1))]
    pairs = [(scene.image, scene.mask(kind)) for scene, _, kind in (pair(0), pair(1))]
    found = method.find(method.learn(shots), see(wide()))
    full = found.logits[None, None]
    if found.logits.shape != (90, 200):
        full = torch.nn.functional.interpolate(full, (90, 200), mode="bilinear", align_corners=False)
    result = case.predictor.segment(wide(), case.predictor.learn(pairs))
    assert np.array_equal(result.mask, (full[0, 0] > 0).numpy())
    assert result.presence == pytest.approx(min(max(found.presence, 0), 1))
    assert result.score == pytest.approx(found.score if result.mask.any() else 0)
    assert result.present == result.mask.any()


def test_most_methods_find_something():
    found = [load(name).segment(pair()[1].image, learned(load(name))).present for name in ("persam", "gf-sam")]
    assert found == [True, True]


def test_a_concept_is_the_same_after_it_was_saved(case: Case, tmp_path: Path):
    predictor = case.predictor
    reference, target, class_id = pair()
    pairs = [(reference.image, reference.mask(class_id)), (scenes()[0].image, Box(20, 20, 90, 90))]
    concept = predictor.learn(pairs, "größe")
    concept.save(tmp_path / "one.safetensors")
    predictor.learn(pairs, "größe").save(tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    loaded = Concept.load(tmp_path / "one.safetensors")
    assert (loaded.name, loaded.model, loaded.kinds) == ("größe", predictor.model.digest, ("mask", "box"))
    assert type(loaded.state) is type(concept.state)
    assert loaded.digest == concept.digest
    assert same(predictor.segment(target.image, loaded), predictor.segment(target.image, concept))


def test_concepts_of_other_methods_and_weights_are_refused(gf_sam: Predictor):
    persam, vgg = load("persam"), BACKBONE_WEIGHTS["tiny-vgg"]
    other_weights = Predictor.load(method="gf-sam", device="cpu", sam=SAM_WEIGHTS, backbone=vgg)
    trained = Predictor.load("bundled:shapes", device="cpu")
    concept = learned(gf_sam)
    for predictor in (persam, other_weights, trained):
        with pytest.raises(InputError, match="learned by another model, gf-sam, which trains nothing, with SAM"):
            predictor.segment(wide(), concept)
        with pytest.raises(InputError, match="'it' was learned by another model"):
            gf_sam.segment(wide(), learned(predictor))
    assert same(load("gf-sam").segment(wide(), concept), gf_sam.segment(wide(), concept))


def test_other_parameters_are_another_model():
    few = Predictor.load(
        method=GfSamRival(method="gf-sam", most_points=3), device="cpu", sam=SAM_WEIGHTS, backbone=BACKBONE
    )
    assert few.model.digest != load("gf-sam").model.digest


DAMAGES: dict[str, tuple[dict[str, Any], str]] = {
    "a tensor is missing": ({}, "it lacks 'foreground'"),
    "the method is unknown": ({"method": "unheard-of"}, "it lacks 'unheard-of'"),
    "a number is a text": ({"values": {"shots": "one"}}, "it lacks shots"),
    "there is no reference": ({"kinds": []}, "its references do not match"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_concept_is_one_line(tmp_path: Path, damage: str):
    learned(load("matcher")).save(tmp_path / "whole.safetensors")
    with safe_open(tmp_path / "whole.safetensors", "pt") as file:
        described = json.loads(file.metadata()["prosam_concept"])
        del described["sha256"]  # as if another program had written it
        tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    changed, message = DAMAGES[damage]
    if not changed:
        del tensors["foreground"]
    save_file(tensors, tmp_path / "bad.safetensors", {"prosam_concept": json.dumps(described | changed)})
    with pytest.raises(InputError) as caught:
        Concept.load(tmp_path / "bad.safetensors")
    assert str(caught.value).startswith(f"{tmp_path}/bad.safetensors: is damaged: {message}")


def test_what_is_missing_in_a_state_stays_missing():
    assert built_state(PerSamConcept, parts_of(PerSamConcept(None))) == PerSamConcept(None)
    nothing = built_state(Insid3Concept, parts_of(Insid3Concept([], [], torch.zeros(0))))
    assert (nothing.tokens, nothing.cells, nothing.prototype.shape) == ([], [], (0,))
    prior = ShotPrior(torch.ones(2, 3), True, torch.ones(3), torch.zeros(3))
    assert sorted(parts_of(prior)) == ["foreground", "negative", "positive", "thin"]


def test_twelve_references_keep_their_order():
    concept = Insid3Concept([torch.full((1, 1), n) for n in range(12)], [torch.ones(1) > 0] * 12, torch.ones(1))
    again = built_state(Insid3Concept, dict(sorted(parts_of(concept).items())))
    assert [int(tokens) for tokens in again.tokens] == list(range(12))


@pytest.mark.parametrize("kind", ["box", "point", "scribble"])
def test_points_scribbles_and_boxes_become_what_segment_anything_makes_of_them(gf_sam: Predictor, kind: str):
    image = scenes()[3].image
    sam = gf_sam.finder.models.sam
    points: Any = [(30, 60), (70, 100)]
    box = Box(20, 30, 100, 110)
    annotation = {"box": box, "point": Points(points), "scribble": Scribble([points], width=1)}[kind]
    drawn = annotation.draw(128, 128)
    boxes, clicks = None, None
    if kind == "box":  # segment-anything shifts coordinates by half a pixel
        boxes = torch.tensor([[20.0, 30.0, 100.0, 110.0]]) - 0.5
    elif kind == "point":
        clicks = torch.tensor([points]).float(), torch.ones(1, 2, dtype=torch.long)
    else:
        rows, columns = np.nonzero(drawn)
        chosen = spread_points(np.stack([columns, rows], 1).astype(float), 5)
        clicks = torch.from_numpy(chosen)[None].float(), torch.ones(1, 5, dtype=torch.long)
    with torch.no_grad():
        embedding = sam.image_encoder(sam.preprocess(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()))
        sparse, dense = sam.prompt_encoder(points=clicks, boxes=boxes, masks=None)
        logits, _ = sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
    expected = torch.nn.functional.interpolate(logits, (128, 128), mode="bilinear", align_corners=False)[0, 0] > 0
    expected = expected.numpy() & drawn if kind == "box" else expected.numpy()
    mask = object_mask(gf_sam.finder.models, image, drawn, annotation.kind)
    assert 0 < mask.sum() < mask.size
    assert (mask != expected).mean() < 0.002  # embeddings are rounded to half precision


def test_an_annotation_is_learned_as_its_mask(gf_sam: Predictor):
    image, target = scenes()[3].image, pair()[1].image
    box = Box(20, 30, 100, 110)
    mask = object_mask(gf_sam.finder.models, image, box.draw(128, 128), "box")
    by_box, by_mask = gf_sam.learn([(image, box)]), gf_sam.learn([(image, Mask(mask))])
    assert (by_box.kinds, by_mask.kinds) == (("box",), ("mask",))
    assert same(gf_sam.segment(target, by_box), gf_sam.segment(target, by_mask))
    assert by_box.digest != by_mask.digest


def test_where_sam_finds_nothing_the_annotation_is_the_object(gf_sam: Predictor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(annotation_masks, "decode_many", lambda *_, **__: (-torch.ones(1, 1, 64, 64), torch.ones(1, 1)))
    drawn = Box(20, 30, 50, 60).draw(128, 128)
    assert np.array_equal(object_mask(gf_sam.finder.models, scenes()[3].image, drawn, "box"), drawn)


def test_spread_points_begin_in_the_middle_and_stay_apart():
    line = np.stack([np.arange(11.0), np.zeros(11)], 1)
    assert spread_points(line, 3)[:, 0].tolist() == [5, 0, 10]
    assert spread_points(line, 5)[:3, 0].tolist() == [5, 0, 10]
    assert spread_points(line[:2], 5).tolist() == [[0, 0], [1, 0]]


def test_what_belongs_to_prompts_is_refused_in_one_line(gf_sam: Predictor):
    concept = learned(gf_sam)
    wrong = [
        (lambda: gf_sam.segment(wide(), concept, samples=3), "has no prompt distribution, hence no uncertainty"),
        (lambda: load("gf-sam", fusion="concatenate"), "fusion 'concatenate': combines prompts"),
        (lambda: Predictor.load("bundled:photos", method="gf-sam"), "bundled:photos: is a model, but a method that"),
        (lambda: Predictor.load(method="gfsam"), "did you mean 'gf-sam'? choose from persam, persam-f, matcher,"),
        (lambda: Predictor.load(method="persam", backbone=BACKBONE), "persam needs no backbone; omit it"),
        (lambda: Predictor.load(method="persam", sam=BACKBONE), "is not a checkpoint of a known SAM; known are tiny"),
        (lambda: Predictor.load(method="gf-sam", backbone=SAM_WEIGHTS), "is not a checkpoint of a known backbone"),
        (lambda: Predictor.load(method="persam", sam="nowhere.pth"), "nowhere.pth: no such file or folder"),
    ]
    for call, message in wrong:
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_no_result_depends_on_the_images_before_it(case: Case):
    concept = learned(case.predictor)
    images = [scene.image for scene in scenes()[:3]]
    keeping = load(case.name, keep=2)
    first = [case.predictor.segment(image, concept) for image in images]
    for predictor in (case.predictor, keeping, keeping):
        again = [predictor.segment(image, concept) for image in images[::-1]][::-1]
        assert all(same(*results) for results in zip(first, again, strict=True))


def test_kept_images_are_not_looked_at_again():
    keeping, looks = load("gf-sam", keep=2), list[int]()
    concept = learned(keeping)
    keeping.finder.models.sam.image_encoder.register_forward_hook(lambda *_: looks.append(1))
    for number, expected in ((0, 1), (0, 1), (1, 2), (2, 3), (1, 3), (0, 4)):
        keeping.segment(scenes()[number].image, concept)
        assert len(looks) == expected


class Known(TrainingFree[None]):
    """Finds a given mask, coarsely."""

    needs = Needs(geometry=None, tokens=None)

    def __init__(self, mask: np.ndarray):
        small = Image.fromarray((255 * mask).astype(np.uint8)).resize((32, 32), Image.Resampling.BOX)
        self._logits = torch.from_numpy(np.asarray(small) / 255 - 0.5).float()

    def learn(self, shots: Sequence[Shot]) -> None:
        return None

    def find(self, concept: None, image: SeenImage) -> Found:
        return Found(self._logits, 0.7, -0.2)


def knowing(predictor: Predictor, mask: np.ndarray) -> Predictor:
    finder = TrainingFreeFinder(Known(mask), predictor.finder.models)
    return Predictor(finder, predictor.model)


def test_refined_masks_follow_the_images_edges_without_prompts(gf_sam: Predictor):
    rows, columns = np.mgrid[:400, :600]
    disc = (rows - 170) ** 2 + (columns - 320) ** 2 < 90**2
    image = np.where(disc[..., None], (200, 60, 60), (60, 90, 200)).astype(np.uint8)
    predictor, concept = knowing(gf_sam, disc), learned(gf_sam)
    plain, refined = (predictor.segment(image, concept, refine=refine) for refine in (False, True))
    assert (refined.presence, refined.score) == (plain.presence, plain.score) == (0, 0.7)
    wrong, left = ((one.mask != disc).sum() for one in (plain, refined))
    assert left < wrong / 2


def test_what_is_empty_is_neither_refined_nor_taken_apart(gf_sam: Predictor):
    predictor, concept = knowing(gf_sam, np.zeros((90, 200), bool)), learned(gf_sam)
    for result in (
        predictor.segment(wide(), concept, refine=True),
        predictor.segment(wide(), concept, instances=True),
    ):
        assert (result.present, result.mask.any(), result.mask.shape) == (False, False, (90, 200))


def test_objects_make_up_the_mask(gf_sam: Predictor):
    apart = np.zeros((90, 200), bool)
    apart[10:40, 20:60] = apart[50:80, 120:170] = True
    result = knowing(gf_sam, apart).segment(np.full((90, 200, 3), 99, np.uint8), learned(gf_sam), instances=True)
    assert result.instances
    assert result.count == 2
    assert np.array_equal(result.mask, np.logical_or.reduce([one.mask for one in result.instances]))
    assert (result.mask & apart).sum() > 0.8 * (result.mask | apart).sum()


def test_a_card_says_what_the_method_is_and_that_nothing_is_trained(gf_sam: Predictor):
    assert str(gf_sam.model).startswith("gf-sam, which trains nothing, with SAM tiny and tiny-resnet (")
    assert gf_sam.model.digest[:12] in gf_sam.model.name
    assert "simple generated shapes only" in str(gf_sam.model)
    assert (gf_sam.model.present_from, gf_sam.model.refines) == (0, False)
    assert gf_sam.model.description["sam"]["checkpoint"] == SAM_WEIGHTS.name


@pytest.mark.parametrize(("method", "least"), [("gf-sam", 0.06), ("persam", 0.969), ("insid3", 0.0)])
def test_what_counts_as_absent_in_photographs_is_known_of_methods_whose_presence_tells_it(method: str, least: float):
    assert Predictor.load(method=method, device="cpu").model.present_from == least  # the figures of docs/methods.md


def test_a_stages_folder_is_taken_as_well(tmp_path: Path, gf_sam: Predictor):
    from prosam.checkpoints.frozen_weights import Origin, write_frozen_weights
    from prosam.checkpoints.weights import load_state
    from prosam.files import sha256_of

    for folder, model, file in (("sam", "tiny", SAM_WEIGHTS), ("backbone", "tiny-resnet", BACKBONE)):
        write_frozen_weights(tmp_path / folder, load_state(file), Origin(model, file.name, sha256_of(file)))
    of_stages = Predictor.load(method="gf-sam", device="cpu", sam=tmp_path / "sam", backbone=tmp_path / "backbone")
    assert of_stages.model.digest == gf_sam.model.digest
    assert same(of_stages.segment(wide(), learned(of_stages)), gf_sam.segment(wide(), learned(gf_sam)))
