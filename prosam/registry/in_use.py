"""The model in use: a numbered copy of each model that came into use, a link to the present one, and the reasons.

    in_use/<data set>/<kind>/<run>/<fold>/
        1/ 2/ ...       prompt_encoder.safetensors and model.json, and decision.json, the model's line of the history
        current -> 2    the path for `Predictor.load` and `prosam info`
        history.jsonl   one line per decision

A model comes into use in three atomic steps: its folder appears, `current` is switched to it, and the history gets its
line. If a process is killed between them, the next one completes the steps. No model is ever moved, so `current` always
leads to a complete one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prosam.checkpoints.trained import DESCRIPTION, WEIGHTS, read_description
from prosam.errors import InputError
from prosam.files import (
    atomic_path,
    one_at_a_time,
    remove_folder,
    remove_leftovers,
    sha256_of,
    write_text,
)
from prosam.seals import check_seal, checked_line, line_content, sealed_folder

DECISION, HISTORY = "decision.json", "history.jsonl"

_AGAIN = "run this again"

Record = dict[str, Any]


class ModelsInUse:
    """The folder of one data set, kind, run and fold. Change it only under `alone`."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.current = folder / "current"

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Keep other processes out, and first complete the steps of a killed one; `what` is shown to a waiting user."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(self._folder / ".lock", what):
            self._finish()
            yield

    def number(self) -> int | None:
        """The number of the model in use; None if there is none.

        Raises:
            InputError: `current` is not a link to a model.
        """
        if not self.current.is_symlink() and not self.current.exists():
            return None
        number = self.current.readlink().name if self.current.is_symlink() else ""
        if not number.isdecimal() or not (self._folder / number / DESCRIPTION).is_file():
            numbers = ", ".join(map(str, self._numbers()))
            raise InputError(
                f"{self.current}: is not a link to a model; remove it and `ln -s NUMBER {self.current}`, with one of "
                f"{numbers or 'the numbered folders beside it, but none is left'}"
            )
        return int(number)

    def history(self) -> list[Record]:
        """The decisions, oldest first.

        Raises:
            InputError: a line is damaged.
        """
        path = self._folder / HISTORY
        if not path.exists():
            return []
        records = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                records.append(line_content(line))
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"{path}, line {number}: is damaged; delete the line, or correct it and delete its crc32"
                ) from error
        return records

    def tell(self, record: Record) -> None:
        """Append a decision that does not change the model in use."""
        self._append({**record, "in_use": self.number()})

    def replace(self, model: Path, record: Record, *, keep: int | None = None) -> int:
        """Bring a model into use.

        Args:
            model: folder of a trained run, copied.
            record: the decision; its `new` is the `identity` of the model that was evaluated.
            keep: number of older models to keep, beginning with the one just replaced; None keeps all.

        Returns:
            The model's number.

        Raises:
            InputError: the model is not, or no longer, the one that was evaluated.
        """
        replaced = self.number()
        number = max(self._numbers(), default=0) + 1
        with sealed_folder(self._folder / str(number)) as new:
            for name in (WEIGHTS, DESCRIPTION):
                with atomic_path(new / name) as temporary:
                    shutil.copyfile(model / name, temporary)
            if identity(new, _AGAIN)["sha256"] != record["new"]["sha256"]:
                raise InputError(f"{model}: changed while it was being evaluated; {_AGAIN}")
            write_text(new / DECISION, json.dumps({**record, "in_use": number}, indent=2) + "\n")
        self._bring_into_use(number)
        older = [n for n in self._numbers() if n not in (number, replaced)] + ([replaced] if replaced else [])
        for n in older[: max(0, len(older) - keep)] if keep is not None else []:
            remove_folder(self._folder / str(n))
        return number

    def _finish(self) -> None:
        """Complete the steps that were interrupted by a kill, or lost by a tool that does not copy links."""
        remove_leftovers(self._folder)
        history, numbers = self.history(), self._numbers()
        if numbers and numbers[-1] not in {record.get("in_use") for record in history}:
            self._bring_into_use(numbers[-1])
        elif numbers and not self.current.is_symlink() and not self.current.exists():
            last = history[-1].get("in_use")
            self._link(last if last in numbers else numbers[-1])

    def _bring_into_use(self, number: int) -> None:
        path = self._folder / str(number) / DECISION
        check_seal(path, _AGAIN)
        self._link(number)
        self._append(json.loads(path.read_text(encoding="utf-8")))

    def _link(self, number: int) -> None:
        temporary = self._folder / ".current.partial"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(str(number))
        temporary.replace(self.current)

    def _append(self, record: Record) -> None:
        lines = [checked_line(each) for each in (*self.history(), record)]
        write_text(self._folder / HISTORY, "".join(lines))

    def _numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdecimal())


def identity(model: Path, remedy: str) -> Record:
    """What identifies a trained run: the SHA-256 of its prompt encoder, and the commit that made it.

    Args:
        model: folder of the run.
        remedy: what to do, for errors.

    Raises:
        InputError: a file is missing, or the description is damaged.
    """
    for name in (WEIGHTS, DESCRIPTION):
        if not (model / name).is_file():
            raise InputError(f"{model / name}: not found; {remedy}")
    return {"sha256": sha256_of(model / WEIGHTS), "commit": read_description(model).get("commit", "")}
