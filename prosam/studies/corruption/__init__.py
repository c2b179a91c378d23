"""Bad images: what blur, noise, compression and over-exposure cost.

| column       | meaning                                                                                   |
|--------------|-------------------------------------------------------------------------------------------|
| `corruption` | `none`, or a name of prosam/data/corruptions.py                                           |
| `severity`   | 1 to 5, 0 for `none`                                                                      |
| `side`       | which image is corrupted: `target`, `reference` or `both`                                 |
"""

from __future__ import annotations

from prosam.studies.declaration import PIXELS, Study

STUDY = Study(("corruption", "severity", "side", *PIXELS), image_encoder=True)
