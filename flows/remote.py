"""DVC's default remote: checks that it is reliable, and transfers to and from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.stage_processes import TIMED_OUT, StageProcesses
from prosam.errors import InputError

LIMIT_S = 6 * 3600.0  # of one transfer, since a dead connection would otherwise be waited for forever


class MachineError(Exception):
    """A stage cannot be handed over to another machine, or its result cannot be restored; the message is one line."""


def remote_of(root: Path) -> str | None:
    """The name of DVC's default remote; None if there is none."""
    return _config(root)["core"].get("remote")


def require_remote(root: Path) -> None:
    """Require a default remote that cannot deliver damaged files.

    An upload over SSH writes directly to the final file. An interrupted upload leaves half a file, which DVC takes for
    the whole one from then on, unless the remote is verified.

    Raises:
        InputError: there is no default remote, or it is an SSH remote without `verify`.
    """
    name = remote_of(root)
    if name is None:
        raise InputError(f"{root}: DVC has no default remote; run `dvc remote add -d NAME URL`, and commit it")
    settings = _config(root)["remote"].get(name, {})
    if str(settings.get("url", "")).startswith("ssh:") and not settings.get("verify"):
        raise InputError(
            f"{root}: DVC takes an interrupted upload over SSH for a whole file; run "
            f"`dvc remote modify {name} verify true`, and commit it"
        )


def transfer(words: Sequence[str], failure: str, processes: StageProcesses, tell: Callable[[str], None]) -> None:
    """Run `dvc push` or `dvc pull`.

    Args:
        words: words of the command, without `dvc`.
        failure: beginning of the error message.
        processes: runs DVC.
        tell: called with each line that DVC prints.

    Raises:
        MachineError: the transfer failed; the message has DVC's last error.
    """
    lines = list[str]()

    def read(line: str) -> None:
        if line.strip():
            lines.append(line)
            tell(line)

    code = processes.run(["--wait-for-lock", *words], read, limit_s=LIMIT_S)
    if code == TIMED_OUT:
        raise MachineError(f"{failure}: the transfer did not finish within {LIMIT_S / 3600:g} hours")
    if code:
        raise MachineError(f"{failure}: {_reason(lines) or f'dvc {words[0]} ended with status {code}'}")


def _reason(lines: Sequence[str]) -> str:
    """DVC's last error without its prefix, with the next line if it ends with a colon; empty if there is none."""
    errors = [i for i, line in enumerate(lines) if line.startswith("ERROR:")]
    if not errors:
        return ""
    last = errors[-1]
    reason = lines[last].removeprefix("ERROR:").strip(" :")
    return f"{reason}: {lines[last + 1]}" if lines[last].endswith(":") and len(lines) > last + 1 else reason


def _config(root: Path) -> Mapping[str, Any]:
    from dvc.config import Config

    return Config(dvc_dir=str(root / ".dvc"))
