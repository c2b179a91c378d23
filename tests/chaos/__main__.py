"""`make chaos CHAOS=100 SEED=0`: a campaign of disturbances, see docs/reliability.md.

A campaign that is killed goes on where it was. `--round 17` runs one round again, if seed and kinds are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from tests.chaos.campaign import Record, run_campaign, run_round, table
from tests.chaos.kinds import KINDS
from tests.chaos.rounds import Site
from tests.chaos.workshop import described


def main() -> None:
    """Run a campaign, and exit with status 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round", type=int, help="run only this one")
    parser.add_argument("--only", nargs="*", default=list(KINDS), choices=list(KINDS), help="kinds to draw from")
    asked = parser.parse_args()
    os.environ.pop("PROSAM_SCRATCH", None)
    root = Path(".scratch/chaos").absolute()
    os.environ["PROSAM_CACHE"] = str(root / "cache")
    kinds = {name: kind for name, kind in KINDS.items() if name in asked.only}
    again = f"--seed {asked.seed}" + (f" --only {' '.join(kinds)}" if len(kinds) < len(KINDS) else "")
    site = Site(root)
    _renew(root)
    if asked.round is not None:
        _end([run_round(kinds, site, asked.seed, asked.round)], again)
    name = "-".join([f"seed-{asked.seed}", *(kinds if len(kinds) < len(KINDS) else [])])
    state = root / f"{name}.jsonl"
    records = run_campaign(kinds, site, asked.seed, asked.rounds, state)
    state.rename(state.with_suffix(".done"))
    _end(records, again)


def _renew(root: Path) -> None:
    """Remove what older code made."""
    mark, now = root / "code", described()
    if mark.exists() and mark.read_text() != now:
        for folder in ("workshop", "clone"):
            shutil.rmtree(root / folder, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    mark.write_text(now)


def _end(records: list[Record], again: str) -> None:
    print(table(records))
    for record in records:
        if record.fault:
            print(f"FAULT in round {record.number}: {record.kind}, {record.did}\n{record.fault}")
            print(f"  again: python -m tests.chaos {again} --round {record.number}")
    print(json.dumps({"rounds": len(records), "faults": sum(record.fault is not None for record in records)}))
    sys.exit(any(record.fault for record in records))


if __name__ == "__main__":
    main()
