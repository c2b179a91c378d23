"""One folder with a file of each kind that ProSAM writes and reads: outputs of stages, models, concepts, results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from PIL import Image

from prosam import layout
from prosam.seals import seal, sealed_folder
from tests.chaos.forked import Ended, command, forked, stage
from tests.scenes import pair, scenes
from tests.workspace import DATASET, prepare_workspace

RUN, FOLD = "prosam", 0
PHOTOS = 12
SEGMENT = ("segment", "photos", "--concept", "cat.safetensors", "--model", "bundled:shapes")
LEARN = ("learn", "learned.safetensors", "--model", "bundled:shapes", "--reference", "cat.jpg", "--mask", "cat.png")
TRAIN = ("train", DATASET, RUN, str(FOLD))
EVALUATE = ("evaluate", DATASET, RUN, str(FOLD))
PROMOTE = ("promote", DATASET, RUN, str(FOLD))
EXPORT = ("export", str(layout.model(DATASET, RUN, FOLD)), "exported.safetensors")
RESULTS = "found"
CHECKPOINT = "checkpoint.pt"


def build_workshop(root: Path, prepared: Path | None = None, *, whole: bool = True) -> None:
    """Fill an empty folder.

    Args:
        root: the folder.
        prepared: a folder that `prepare_workspace` filled, if there is one already.
        whole: whether to train, evaluate, promote and segment, too; otherwise the model is the bundled one.
    """
    if prepared is None:
        _require(forked(root, lambda: prepare_workspace(root)))
    else:
        shutil.copytree(prepared, root, dirs_exist_ok=True)
    seal(root / layout.raw(DATASET))  # as the download stage does
    draw_photos(root)
    trained = (stage(*TRAIN), _write_checkpoint, stage(*EVALUATE), stage(*PROMOTE))
    for work in trained if whole else (_write_bundled_model,):
        _require(forked(root, work))
    for words in (LEARN, EXPORT):
        _require(forked(root, command(*words)))
    shutil.copyfile(root / "learned.safetensors", root / "cat.safetensors")
    if whole:
        _require(forked(root, command(*SEGMENT, "--out", RESULTS)))


def draw_photos(root: Path) -> None:
    """Photos, and a reference with its mask."""
    (root / "photos").mkdir()
    reference, target, shown = pair()
    for number, scene in enumerate([target, *scenes()[: PHOTOS - 1]]):
        Image.fromarray(scene.image).save(root / "photos" / f"{number:02d}.png")
    Image.fromarray(reference.image).save(root / "cat.jpg", quality=95)
    Image.fromarray(reference.mask(shown)).save(root / "cat.png")


def _write_bundled_model() -> None:
    """As a training writes it."""
    from prosam.checkpoints.bundled import PROMPT_ENCODER
    from prosam.checkpoints.exported import read_exported_description
    from prosam.checkpoints.trained import DESCRIPTION, WEIGHTS
    from prosam.checkpoints.weights import load_state, write_state

    with sealed_folder(layout.model(DATASET, RUN, FOLD)) as folder:
        write_state(load_state(PROMPT_ENCODER), folder / WEIGHTS)
        (folder / DESCRIPTION).write_text(json.dumps(read_exported_description(PROMPT_ENCODER)))


def _write_checkpoint() -> None:
    """As an interrupted training leaves it."""
    import torch

    from prosam.checkpoints.trained import load_model
    from prosam.params import load_params
    from prosam.training.checkpoint import TrainState, save_checkpoint
    from tasks.inputs import RunInputs

    method = load_model(layout.model(DATASET, RUN, FOLD), RunInputs(load_params(), DATASET, RUN).models)
    optimizer = torch.optim.AdamW(method.encoder.parameters())
    progressed = TrainState(2, [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}], [{"step": 2, "base_miou": 12.5}])
    save_checkpoint(Path(CHECKPOINT), progressed, method.encoder, optimizer)


def _require(ended: Ended) -> None:
    if ended.status != 0:
        raise RuntimeError(f"the workshop cannot be built: exit {ended.status}\n{ended.printed}")


def described() -> str:
    """What a workshop follows from, so that one of older code is not used."""
    from prosam.closure import digest_of_code

    return json.dumps(
        [digest_of_code(f"tasks.{name}") for name in ("embeddings", "folds", "train", "evaluate", "promote")]
    )
