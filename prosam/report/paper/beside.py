"""What is compared with a setting's own tables: the paper's tables, and repeats with other seeds or initialisations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prosam.params import Params
from prosam.report.inputs import Setting
from prosam.report.paper.claims import claims_table
from prosam.report.paper.runs import departed_note
from prosam.report.paper.setup import setup
from prosam.report.paper.tables import NO_TABLE_3, PaperTable, paper_tables
from prosam.report.runs.seeds import repeats_table
from prosam.report.runs.trainings import initialisation_table
from prosam.report.scores.scores import Scores
from prosam.report.scores.table import Table


@dataclass(frozen=True)
class Beside:
    """Sections of one setting.

    Attributes:
        claims: the paper's differences with ours; None without two runs that it compares.
        paper: its tables, as far as our runs repeat them.
        setup: what differs from the paper's set-up in all of its tables; empty without any.
        luck: repeats over seeds, and initialisation; those that there are.
        note: on what is not here; empty when nothing is missing.
    """

    claims: Table | None
    paper: tuple[PaperTable, ...]
    setup: str
    luck: tuple[Table, ...]
    note: str

    @property
    def compared(self) -> bool:
        """Whether there is anything to say about the paper."""
        return bool(self.claims or self.paper or self.note)

    def alone(self, table: PaperTable) -> str:
        """What differs in one table but not in all of them; empty if nothing does."""
        others = [set(other.differences) for other in self.paper if other is not table]
        own = [part for part in table.differences if not all(part in parts for parts in others)] if others else []
        return f"What also differs: {'; '.join(own)}." if own else ""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "claims": self.claims.record() if self.claims else None,
            "setup": self.setup,
            "paper": {str(paper.number): paper.record() for paper in self.paper},
            "luck": {table.key: table.record() for table in self.luck},
        }


def beside(params: Params, setting: Setting, scores: Scores) -> Beside:
    """Compare one setting with the paper, and its runs with their repeats.

    Raises:
        InputError: a study's rows are missing or damaged.
    """
    if not setting.trained:
        return Beside(None, (), "", (), "")
    luck = repeats_table(params, setting, scores), initialisation_table(params, setting, scores)
    paper = paper_tables(params, setting, scores)
    return Beside(
        claims_table(params, setting, scores),
        paper,
        setup(params, setting, [table.differences for table in paper]) if paper else "",
        tuple(table for table in luck if table),
        NO_TABLE_3 if setting.shifted else departed_note(params, setting),
    )
