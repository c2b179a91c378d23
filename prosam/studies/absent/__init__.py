"""Targets that do not show the class: what a run claims to see there, and whether it could know better.

For each episode, a row for its target and one for each image without the class.

| column       | meaning                                                                                     |
|--------------|---------------------------------------------------------------------------------------------|
| `image`      | which of them                                                                               |
| `present`    | whether it shows the class                                                                  |
| `presence`   | score of prosam/evaluation/presence.py                                                      |
| `area`       | share of the pixels that is predicted; void pixels do not count                             |
| `false_area` | share of the pixels that is predicted without showing the class; void pixels do not count   |
"""

from __future__ import annotations

from prosam.studies.declaration import Study

STUDY = Study(("image", "present", "presence", "area", "false_area"))
