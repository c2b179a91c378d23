"""The loss of a run's mean prompts with noise and without, and its curvature there.

Shape letters as in `prosam.studies.curvature.laplacian`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from prosam.data.episodes import Episode
from prosam.features.pairs import AnnotatedReference
from prosam.params.curvature import CurvatureParams
from prosam.studies.curvature import ESTIMATES
from prosam.studies.curvature.laplacian import estimate, noise_gaps, quadratic_forms, rademacher
from prosam.studies.objective import Objective, objective_of
from prosam.studies.study import StudyRow, Subject
from prosam.training.seeds import step_generator


def rows(subject: Subject, settings: CurvatureParams) -> Iterator[StudyRow]:
    """For each episode, a row for each noise, with the columns of `STUDY`.

    A run without noise (`dirac`), or with one of infinite variance (`student_t`, nu at most 2), has no rows `own`. What
    is drawn for an episode depends on the seed and its number alone; all sizes share their draws.

    Args:
        subject: a trained run on its episodes.
        settings: section `curvature` of params.yaml.
    """
    episodes = list(enumerate(subject.episodes))[: settings.episodes]
    starts = range(0, len(episodes), settings.batch_size)
    for start in starts:
        yield from _batch(subject, settings, episodes[start : start + settings.batch_size])


def _batch(subject: Subject, settings: CurvatureParams, part: list[tuple[int, Episode]]) -> Iterator[StudyRow]:
    method, tensors = subject.method, subject.tensors
    episodes = [episode for _, episode in part]
    targets = tensors.targets([e.target for e in episodes])
    with torch.no_grad():
        concept = method.learn(tensors.references([AnnotatedReference(e.reference, e.class_id) for e in episodes]))
        prompts = method.prompts(concept, targets)
        truth, valid = tensors.truth([e.target for e in episodes], [e.class_id for e in episodes])
        objective = objective_of(method.models, targets.embedding, truth, valid)
        loss = objective.losses(prompts.mean[:, None])[:, 0]
    generators = [step_generator(subject.seed, number, prompts.mean.device) for number, _ in part]
    shape = prompts.mean.shape[1:]
    probes = torch.stack([rademacher((settings.probes, *shape), g) for g in generators])
    unit_noise = torch.stack([torch.randn((settings.draws, *shape), generator=g, device=g.device) for g in generators])
    rms = prompts.mean.square().mean((1, 2)).sqrt()
    forms = quadratic_forms(objective.losses, prompts.mean, probes)
    noise_forms = quadratic_forms(objective.losses, prompts.mean, unit_noise)
    laplacian = estimate(forms)
    common = {"loss": loss, "rms": rms, "laplacian": laplacian.mean, "laplacian_se": laplacian.error}
    sizes = [("absolute", size, torch.full_like(rms, size)) for size in settings.absolute_noise]
    sizes += [("relative", size, size * rms) for size in settings.relative_noise]
    for kind, size, eta in sizes:
        noise = unit_noise * eta[:, None, None, None]
        squared = eta[:, None] ** 2
        found = _compared(objective, prompts.mean, noise, forms * squared, noise_forms * squared)
        yield from _rows(part, {"noise": kind, "size": size}, {**common, "eta": eta, **found})
    if (own := prompts.variance) is not None:
        alone = [prompts.of_image(row).sample(settings.draws, g) for row, g in enumerate(generators)]
        samples = torch.cat(alone)
        noise = samples - prompts.mean[:, None]
        weighted = quadratic_forms(objective.losses, prompts.mean, probes * own.sqrt()[:, None])
        noise_forms = quadratic_forms(objective.losses, prompts.mean, noise)
        found = _compared(objective, prompts.mean, noise, weighted, noise_forms)
        eta = own.mean((1, 2)).sqrt()
        yield from _rows(part, {"noise": "own", "size": 1.0}, {**common, "eta": eta, **found})


def _compared(
    objective: Objective, prompts: Tensor, noise: Tensor, forms: Tensor, noise_forms: Tensor
) -> dict[str, Tensor]:
    """Gap, prediction and excess, (B,) each, with their standard errors.

    Args:
        objective: of B targets.
        prompts: (B, N, d).
        noise: (B, K, N, d).
        forms: (B, R) with mean sum_i var_i H_ii.
        noise_forms: (B, K), delta' H delta of the noise.
    """
    gaps = noise_gaps(objective.losses, prompts, noise)
    named = {"gap": gaps, "predicted": forms / 2, "excess": gaps - noise_forms / 2}
    estimates = {name: estimate(named[name]) for name in ESTIMATES}
    columns = {name: found.mean for name, found in estimates.items()}
    return columns | {f"{name}_se": found.error for name, found in estimates.items()}


def _rows(part: list[tuple[int, Episode]], noise: StudyRow, columns: dict[str, Tensor]) -> Iterator[StudyRow]:
    values = {name: column.tolist() for name, column in columns.items()}
    for row, (number, episode) in enumerate(part):
        figures = {name: column[row] for name, column in values.items()}
        yield {"episode": number, "class_id": episode.class_id, **noise, **figures}
