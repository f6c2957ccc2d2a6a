"""From demonstrations of all skills of a task to one multi-task policy: cloning in place of reinforcement learning.

What it leaves is what a training on a suite leaves (`multitask`), so that `judge` and export take either.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from roman_moe.control.rates import Rates
from roman_moe.core.errors import ConfigError, DemonstrationError
from roman_moe.core.features import feature_layout
from roman_moe.core.files import write_json
from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import TaskSpec
from roman_moe.demos.reader import read_episodes
from roman_moe.learning.algorithms.multitask_bc import clone_actor
from roman_moe.learning.algorithms.multitask_sac import MultitaskSAC, SACRecipe
from roman_moe.learning.demonstration_sets import DemonstrationSet, mixed_samples, sets_provenance, sets_spec
from roman_moe.learning.policies.multitask import Sizes
from roman_moe.learning.recipes.cloning import FitRecipe
from roman_moe.learning.runs.multitask import (
    RESULT,
    MultitaskRun,
    about_task,
    all_beside,
    evaluation_row,
    kept_result,
    new_learner,
    save_policy,
)
from roman_moe.learning.samples import Samples, samples_of
from roman_moe.suites.catalogue import find_suite
from roman_moe.suites.suite import Suite

SIZES = Sizes(hidden=(256, 256, 256), width=128)
"""As wide as a single expert, in place of the sizes of the study, which has several updates for each step."""

RECIPE = FitRecipe(steps=6000, batch_size=32, learning_rate=2e-3, validation_share=0.0)
"""Its batch is of each skill."""

CLONED = ("sac", "mt_sac", "mt_mh_sac", "mix_expert", "soft_modular")
"""Methods whose network can be cloned: no gradient reaches the routes of `hard_routing`, Distral has another actor, and
`soft_modular_unbalanced` differs by the losses of SAC alone."""


def clone_multitask(
    run: MultitaskRun, sets: tuple[DemonstrationSet, ...], recipe: FitRecipe = RECIPE, folder: Path | None = None
) -> dict[str, Any]:
    """Clone the run's policy from demonstrations of all its tasks, and evaluate it; what was done already is kept.

    Args:
        run: without environment steps (`cloning_run`).
        sets: of demonstrations, each with its weight.

    Returns:
        As `MultitaskRun.train`: one row, a hash of the demonstrations, and how far from them the actions are. The
        folder keeps this as RESULT, and the policy as POLICY.

    Raises:
        ConfigError: if suite or method cannot be cloned, or the folder holds another run.
        DemonstrationError: if a skill's demonstrations are missing, damaged or of another task.
    """
    torch.set_num_threads(1)  # these networks are too small to share
    suite = find_suite(run.suite)
    spec = _spec(suite, run.method, sets)
    said = {
        "run": dataclasses.asdict(run),
        "clone": {
            "recipe": dataclasses.asdict(recipe),
            "demonstrations": {skill: sets_provenance(sets, spec, skill) for skill in suite.tasks},
        },
    }
    kept = kept_result(folder, said) if folder is not None else None
    if kept is not None:
        return kept
    samples = [_samples(spec, skill, sets) for skill in suite.tasks]
    learner = new_learner(run, suite)
    assert isinstance(learner, MultitaskSAC)
    errors = clone_actor(learner, samples, recipe, run.seed)
    result = {
        "suite": suite.name,
        "method": run.method,
        "seed": run.seed,
        "parameters": sum(values.numel() for values in learner.actor.parameters()),
        "rows": [evaluation_row(run, suite, learner, all_beside(suite), 0, 0)],
        "errors": dict(zip(suite.tasks, errors, strict=True)),
        **said,
        **about_task(suite),
        "git_commit": git_commit(),
    }
    if folder is not None:
        save_policy(folder, learner)
        write_json(folder / RESULT, result)
    return result


def cloning_run(suite: str, method: str, seed: int, sizes: Sizes = SIZES) -> MultitaskRun:
    """A run of no environment steps: what its network is, and what it is for."""
    return MultitaskRun(suite, method, seed, steps=0, warm_up=0, sac=SACRecipe(sizes=sizes))


def _spec(suite: Suite, method: str, sets: tuple[DemonstrationSet, ...]) -> TaskSpec:
    """Task of suite and demonstrations. Raises as `clone_multitask`."""
    if method not in CLONED:
        raise ConfigError(f"method {method}: cannot clone: with demonstrations expected {', '.join(CLONED)}")
    if suite.spec is None:
        raise ConfigError(f"suite {suite.name}: has no demonstrations: expected a task whose skills it is")
    spec = sets_spec(sets)
    if spec != suite.spec:
        raise DemonstrationError(
            f"{sets[0].dataset}: shows task {spec.name!r}, or another version of it, as its task.yaml says: expected "
            f"task {suite.spec.name!r} as it is now: collect with `roman-moe collect --task {suite.spec.name}`"
        )
    return suite.spec


def _samples(spec: TaskSpec, skill: str, sets: tuple[DemonstrationSet, ...]) -> Samples:
    rates, names = Rates(spec.control_rate, spec.gate_rate), feature_layout(spec).names
    samples = [samples_of(spec, skill, read_episodes(each.dataset, spec, skill), rates, names) for each in sets]
    return mixed_samples(samples, [each.weight for each in sets])
