"""Learning from references and finding in images, with the bundled model for shapes."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from prosam import Box, Concept, InputError, Points, Predictor, Scribble
from prosam.methods.prompting import PromptConcept
from prosam.models.prompt_encoder import ReferenceCode
from prosam.predictor.prompt_finder import PromptFinder
from prosam.predictor.result import Result
from tests.predictor.prompts import prompts_of
from tests.scenes import pair, scenes


def learned(predictor: Predictor, number: int = 0, name: str = "it") -> Concept:
    reference, _, class_id = pair(number)
    return predictor.learn([(reference.image, reference.mask(class_id))], name)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def same(one: Result, other: Result) -> bool:
    return np.array_equal(one.masks, other.masks) and [f.presence for f in one] == [f.presence for f in other]


def test_objects_like_the_reference_are_found_whatever_its_annotation(predictor: Predictor):
    ious: dict[str, list[float]] = {"mask": [], "box": [], "point": [], "scribble": []}
    for number in range(6):
        reference, target, class_id = pair(number)
        mask = reference.mask(class_id)
        rows, columns = np.nonzero(mask)
        middle = len(rows) // 2
        annotations = {
            "mask": mask,
            "box": Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1),
            "point": Points([(int(columns[i]), int(rows[i])) for i in (middle // 2, middle, middle + middle // 2)]),
            "scribble": Scribble([[(int(columns[i]), int(rows[i])) for i in (middle, middle + 1)]], width=3),
        }
        for kind, annotation in annotations.items():
            concept = predictor.learn([(reference.image, annotation)])
            assert concept.kinds == (kind,)
            ious[kind].append(iou(predictor.segment(target.image, concept, threshold=0).mask, target.mask(class_id)))
    assert {kind: np.mean(values) > 0.5 for kind, values in ious.items()} == dict.fromkeys(ious, True), ious


def test_a_result_has_the_size_of_its_image_and_names_its_model(predictor: Predictor):
    wide = np.asarray(Image.fromarray(pair()[1].image).resize((200, 90)))
    result = predictor.segment(wide, learned(predictor))
    assert result.mask.shape == result.labels.shape == (90, 200)
    assert result.model == str(predictor.model)
    assert predictor.model.digest[:12] in result.model
    assert "simple generated shapes only" in result.model
    assert result["it"].score == result.score
    with pytest.raises(InputError, match="'dog' was not asked for"):
        result["dog"]


def test_paths_images_and_arrays_are_the_same_and_exif_rotation_is_applied(predictor: Predictor, tmp_path: Path):
    reference, target, class_id = pair()
    Image.fromarray(target.image).save(tmp_path / "target.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(target.image)))
    stored.save(tmp_path / "turned.png", exif=exif)
    concept = predictor.learn([(Image.fromarray(reference.image), reference.mask(class_id))])
    expected = predictor.segment(target.image, concept)
    for image in (tmp_path / "target.png", str(tmp_path / "turned.png"), Image.open(tmp_path / "turned.png")):
        assert same(predictor.segment(image, concept), expected)


def test_several_references_concatenate_their_prompts_or_average_them(predictor: Predictor):
    _, target, class_id = pair()
    others = [scene for scene in scenes() if scene.mask(class_id).sum() > 100 and scene is not target][:3]
    pairs = [(scene.image, scene.mask(class_id)) for scene in others]
    assert len(pairs) == 3
    together = predictor.learn(pairs)
    assert len(together) == 3
    method = prompts_of(predictor).method
    targets = prompts_of(predictor).encoder.targets([target.image])
    with torch.no_grad():
        alone = [method.prompts(predictor.learn([each]).state, targets).mean for each in pairs]
        concatenated = method.decode(targets, torch.cat(alone, 1)[:, None])[0, 0]
        averaged = method.decode(targets, torch.stack(alone).mean(0)[:, None])[0, 0]
    concatenating = Predictor(PromptFinder(method, fusion="concatenate"), predictor.model)
    assert np.array_equal(concatenating.segment(target.image, together, threshold=0).mask, upsampled(concatenated))
    assert np.array_equal(predictor.segment(target.image, together, threshold=0).mask, upsampled(averaged))


def upsampled(logits: torch.Tensor) -> np.ndarray:
    full = torch.nn.functional.interpolate(logits[None, None], (128, 128), mode="bilinear", align_corners=False)
    return (full[0, 0] > 0).numpy()


def test_concepts_do_not_change_one_another_and_the_higher_logit_labels_an_overlap(predictor: Predictor):
    one, two = learned(predictor, 0, "one"), learned(predictor, 5, "two")
    image = pair(0)[1].image
    both = predictor.segment(image, [one, two], threshold=0)
    assert [found.concept for found in both] == ["one", "two"]
    for concept in (one, two):
        alone = predictor.segment(image, concept, threshold=0)
        assert np.array_equal(alone.mask, both[concept.name].mask)
    assert np.array_equal(both.labels > 0, both.masks.any(0))
    only_one = both["one"].mask & ~both["two"].mask
    assert (both.labels[only_one] == 1).all()
    assert (both.labels[both["two"].mask & ~both["one"].mask] == 2).all()


def test_sam_and_backbone_look_once_at_an_image_and_kept_embeddings_are_not_computed_again(predictor: Predictor):
    fresh = Predictor(PromptFinder(prompts_of(predictor).method, keep=2), predictor.model)
    concepts = [learned(predictor, 0, "one"), learned(predictor, 5, "two")]
    looks: list[int] = []
    hook = prompts_of(predictor).method.models.sam.image_encoder.register_forward_hook(lambda *_: looks.append(1))
    try:
        images = [scene.image for scene in scenes()[:3]]
        first = fresh.segment(images[0], concepts)
        assert len(looks) == 1
        assert same(fresh.segment(images[0].copy(), concepts), first)
        assert len(looks) == 1
        fresh.segment(images[1], concepts)
        fresh.segment(images[2], concepts)  # the first is the one that was not used for longest
        assert len(looks) == 3
        fresh.segment(images[1], concepts)
        assert len(looks) == 3
        fresh.segment(images[0], concepts)
        assert len(looks) == 4
    finally:
        hook.remove()


def test_batches_give_what_single_images_give(predictor: Predictor, tmp_path: Path):
    concept = learned(predictor)
    paths = []
    for number, scene in enumerate(scenes()[:5]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(scene.image).resize((128, 96 + 8 * number)).save(paths[-1])
    batched = list(predictor.segment_files(paths, concept, batch=3, samples=3))
    assert [result.image for result in batched] == paths
    for path, result in zip(paths, batched, strict=True):
        alone = predictor.segment(path, concept, samples=3)
        assert (alone.mask != result.mask).mean() < 0.001  # sums of floating-point numbers differ by their order
        assert alone.uncertainty is not None
        assert result.uncertainty is not None
        assert np.allclose(alone.uncertainty.spread, result.uncertainty.spread, atol=1e-3)


def test_threads_give_what_one_gives(predictor: Predictor):
    shared = Predictor(PromptFinder(prompts_of(predictor).method, keep=2), predictor.model)
    concept = learned(predictor)
    images = [scene.image for scene in scenes()[:4]] * 3
    expected = [predictor.segment(image, concept) for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: shared.segment(image, concept), images))
    assert all(same(*results) for results in zip(found, expected, strict=True))


def test_what_is_below_the_threshold_is_not_there(predictor: Predictor):
    concept, image = learned(predictor), pair()[1].image
    sure = predictor.segment(image, concept, threshold=0)
    assert sure.present
    assert 0 < sure.presence < 1
    absent = predictor.segment(image, concept, threshold=sure.presence + 1e-6)
    assert not absent.present
    assert not absent.mask.any()
    assert not absent.labels.any()
    assert absent.presence == sure.presence
    assert absent.score == 0
    assert predictor.segment(image, concept, threshold=sure.presence).present


def test_uncertainty_is_the_spread_of_the_masks_of_sampled_prompts(predictor: Predictor):
    concept, image = learned(predictor), pair()[1].image
    result = predictor.segment(image, concept, samples=5, seed=3)
    method = prompts_of(predictor).method
    with torch.no_grad():
        targets = prompts_of(predictor).encoder.targets([image])
        prompts = method.prompts(concept.state, targets)
        sampled = method.decode(targets, prompts.sample(5, torch.Generator().manual_seed(3)))[0].numpy()
        mean = method.decode(targets, prompts.mean[:, None])[0, 0].numpy() > 0
    probability = 1 / (1 + np.exp(-sampled))
    expected = np.sqrt(((probability - probability.mean(0)) ** 2).mean(0))
    assert result.uncertainty is not None
    full = torch.nn.functional.interpolate(torch.from_numpy(expected)[None, None], (128, 128), mode="bilinear")
    assert np.allclose(result.uncertainty.spread, full[0, 0].numpy(), atol=1e-5)
    ious = [iou(mask, mean) for mask in sampled > 0]
    assert result.uncertainty.disagreement == pytest.approx(1 - np.mean(ious), abs=1e-6)
    assert 0 < result.uncertainty.disagreement < 1
    assert same(result, predictor.segment(image, concept))
    again = predictor.segment(image, concept, samples=5, seed=3).uncertainty
    assert again is not None
    assert np.array_equal(again.spread, result.uncertainty.spread)


def test_a_folder_streams_past_what_cannot_be_read(predictor: Predictor, tmp_path: Path):
    concept = learned(predictor)
    (tmp_path / "deep").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("b.png", "deep/a.JPG", ".hidden/c.png"):
        Image.fromarray(scenes()[0].image).save(tmp_path / name, "PNG")
    (tmp_path / "a.jpg").write_text("no image")
    (tmp_path / "notes.txt").write_text("no image either")
    told: list[Path] = []
    results = list(predictor.segment_folder(tmp_path, concept, on_unreadable=lambda path, _: told.append(path)))
    assert [result.image for result in results] == [tmp_path / "b.png", tmp_path / "deep/a.JPG"]
    assert told == [tmp_path / "a.jpg"]
    streamed = predictor.segment_folder(tmp_path, concept)
    assert next(streamed).image == tmp_path / "b.png"
    assert next(streamed).image == tmp_path / "deep/a.JPG"
    with pytest.raises(InputError, match=r"1 of 3 images could not be read; the first is .*a\.jpg"):
        next(streamed)


def test_workers_change_neither_results_nor_their_order(predictor: Predictor, tmp_path: Path):
    concept = learned(predictor)
    paths = [tmp_path / f"{number}.png" for number in range(9)]
    for path, scene in zip(paths, scenes(), strict=False):
        if path.name != "4.png":
            Image.fromarray(scene.image).save(path)
    told: list[Path] = []
    alone, together = (
        list(predictor.segment_files(paths, concept, workers=n, on_unreadable=lambda path, _: told.append(path)))
        for n in (1, 3)
    )
    assert [result.image for result in together] == [path for path in paths if path.exists()]
    assert all(same(one, other) for one, other in zip(together, alone, strict=True))
    assert told == [tmp_path / "4.png"] * 2


def test_a_concept_is_the_same_after_it_was_saved(predictor: Predictor, tmp_path: Path):
    reference, target, class_id = pair()
    other = scenes()[0]
    pairs = [(reference.image, reference.mask(class_id)), (other.image, Points([(5, 6)]))]
    concept = predictor.learn(pairs, "größe")
    concept.save(tmp_path / "one.safetensors")
    predictor.learn(pairs, "größe").save(tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    loaded = Concept.load(tmp_path / "one.safetensors")
    assert (loaded.name, loaded.model, loaded.kinds) == (concept.name, concept.model, ("mask", "point"))
    assert loaded.digest == concept.digest
    assert same(predictor.segment(target.image, loaded), predictor.segment(target.image, concept))


def test_digests_tell_concepts_apart(predictor: Predictor):
    reference, _, class_id = pair()
    thinner = Scribble(pixels=reference.mask(class_id))
    concepts = [learned(predictor, 0), learned(predictor, 0, "else"), learned(predictor, 1)]
    concepts += [predictor.learn([(reference.image, drawn)], "it") for drawn in (thinner, Box(0, 0, 9, 9))]
    assert len({concept.digest for concept in concepts}) == len(concepts)


def test_a_digest_does_not_depend_on_the_number_of_threads(predictor: Predictor):
    threads = torch.get_num_threads()
    digests: set[str] = set()
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            digests.add(learned(predictor).digest)
    finally:
        torch.set_num_threads(threads)
    assert len(digests) == 1


def test_concepts_of_older_versions_are_told_apart_by_what_they_hold(predictor: Predictor):
    concepts = [learned(predictor, 0), learned(predictor, 1)]
    older = [Concept(c.name, c.model, c.made_by, c.kinds, c.state) for c in concepts]
    assert len({concept.digest for concept in older}) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"", "not a concept: it is empty"), (b"garbage", "not a concept")],
)
def test_a_damaged_concept_is_one_line(tmp_path: Path, content: bytes | None, message: str):
    path = tmp_path / "cat.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        Concept.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_other_safetensors_are_no_concept():
    from prosam.checkpoints.bundled import PROMPT_ENCODER

    with pytest.raises(InputError, match="is not a concept"):
        Concept.load(PROMPT_ENCODER)


def test_another_models_concept_is_refused(predictor: Predictor):
    concept = learned(predictor)
    others = Concept(concept.name, "0" * 64, "vrp-sam trained on coco-20i", concept.kinds, concept.state)
    with pytest.raises(InputError, match="'it' was learned by another model, vrp-sam trained on coco-20i, and this is"):
        predictor.segment(pair()[1].image, others)


def test_bad_input_is_one_line(predictor: Predictor, tmp_path: Path):
    image, mask = pair()[0].image, pair()[0].mask(pair()[2])
    (tmp_path / "cat.jpg").write_text("no image")
    Image.fromarray(image).save(tmp_path / "dog.png")
    floats: Any = image.astype(np.float32)
    flat: Any = ("cat.jpg", "cat.png")
    path: Any = "cat.safetensors"
    concept = learned(predictor)
    wrong = [
        (lambda: predictor.learn([]), "has no references"),
        (lambda: predictor.learn(flat), "references are pairs of an image and its annotation"),
        (lambda: predictor.segment(image, path), "'cat.safetensors' is not a concept; make one with Predictor.learn"),
        (lambda: predictor.segment(image, [path]), "'cat.safetensors' is not a concept"),
        (lambda: predictor.learn([(tmp_path / "cat.jpg", mask)]), "cat.jpg: cannot be read as an image"),
        (
            lambda: predictor.learn([(tmp_path / "dog.png", Box(0, 0, 200, 9))]),
            "dog.png: box 0,0,200,9 reaches outside",
        ),
        (lambda: predictor.learn([(image, np.zeros_like(mask))]), "the image: the mask is empty"),
        (lambda: predictor.segment(image[..., 0], concept), "uint8 of shape"),
        (lambda: predictor.segment(floats, concept), "float32 of shape"),
        (lambda: predictor.segment(image, []), "0 concepts are given"),
        (lambda: predictor.segment(image, [concept, concept]), "two concepts are called 'it'"),
        (lambda: predictor.segment_folder(tmp_path / "none", concept), "no such folder"),
        (lambda: Predictor.load(device="cuda:99"), "there is no device 'cuda:99'"),
    ]
    (tmp_path / "empty").mkdir()
    wrong.append((lambda: predictor.segment_folder(tmp_path / "empty", concept), "has no images"))
    for call, message in wrong:
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_importing_the_package_does_not_import_torch():
    code = "import prosam, sys; from prosam import Box, InputError; print('torch' in sys.modules, prosam.__version__)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split()[0] == "False"


def test_a_state_of_another_number_of_references_does_not_load(predictor: Predictor, tmp_path: Path):
    concept = learned(predictor)
    code = concept.state.code
    doubled = PromptConcept(ReferenceCode(code.prototype.repeat(2, 1, 1, 1), code.queries), concept.state.foreground)
    Concept(concept.name, concept.model, "", concept.kinds, doubled).save(tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="its references do not match"):
        Concept.load(tmp_path / "bad.safetensors")
