"""What is read of each kind of file, as one digest: a damaged file must be refused by name, or give the same digest."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from prosam import layout
from prosam.errors import InputError
from tests.chaos.forked import command, stage
from tests.chaos.workshop import CHECKPOINT, FOLD, RESULTS, RUN, SEGMENT
from tests.workspace import DATASET


@dataclass(frozen=True)
class Family:
    """Files that are read together.

    Attributes:
        files: patterns below the workshop.
        read: reads them in the current folder, all that a stage or command takes from them.
        remakes: whether reading writes files, so that it needs a copy of the workshop.
    """

    files: tuple[str, ...]
    read: Callable[[], Any]
    remakes: bool = False


def digest_of(value: Any) -> str:
    """A digest of nested values, arrays and tensors."""
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous().numpy()
    if isinstance(value, pd.DataFrame):
        value = value.to_dict("list")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            digest.update(repr(key).encode())
            _feed(digest, inner)
    elif isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes):
        digest.update(f"{len(value)} of".encode())
        for inner in value:
            _feed(digest, inner)
    else:
        digest.update(repr(value).encode())


def _embeddings() -> Any:
    from prosam.features.embedding_store import EmbeddingStore

    store = EmbeddingStore(layout.embeddings(DATASET))
    return store.made_by, store.content, store.shape, {image: store.read_stored([image]) for image in store}


def _annotations() -> Any:
    from prosam.data.annotations import Annotations

    tables = [Annotations(layout.annotations(DATASET, RUN) / name) for name in ("train.parquet", "test.parquet")]
    return [
        [t.variants, [(i, c, [t.get(i, c, v) for v in range(t.variants)]) for c in range(1, 5) for i in t.images(c)]]
        for t in tables
    ]


def _folds() -> Any:
    from prosam.data.episodes import read_episodes
    from prosam.data.fold_files import read_fold, read_index

    folder = layout.folds(DATASET)
    episodes = [read_episodes(folder / f"{name}-{fold}.csv") for name in ("episodes", "monitor") for fold in (0, 1)]
    return [read_index(folder / "index.csv"), [read_fold(folder / f"fold-{fold}.json") for fold in (0, 1)], episodes]


def _raw() -> Any:
    from prosam.data.open import open_dataset

    dataset = open_dataset(layout.raw(DATASET))
    images = [image for split in ("train", "val") for image in dataset.image_ids(split)]
    seen = [(i, dataset.image(i), dataset.class_areas(i), [dataset.mask(i, c) for c in range(1, 5)]) for i in images]
    return dataset.classes, seen


def _frozen() -> Any:
    from prosam.params import load_params
    from tasks.inputs import RunInputs

    inputs = RunInputs(load_params(), DATASET, RUN, image_encoder=True)
    return inputs.sam, inputs.backbone, inputs.models.sam.state_dict(), inputs.models.backbone.state_dict()


def _features() -> Any:
    from prosam.features.feature_table import FeatureTable
    from prosam.params import load_params
    from tasks.inputs import RunInputs

    inputs = RunInputs(load_params(), DATASET, RUN)
    table = inputs._features
    assert isinstance(table, FeatureTable)
    images = [image for split in ("train", "val") for image in inputs.dataset.image_ids(split)]
    return [[table.level(level, image) for level in (2, 3, 4)] for image in images]


def _model() -> Any:
    from prosam.checkpoints.trained import WEIGHTS, read_description
    from prosam.checkpoints.weights import load_state

    folder = layout.model(DATASET, RUN, FOLD)
    return read_description(folder), dict(sorted(load_state(folder / WEIGHTS).items()))


def _results() -> Any:
    from prosam.params import load_params
    from prosam.report.inputs import read_predictions, read_settings

    params = load_params()
    params = params.model_copy(update={"pipeline": params.pipeline.model_copy(update={"runs": [RUN]})})
    (setting, *_) = read_settings(params)
    result = setting.results[RUN, FOLD]
    return result, read_predictions(setting, RUN, FOLD, range(len(result.episodes)))


def _in_use() -> Any:
    from prosam.checkpoints.trained import WEIGHTS, read_description
    from prosam.checkpoints.weights import load_state
    from prosam.registry.in_use import ModelsInUse

    models = ModelsInUse(layout.in_use(DATASET, RUN, FOLD))
    with models.alone("reading"):
        state = load_state(models.current / WEIGHTS)
        return models.number(), models.history(), read_description(models.current), dict(sorted(state.items()))


def _checkpoint() -> Any:
    from prosam.checkpoints.trained import load_model
    from prosam.params import load_params
    from prosam.training.checkpoint import load_checkpoint
    from tasks.inputs import RunInputs

    method = load_model(layout.model(DATASET, RUN, FOLD), RunInputs(load_params(), DATASET, RUN).models)
    optimizer = torch.optim.AdamW(method.encoder.parameters())
    if not Path(CHECKPOINT).exists():  # then the training begins anew, with the same result
        raise InputError(f"{CHECKPOINT}: not found")
    progressed = load_checkpoint(Path(CHECKPOINT), method.encoder, optimizer)
    return progressed, method.encoder.state_dict(), optimizer.state_dict()


def _concept() -> Any:
    from prosam.predictor.concept import Concept
    from prosam.predictor.concept_state import parts_of

    concept = Concept.load("cat.safetensors")
    facts = (concept.name, concept.model, concept.made_by, concept.kinds, concept.learned_from, concept.digest)
    return facts, dict(sorted(parts_of(concept.state).items()))


def _exported() -> Any:
    from prosam.checkpoints.exported import read_exported_description
    from prosam.checkpoints.weights import load_state

    path = Path("exported.safetensors")
    return read_exported_description(path), dict(sorted(load_state(path).items()))


def _journal() -> Any:
    """The results after the command has gone on: what is missing is computed again."""
    command(*SEGMENT, "--out", RESULTS, "--write", "masks", "--write", "coco")()


def _segmented() -> Any:
    _ended_well(_journal)
    found = sorted(path for path in Path(RESULTS).rglob("*") if path.is_file() and path.name != ".lock")
    return [(str(path), path.read_bytes()) for path in found]


def _remade(out: Path, *names: str) -> Callable[[], Any]:
    """The output of a stage that is made again from what it had kept."""

    def read() -> Any:
        shutil.rmtree(out)
        _ended_well(stage(*names))
        return [(path.name, path.read_bytes()) for path in sorted(out.iterdir())]

    return read


def _ended_well(work: Callable[[], Any]) -> None:
    try:
        work()
    except SystemExit as ended:
        if ended.code not in (0, None):
            raise


def _own(folder: Path) -> str:
    return f"{folder.as_posix()}/*"


FAMILIES: dict[str, Family] = {
    "embeddings": Family((_own(layout.embeddings(DATASET)),), _embeddings),
    "annotations": Family((_own(layout.annotations(DATASET, RUN)),), _annotations),
    "folds": Family((_own(layout.folds(DATASET)),), _folds),
    "data set": Family((f"{layout.raw(DATASET)}/**/*",), _raw),
    "frozen weights": Family((_own(layout.sam_weights()), _own(layout.backbone_weights(RUN))), _frozen),
    "feature table": Family((".scratch/features/*/*",), _features),
    "model": Family((_own(layout.model(DATASET, RUN, FOLD)),), _model),
    "results": Family((_own(layout.results(DATASET, RUN, FOLD)), _own(layout.model(DATASET, RUN, FOLD))), _results),
    "model in use": Family(
        (f"{layout.in_use(DATASET, RUN, FOLD)}/1/*", f"{layout.in_use(DATASET, RUN, FOLD)}/history.jsonl"), _in_use
    ),
    "checkpoint": Family((CHECKPOINT,), _checkpoint),
    "concept": Family(("cat.safetensors",), _concept),
    "exported model": Family(("exported.safetensors",), _exported),
    "journal": Family((f"{RESULTS}/results.jsonl",), _segmented, remakes=True),
    "kept embeddings": Family(
        (".scratch/embeddings/*/*/*.safetensors",),
        _remade(layout.embeddings(DATASET), "embeddings", DATASET),
        remakes=True,
    ),
}


def files_of(root: Path, family: Family) -> list[Path]:
    """The files of a family, in order."""
    found = {path for pattern in family.files for path in root.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not path.name.startswith(".") and path.suffix != ".lock")
