"""Section 7 in numbers: what noise in a run's mean prompts adds to the loss, against what their curvature predicts.

| column | meaning |
|---|---|
| `noise`, `size` | `absolute` or `relative` Gaussian noise and its setting; `own`, 1: the run's learnt noise |
| `loss` | BCE + Dice of the mean prompts; void pixels do not count |
| `rms` | root mean square of the mean prompts |
| `laplacian`, `laplacian_se` | Hutchinson's estimate, and its standard error |
| `eta` | standard deviation of the noise's entries, in the prompts' unit; of `own` their root mean square |
| `gap`, `gap_se` | E[L(p + noise)] - L(p) by Monte Carlo, and its standard error |
| `predicted`, `predicted_se` | (1/2) sum_i var_i H_ii, and its standard error; without `own`, eta^2 / 2 laplacian |
| `excess`, `excess_se` | mean of gap less (1/2) delta' H delta over the same draws delta, and its standard error |

`excess` estimates the same as `gap` less `predicted`. Gap and prediction have different draws, whereas the two terms of
`excess` share theirs: only `excess` distinguishes higher orders and kinks from chance.
"""

from __future__ import annotations

from prosam.studies.declaration import Study

ESTIMATES = ("gap", "predicted", "excess")

STUDY = Study(
    (
        *("noise", "size", "loss", "rms", "laplacian", "laplacian_se", "eta"),
        *ESTIMATES,
        *(f"{name}_se" for name in ESTIMATES),
    )
)
