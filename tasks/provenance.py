"""The identity of a training: the description beside its model, and the key of its unfinished work."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prosam import layout
from prosam.closure import digest_of_code
from prosam.data.folds import Fold
from prosam.distributed.device import machine
from prosam.files import digest_of_files, digest_of_json
from prosam.params import Params, TrainParams
from prosam.remarks import remark
from prosam.training.settings import Execution
from tasks.inputs import RunInputs

CODE = ("prosam", "tasks")  # folders that determine the results


def describe_run(params: Params, run: str, settings: TrainParams, inputs: RunInputs) -> dict[str, Any]:
    """A description of a run: its settings in params.yaml, and its frozen models.

    It has everything that another machine needs to build the same models, and the origin of their weights.
    """
    resolved, models = params.runs[run], params.models
    return {
        "name": run,
        "method": resolved.method,
        "kind": resolved.kind,
        "distribution": resolved.prompt_distribution,
        "backbone": params.backbone(run),
        "init": resolved.init,
        "run": resolved.model_dump(mode="json"),
        "train": settings.model_dump(mode="json"),
        "image_size": models.size,
        "upsampling": models.upsampling,
        "sam": asdict(inputs.sam),
        "backbone_weights": asdict(inputs.backbone),
    }


def commit() -> str:
    """The commit of the running code, with `+changes` if the code differs from it, or `unknown` with the reason.

    That it is unknown is remarked.
    """
    folder = Path(layout.__file__).parents[1]

    def git(*words: str) -> str:
        # Several stages may ask at once. In a container, the folder often belongs to another user, whose repository git
        # refuses; its code runs already.
        command = ["git", "--no-optional-locks", "-c", "safe.directory=*", *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", *CODE)
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except FileNotFoundError:
        reason = "git is not installed"
    except OSError as error:
        reason = f"git does not run: {error.strerror}"
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip() or "git failed").splitlines()[0]
    remark(f"the commit of the code is recorded as unknown ({reason})", str(folder))
    return f"unknown ({reason})"


def circumstances(device: torch.device, execution: Execution) -> dict[str, Any]:
    """The device, precision and versions of a training. A change re-runs nothing, but the numbers differ slightly."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": "bfloat16" if execution.bf16 else "float32",
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
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

    Its name is the digest of everything that determines the result to the last bit: the description of the work, the
    content of its files, device, threads, execution, and the code behind the stage. If any of these changes, the work
    starts anew.
    """
    identity = {**description, **machine(params, inputs.models.device)}
    identity["execution"] = [params.samples_at_once, params.precision, params.compile]
    identity["code"] = digest_of_code(f"tasks.{stage}")
    identity["content"] = digest_of_files([*files, *inputs.files()])
    return layout.scratch() / stage / digest_of_json(identity)
