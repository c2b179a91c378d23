"""A campaign: numbered rounds, each drawn from the seed and its number, recorded so that a killed campaign goes on."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.chaos.rounds import Outcome, Round, Site


@dataclass(frozen=True)
class Kind:
    """A kind of rounds.

    Attributes:
        run: does one.
        share: how often it is drawn, relative to the others.
    """

    run: Round
    share: float


@dataclass(frozen=True)
class Record:
    """A round that has ended."""

    number: int
    kind: str
    did: str
    fault: str | None
    noticed: bool
    seconds: float


def drawn(kinds: Mapping[str, Kind], seed: int, number: int) -> tuple[str, np.random.Generator]:
    """The kind of a round, and the generator for all else that it draws."""
    rng = np.random.default_rng([seed, number])
    shares = np.array([kind.share for kind in kinds.values()])
    return str(rng.choice(list(kinds), p=shares / shares.sum())), rng


def run_round(kinds: Mapping[str, Kind], site: Site, seed: int, number: int) -> Record:
    """Run one round. An exception of the round itself is a fault too."""
    started = time.monotonic()
    name, rng = drawn(kinds, seed, number)
    try:
        outcome = kinds[name].run(site, rng)
    except Exception as error:
        outcome = Outcome("the round itself", f"{type(error).__name__}: {error}")
    return Record(number, name, **asdict(outcome), seconds=round(time.monotonic() - started, 2))


def run_campaign(kinds: Mapping[str, Kind], site: Site, seed: int, rounds: int, state: Path) -> list[Record]:
    """Run the rounds that are not recorded yet, and print each fault with what makes it again.

    Args:
        kinds: to draw from.
        site: where rounds take place.
        seed: of the campaign.
        rounds: their number.
        state: file with a line for each round that has ended.
    """
    records = {record.number: record for record in _recorded(state)}
    there = sum(number < rounds for number in records)
    if there:
        print(f"chaos: {there} of {rounds} rounds are done from an earlier start")
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.open("a", encoding="utf-8") as file:
        for number in range(rounds):
            if number not in records:
                records[number] = run_round(kinds, site, seed, number)
                file.write(json.dumps(asdict(records[number])) + "\n")
                file.flush()
                _say(records[number])
    return [records[number] for number in range(rounds)]


def _say(record: Record) -> None:
    mark = "FAULT" if record.fault else "noticed" if record.noticed else "same"
    print(f"{record.number:5} {record.kind:10} {record.seconds:6.1f} s  {mark:7}  {record.did}", flush=True)
    if record.fault:
        print("\n".join(f"      {line}" for line in record.fault.splitlines()), flush=True)


def _recorded(state: Path) -> list[Record]:
    records = []
    lines = state.read_text(encoding="utf-8").split("\n")[:-1] if state.exists() else []
    for line in lines:
        records.append(Record(**json.loads(line)))
    if state.exists() and lines is not None:  # a kill may have cut the last line
        state.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return records


def table(records: list[Record]) -> str:
    """Rounds, what was noticed, faults and seconds by kind."""
    rounds, faults, noticed, seconds = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for record in records:
        rounds[record.kind] += 1
        faults[record.kind] += record.fault is not None
        noticed[record.kind] += record.noticed and record.fault is None
        seconds[record.kind] += round(record.seconds)
    lines = [f"{'kind':12} {'rounds':>7} {'noticed':>8} {'same':>6} {'faults':>7} {'seconds':>8}"]
    for kind, count in rounds.most_common():
        same = count - noticed[kind] - faults[kind]
        lines.append(f"{kind:12} {count:7} {noticed[kind]:8} {same:6} {faults[kind]:7} {seconds[kind]:8}")
    return "\n".join(lines)
