"""Inference by sampled prompts (paper: section 9.3, table 8): five ways to merge K masks, beside the mean prompt's.

The paper names the strategies and no more. We read it so:

| strategy      | mask                                                                          |
|---------------|-------------------------------------------------------------------------------|
| mean-prompt   | of the mean prompt, as in evaluation                                          |
| max-logits    | the largest of K logits is positive                                           |
| mean-logits   | the mean of K logits is positive                                              |
| max-binary    | any of K masks has the pixel                                                  |
| mean-binary   | the mean of K masks, each 0 or 1, is at least 0.5: of an even K, half is enough |
| majority-vote | more than half of the K masks have the pixel                                  |

The rows have the columns `strategy` and `disagreement`, of the episode's K masks (prosam/evaluation/uncertainty.py).
"""

from __future__ import annotations

from prosam.studies.declaration import PIXELS, Study

MEAN_PROMPT = "mean-prompt"
STRATEGIES = (MEAN_PROMPT, "max-logits", "mean-logits", "max-binary", "mean-binary", "majority-vote")

STUDY = Study(("strategy", "disagreement", *PIXELS), once=("strategy", STRATEGIES))
