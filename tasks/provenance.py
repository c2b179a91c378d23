"""What a training is: written beside its model, and the key of its unfinished work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prosam import layout
from prosam.files import digest_of_files
from prosam.params import Params
from tasks.determinants import machine

if TYPE_CHECKING:
    from prosam.data.folds import Fold
    from tasks.inputs import RunInputs


def describe_run(params: Params, run: str, inputs: RunInputs) -> dict[str, Any]:
    """A run with everything that params.yaml says of it, and the digests of the frozen models."""
    resolved = params.runs[run]
    return {
        "name": run,
        "method": resolved.method,
        "distribution": resolved.prompt_distribution,
        "backbone": resolved.backbone,
        "init": resolved.init,
        "run": resolved.model_dump(mode="json"),
        "train": params.training(run).model_dump(mode="json"),
        "models": params.models.model_dump(mode="json"),
        "sha256": inputs.fingerprints,
    }


def class_names(fold: Fold) -> dict[str, list[str]]:
    """The names of a fold's classes."""
    return {
        "base_classes": [fold.classes[i - 1] for i in fold.base],
        "novel_classes": [fold.classes[i - 1] for i in fold.novel],
    }


def unfinished_work(
    stage: str, description: dict[str, Any], files: Sequence[Path], params: Params, inputs: RunInputs
) -> Path:
    """The scratch folder of a stage's unfinished work.

    It bears the digest of all that determines the result to the last bit: what the work is, the content of its files,
    device and threads, and prosam's code. Change any, and the work starts anew.
    """
    identity = {**description, **machine(params, inputs.models.device)}
    package = Path(layout.__file__).parent
    code = sorted(path for path in package.rglob("*.py") if path.relative_to(package).parts[0] != "report")
    identity["content"] = digest_of_files([*files, *inputs.files(), *code])
    return layout.scratch() / stage / hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
