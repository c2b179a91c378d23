"""`make fuzz FUZZ=10000 SEED=0`: that many inputs for each reader of strangers' files, see docs/reliability.md.

A find is written to .scratch/fuzz, as it was and minimised; one of each kind is shown. `--input FILE` reads one file.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

from prosam.remarks import collecting
from tests.fuzz.mutations import minimised
from tests.fuzz.running import Find, find_in, input_of
from tests.fuzz.targets import TARGETS, Target

_FINDS = Path(".scratch/fuzz")


def main() -> None:
    """Fuzz, and exit with status 1 if there are finds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--input", type=Path, help="read this file only, with the reader of --only")
    asked = parser.parse_args()
    os.environ["PROSAM_CACHE"] = str(_FINDS.absolute() / "cache")
    found = 0
    for name in asked.only:
        target = TARGETS[name]
        if asked.input is not None:
            find = find_in(target, asked.input.read_bytes())
            print(find.detail if find else f"{name}: read or refused as it should be")
            found += find is not None
            continue
        started = time.monotonic()
        finds = fuzz(target, asked.seed, asked.inputs)
        print(
            f"{name:24} {asked.inputs:7} inputs {time.monotonic() - started:7.1f} s  {len(finds)} kinds of finds",
            flush=True,
        )
        for find in finds.values():
            print(f"  {find.what}: {_kept(name, target, find)}\n{_indented(find.detail)}", flush=True)
        found += len(finds)
    sys.exit(found > 0)


def fuzz(target: Target, seed: int, inputs: int) -> dict[str, Find]:
    """The first find of each kind."""
    finds: dict[str, Find] = {}
    with collecting():
        for number in range(inputs):
            find = find_in(target, input_of(target, seed, number))
            if find is not None:
                finds.setdefault(find.what, find)
    return finds


def _kept(name: str, target: Target, find: Find) -> Path:
    def fails(content: bytes) -> bool:
        again = find_in(target, content)
        return again is not None and again.what == find.what

    small = find.content if find.what == "hang" or len(find.content) > 1 << 16 else minimised(find.content, fails)
    path = _FINDS / name.replace(" ", "-").replace(":", "") / hashlib.sha256(small).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(small)
    return path


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-12:])


if __name__ == "__main__":
    main()
