"""The prior of a Distral policy becomes the beginning of an expert: it is cloned where it leads by itself.

Its weights cannot be copied, although the prior sees the same features as the expert: their layers differ.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from roman_moe.core.errors import ConfigError
from roman_moe.core.features import feature_layout
from roman_moe.core.spec import TaskSpec
from roman_moe.learning.algorithms import bc
from roman_moe.learning.algorithms.multitask_a2c import MultitaskA2C
from roman_moe.learning.algorithms.multitask_sac import seen_through
from roman_moe.learning.policies.mlp import MLPPolicy
from roman_moe.learning.recipes.cloning import NetworkRecipe
from roman_moe.learning.runs.multitask import POLICY, TrainedPolicy, clipped, load_policy
from roman_moe.learning.samples import Samples

EPISODES, STEPS = 16, 500
"""Side by side, and steps of each: 8000 samples, more than an expert's demonstrations have."""


def load_prior(folder: Path, spec: TaskSpec) -> TrainedPolicy:
    """A policy that has a prior, for this task's skills.

    Raises:
        ConfigError: if the folder has none, or one for another task.
    """
    policy = load_policy(folder)
    if not isinstance(policy.learner, MultitaskA2C) or "prior" not in policy.learner.columns:
        raise ConfigError(f"{folder}: method {policy.run.method}: expected one with a prior, such as distral_kl_2col")
    if policy.suite.spec != spec:
        raise ConfigError(
            f"{folder}: is for suite {policy.suite.name}: expected the skills of task {spec.name}, that of the "
            f"demonstrations: train it with --suite {spec.name}"
        )
    return policy


def identity_of(folder: Path) -> dict[str, Any]:
    """What a run notes of the prior that it began from."""
    return {"policy": str(folder), "policy_sha256": hashlib.sha256((folder / POLICY).read_bytes()).hexdigest()}


def prior_samples(policy: TrainedPolicy, skill: str, seed: int) -> Samples:
    """What the prior's mean answers in states to which its own draws lead, from the skill's starts."""
    learner, suite = policy.learner, policy.suite
    assert isinstance(learner, MultitaskA2C)
    assert suite.spec is not None
    rng = np.random.default_rng(seed)
    number = suite.tasks.index(skill)
    episodes = suite.episodes(np.full(EPISODES, number))
    seen, observations, answers = episodes.reset(rng), [], []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**62)))
        for _ in range(STEPS):
            rows = torch.as_tensor(seen, dtype=torch.float32).expand(len(suite.tasks), -1, -1)
            prior = learner.prior(seen_through(learner.layer, rows)[[number]])
            observations.append(seen)
            answers.append(clipped(prior.mean.numpy()))
            seen = episodes.step(clipped(prior.sample().numpy())).observations
    layout = feature_layout(suite.spec)
    seen_by_expert = np.concatenate(observations)[:, layout.indices(layout.observations[skill])]
    numbers = np.tile(np.arange(EPISODES), STEPS)
    return Samples(
        suite.spec, skill, seen_by_expert.astype(np.float32), np.concatenate(answers).astype(np.float32), numbers, 0.0
    )


def distilled(policy: TrainedPolicy, skill: str, recipe: NetworkRecipe, seed: int) -> MLPPolicy:
    """An expert that does what the prior does from the skill's starts.

    The prior's gripper is as smooth as its velocities, unlike a demonstrator's, and is fitted at the same weight.
    """
    exact = dataclasses.replace(recipe, gripper_weight=1.0)
    return bc.train(prior_samples(policy, skill, seed), exact, seed).policy
