"""How much noise on the mean prompt a run endures (paper: sections 4.1 and 7).

| column       | meaning                                                                                   |
|--------------|-------------------------------------------------------------------------------------------|
| `scale`      | `relative`: sizes are in units of the prompt's root mean square; `absolute`: in its own   |
| `size`       | of the noise; 0 is none                                                                   |
| `draw`       | number of the draw                                                                        |
| `prompt_rms` | root mean square of the mean prompt                                                       |
"""

from __future__ import annotations

from prosam.studies.declaration import PIXELS, Study

STUDY = Study(("scale", "size", "draw", "prompt_rms", *PIXELS))
