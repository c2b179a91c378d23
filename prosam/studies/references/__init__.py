"""Several references for one target, and how much the choice of one matters.

| column   | meaning                                                                                       |
|----------|-----------------------------------------------------------------------------------------------|
| `merge`  | how the references are used: `single`, `concatenated` or `averaged`                           |
| `k`      | how many of them                                                                              |
| `choice` | place of a single reference in the episode's list of references, otherwise 0                  |
"""

from __future__ import annotations

from prosam.studies.declaration import PIXELS, Study

SINGLE, CONCATENATED, AVERAGED = "single", "concatenated", "averaged"

STUDY = Study(("merge", "k", "choice", *PIXELS))
