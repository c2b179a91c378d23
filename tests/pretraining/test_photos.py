"""Training and measuring the models for photographs, on a folder of generated pictures in COCO's form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco

from prosam import Predictor
from prosam.checkpoints.bundled import PHOTO_PROMPT_ENCODER, PHOTO_SAM_WEIGHTS, SAM_WEIGHTS
from prosam.checkpoints.efficientnet_lite import SHA256, efficientnet_lite0_state
from prosam.checkpoints.exported import read_exported_description
from prosam.checkpoints.sam import load_sam, sam_state, without_trunk
from prosam.checkpoints.weights import load_state, write_state
from prosam.data.dataset import Split
from prosam.data.shapes.scenes import shapes_classes, shapes_scenes
from prosam.errors import InputError
from prosam.files import sha256_of
from prosam.models.embedding_details import Details, as_image
from prosam.models.sam import decode_candidates
from prosam.models.sam_lite import build_lite_sam
from prosam.pretraining.photos import encoder, measuring, sam, views
from prosam.pretraining.photos.decoding import decode_at
from prosam.pretraining.photos.episodes import Categories
from prosam.pretraining.photos.folder import Photos, read_photos
from prosam.pretraining.photos.models import lite_models, lite_trunk
from prosam.pretraining.photos.prompts import (
    PHOTO_PROMPT_KINDS,
    draw_photo_prompt,
    embed_mask_inputs,
    embed_places,
)
from prosam.pretraining.photos.unfinished import unfinished_state, work_folder
from prosam.pretraining.photos.views import MASK_SIDE, View, open_view
from tests.models.random_weights import randomise, relative_difference

SIZE = 64
COUNTS: dict[Split, int] = {"train": 24, "val": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    (root / "images").mkdir()
    for split, count in COUNTS.items():
        images, annotations = [], []
        for number, (_, image, labels) in enumerate(shapes_scenes(split, count, size=96, seed=0), start=1):
            name = f"{split}-{number}.png"
            Image.fromarray(image).save(root / "images" / name)
            images.append({"id": number, "file_name": name, "width": 96, "height": 96})
            for class_id in np.unique(labels[(labels > 0) & (labels < 255)]).tolist():
                code = coco.encode(np.asfortranarray(labels == class_id).astype(np.uint8))
                outline = {"size": code["size"], "counts": str(cast(bytes, code["counts"]), "ascii")}
                entry = {"id": len(annotations) + 1, "image_id": number, "category_id": class_id, "iscrowd": 0}
                annotations.append(entry | {"segmentation": outline})
        categories = [{"id": i, "name": name} for i, name in enumerate(shapes_classes(), start=1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / f"{split}.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="module")
def photos(folder: Path) -> Photos:
    return read_photos(folder)


@pytest.fixture(scope="module")
def seen(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> list[View]:
    cache, trunk = tmp_path_factory.mktemp("cache"), lite_trunk()
    return [open_view(cache, photos.splits["train"], "train", number, trunk, SIZE) for number in range(3)]


def test_a_view_has_the_trunks_features_and_the_masks_in_its_own_places(photos: Photos, seen: list[View]):
    plain, mirrored, _ = seen
    photo = photos.splits["train"][3]
    pixels = np.asarray(Image.fromarray(photo.pixels()).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    expected = lite_trunk().stages(torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None])
    for level, exact in zip(plain.stages([3]), expected, strict=True):
        assert relative_difference(level, exact) < 1 / 200  # int8
    for index in plain.objects[3]:
        (same,) = (i for i in mirrored.objects[3] if mirrored.class_of[i] == plain.class_of[index])
        assert np.array_equal(mirrored.mask(same), plain.mask(index)[:, ::-1])
    areas = {a.class_id: m.mean() for a, m in zip(photo.image.annotations, photo.masks(), strict=True)}
    for index in plain.objects[3]:
        assert plain.cells[index] / MASK_SIDE**2 == pytest.approx(areas[int(plain.class_of[index])], rel=0.1)


def test_a_view_is_made_once(photos: Photos, seen: list[View], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = open_view(tmp_path, photos.splits["val"], "val", 2, lite_trunk(), SIZE)
    monkeypatch.setattr(views, "_write_view", lambda *_, **__: pytest.fail("made again"))
    second = open_view(tmp_path, photos.splits["val"], "val", 2, lite_trunk(), SIZE)
    assert np.array_equal(first.packed, second.packed)


@pytest.mark.parametrize("kind", PHOTO_PROMPT_KINDS)
def test_prompts_lie_on_what_they_ask_for(seen: list[View], kind: str):
    view, rng = seen[0], np.random.default_rng(0)
    for index in range(20):
        prompt = draw_photo_prompt(view, index, kind, rng, smallest=50)
        cells = np.clip((prompt.places * MASK_SIDE).astype(int), 0, MASK_SIDE - 1)
        on = prompt.mask[cells[:, 1], cells[:, 0]]
        assert on[prompt.labels == 1].all()
        assert not on[prompt.labels == 0].any()
        assert (prompt.mask | view.mask(index) == prompt.mask).all()
        if kind == "box":
            first, second = prompt.places[:2]
            rows, columns = np.nonzero(prompt.mask)
            middle = [(columns.min() + columns.max() + 1) / 256, (rows.min() + rows.max() + 1) / 256]
            assert (first < middle).all()
            assert (second > middle).all()


@torch.no_grad()
def test_a_mask_goes_in_as_the_original_librarys_does():
    lite = build_lite_sam()
    randomise(lite.state_dict())
    lite.eval()
    embedding, twice, fourfold = (torch.randn(2, 1024, *rest) for rest in ((64,), (4, 16), (16, 8)))
    image_of, places = torch.tensor([1, 0, 1]), torch.rand(3, 3, 2)
    masks = torch.randn(3, MASK_SIDE, MASK_SIDE, generator=torch.Generator().manual_seed(3)) * 8
    prompts = embed_places(lite, places, torch.tensor([[1, 0, -1], [2, 3, -1], [1, -1, -1]]))
    dense = embed_mask_inputs(lite, masks)
    nothing = Details(torch.zeros_like(twice), torch.zeros_like(fourfold))  # the original decoder takes no details
    found = decode_at(lite, embedding, nothing, image_of, prompts, dense=dense)
    images = embedding.transpose(1, 2).unflatten(2, (32, 32))
    for number, image in enumerate(image_of):
        expected, quality = lite.mask_decoder.predict_masks(
            image_embeddings=images[image][None],
            image_pe=lite.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=prompts[number][None],
            dense_prompt_embeddings=lite.prompt_encoder._embed_masks(masks[number][None, None]),
        )
        ours = as_image(found.single[number][None, ..., None])[0, 0]
        assert relative_difference(ours, expected[0, 0]) < 1e-4
        assert relative_difference(found.quality[number], quality[0]) < 1e-4


@torch.no_grad()
def test_the_decoder_for_training_equals_the_readable_one(seen: list[View]):
    lite = build_lite_sam()
    randomise(lite.state_dict())
    lite.eval()
    stages = seen[0].stages([0, 1])
    embedding, twice, fourfold = lite.image_encoder.neck.parts(stages)
    image_of, places = torch.tensor([0, 0, 1]), torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0))
    prompts = embed_places(lite, places, torch.tensor([[1, 0, -1, -1], [2, 3, -1, -1], [1, 1, 1, 0]]))
    expected, quality = decode_candidates(lite, lite.image_encoder.neck(stages)[image_of], prompts)
    asked = torch.tensor([0, 2])
    details = Details(twice, fourfold)
    found = decode_at(lite, embedding, details, image_of, prompts, multiple=asked)
    assert relative_difference(as_image(found.single[..., None])[:, 0], expected[:, 0]) < 1e-4
    for number in range(3):
        part = as_image(found.multiple[:, number][..., None])[:, 0]
        assert relative_difference(part, expected[asked, 1 + number]) < 1e-4
    assert relative_difference(found.quality, quality) < 1e-4
    kept = torch.tensor([5, 17, 1000])
    some = decode_at(lite, embedding, details, image_of, prompts, kept=kept)
    assert relative_difference(some.single, found.single[:, kept]) < 1e-4


def test_a_killed_training_of_sam_goes_on_and_ends_the_same(
    photos: Photos, seen: list[View], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sam, "_SAVED_EVERY", 2)
    settings = sam.PhotoSamPretraining(steps=4, images=2, prompts=2)
    whole = sam.pretrain_photo_sam(seen, photos.classes, settings, tmp_path / "whole.pt")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    original = sam._step_loss
    monkeypatch.setattr(sam, "_step_loss", lambda net, draw, step: killed() if step == 3 else original(net, draw, step))
    with pytest.raises(KeyboardInterrupt):
        sam.pretrain_photo_sam(seen, photos.classes, settings, tmp_path / "killed.pt")
    monkeypatch.setattr(sam, "_step_loss", original)
    again = sam.pretrain_photo_sam(seen, photos.classes, settings, tmp_path / "killed.pt")
    start = load_state(SAM_WEIGHTS)
    for (name, one), two in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    learnt = whole.state_dict()["mask_decoder.iou_token.weight"]
    assert not torch.equal(learnt, start["mask_decoder.iou_token.weight"])


def test_its_file_leaves_out_the_trunk_which_comes_from_the_wheel(tmp_path: Path):
    lite = build_lite_sam()
    lite.image_encoder.trunk.load_state_dict(efficientnet_lite0_state())
    write_state(without_trunk(lite), tmp_path / "sam.safetensors")
    assert (tmp_path / "sam.safetensors").stat().st_size < 1.5e6
    state = sam_state("lite", tmp_path / "sam.safetensors")
    for name, tensor in lite.state_dict().items():
        exact = name.startswith("image_encoder.trunk.")
        assert torch.equal(state[name], tensor if exact else tensor.half().float()), name
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    loaded = load_sam("lite", tmp_path / "sam.safetensors")
    loaded.image_encoder.img_size = lite.image_encoder.img_size = 64
    normalised = (images.float() - 127) / 128
    with torch.no_grad():
        found, expected = loaded.image_encoder(normalised), lite.eval().image_encoder(normalised)
    assert relative_difference(found, expected) < 0.01


def test_a_prompt_encoder_learns_and_is_measured(photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache, trunk = tmp_path / "cache", lite_trunk()
    train = [open_view(cache, photos.splits["train"], "train", number, trunk, 384) for number in range(2)]
    val = open_view(cache, photos.splits["val"], "val", 0, trunk, 384)
    write_state(without_trunk(build_lite_sam()), tmp_path / "sam.safetensors")
    models = lite_models(tmp_path / "sam.safetensors")
    monkeypatch.setattr(encoder, "_SAVED_EVERY", 1)
    for distribution in ("t3", "dirac"):
        settings = replace(encoder.PhotoEncoderPretraining(), distribution=distribution, steps=2, batch_size=2)
        path = tmp_path / f"{distribution}.pt"
        method = encoder.pretrain_photo_encoder(models, train, photos.classes, settings, path)
        again = encoder.pretrain_photo_encoder(models, train, photos.classes, settings, path)  # from the last step
        assert all(
            torch.equal(a, b) for a, b in zip(method.encoder.parameters(), again.encoder.parameters(), strict=True)
        )
        figures = measuring.measure_episodes(method, Categories(train[0]), Categories(val), episodes=4, count=3).card()
        assert 0 <= figures["miou"] <= 100
        assert figures["classes"] <= 4
    present, absent = measuring.measure_presence(method, Categories(train[0]), Categories(val), episodes=4)
    assert len(present) == len(absent) == 4
    measured = measuring.measure_photo_sam(models.sam, val)
    assert set(measured) == {"objects", *PHOTO_PROMPT_KINDS, measuring.SECOND_PASS}


def test_a_state_is_never_taken_for_that_of_another_training(tmp_path: Path):
    settings, files = encoder.PhotoEncoderPretraining(), [tmp_path / "a", tmp_path / "b", tmp_path / "copy of a"]
    for file, content in zip(files, "aba", strict=True):
        file.write_text(content)
    path = unfinished_state(tmp_path, "encoder", settings, sam=files[0], without=[1])
    assert unfinished_state(tmp_path, "encoder", settings, sam=files[2], without=[1]) == path
    others = [
        unfinished_state(tmp_path, "encoder", replace(settings, lr=0.5), sam=files[0], without=[1]),
        unfinished_state(tmp_path, "encoder", settings, sam=files[1], without=[1]),
        unfinished_state(tmp_path, "encoder", settings, sam=files[0], without=[2]),
        unfinished_state(tmp_path, "encoder", settings, without=[1]),
    ]
    assert len({path, *others}) == 5


def test_other_photographs_have_another_folder_of_features(photos: Photos, tmp_path: Path):
    folder = tmp_path / "other"
    folder.mkdir()
    for path in photos.splits["val"][0].path.parent.parent.glob("*.json"):
        told = json.loads(path.read_text())
        told["info"] = {"version": "corrected"}
        (folder / path.name).write_text(json.dumps(told))
    (folder / "images").symlink_to(photos.splits["val"][0].path.parent)
    assert work_folder(tmp_path, read_photos(folder).digest) != work_folder(tmp_path, photos.digest)


def test_photos_that_show_a_novel_kind_are_left_out(seen: list[View]):
    view = seen[0]
    novel = int(view.class_of[0])
    remaining = Categories(view, without=[novel])
    assert novel not in remaining.shown
    banned = {int(view.photo_of[i]) for i in np.flatnonzero(view.class_of == novel)}
    assert banned.isdisjoint(shown.photo for photos in remaining.shown.values() for shown in photos)


def test_the_kinds_of_coco_are_dealt_to_folds_in_turn():
    classes = ("person", "ccp hat", "car", "cat", "dog", "ccp shoes", "cup", "pear")
    assert measuring.coco_folds(classes) == [[1, 7], [3, 8], [4], [5]]


def test_a_folder_without_both_splits_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="needed are train"):
        read_photos(tmp_path)


def test_the_bundled_figures_are_above_their_floors_and_made_with_the_settings_in_the_code():
    floors = {"one point": 0.47, "points": 0.50, "box": 0.64, "several objects": 0.53}
    card = json.loads(PHOTO_SAM_WEIGHTS.with_suffix(".json").read_text())
    assert all(card["held-out"][kind] >= floor for kind, floor in floors.items())
    assert card["settings"] == json.loads(json.dumps(vars(sam.PhotoSamPretraining())))
    trained = (p for name, p in load_sam("lite", PHOTO_SAM_WEIGHTS).named_parameters() if name.startswith(sam.TRAINED))
    assert card["parameters"] == sum(p.numel() for p in trained)
    encoder_card = json.loads(PHOTO_PROMPT_ENCODER.with_suffix(".json").read_text())
    assert encoder_card["settings"] == json.loads(json.dumps(vars(encoder.PhotoEncoderPretraining())))
    state = load_state(PHOTO_PROMPT_ENCODER)
    assert encoder_card["parameters"] == sum(tensor.numel() for tensor in state.values())
    assert encoder_card["held-out"]["miou"] >= 36


def test_the_bundled_prompt_encoder_names_the_bundled_models():
    description = read_exported_description(PHOTO_PROMPT_ENCODER)
    assert description["sam"]["sha256"] == sha256_of(PHOTO_SAM_WEIGHTS)
    assert description["backbone_weights"]["sha256"] == SHA256
    assert Predictor.load(PHOTO_PROMPT_ENCODER) is not None
