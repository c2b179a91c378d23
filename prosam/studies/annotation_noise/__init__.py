"""How carefully the reference must be annotated.

| column   | meaning                                                                                       |
|----------|-----------------------------------------------------------------------------------------------|
| `change` | `none`, `shift`, `erode`, `dilate`, or `wrong`: an object of another class is annotated       |
| `size`   | of the change, 0 for `none` and `wrong`                                                       |
"""

from __future__ import annotations

from prosam.studies.declaration import PIXELS, Study

NONE, WRONG = "none", "wrong"

STUDY = Study(("change", "size", *PIXELS))
