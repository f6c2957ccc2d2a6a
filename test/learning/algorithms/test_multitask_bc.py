"""One actor fitted to demonstrations of several skills: it tells them apart by the task's one-hot code alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from specs import LAYOUT, ROMAN, SKILLS

from roman_moe.core.errors import ConfigError
from roman_moe.learning.algorithms.multitask_bc import clone_actor, loss_of
from roman_moe.learning.algorithms.multitask_sac import MultitaskSAC
from roman_moe.learning.policies.multitask import Sizes
from roman_moe.learning.recipes.cloning import FitRecipe
from roman_moe.learning.runs.multitask import new_learner
from roman_moe.learning.runs.multitask_clone import cloning_run
from roman_moe.learning.samples import Samples
from roman_moe.suites.catalogue import find_suite

QUICK = FitRecipe(steps=400, batch_size=16, learning_rate=5e-3, ema_decay=0.98, noise_bound=0.0)
SMALL = Sizes(hidden=(32, 32), width=16)


def learner_of() -> MultitaskSAC:
    learner = new_learner(cloning_run("roman", "soft_modular", 0, SMALL), find_suite("roman"))
    assert isinstance(learner, MultitaskSAC)
    return learner


def samples(count: int = 40) -> list[Samples]:
    """The same observations of every skill; each answers with a velocity and a gripper of its own."""
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(count, len(LAYOUT))).astype(np.float32)
    episodes = np.zeros(count, np.intp)
    answers = rng.uniform(-0.9, 0.9, (len(SKILLS), 1, ROMAN.action.size)).astype(np.float32)
    answers[..., -1] = np.where(np.arange(len(SKILLS)) % 2, 1.0, -1.0)[:, None]
    return [
        Samples(ROMAN, skill, observations, np.repeat(each, count, axis=0), episodes, 0.0)
        for skill, each in zip(SKILLS, answers, strict=True)
    ]


def test_one_actor_answers_each_skill_as_it_was_demonstrated():
    given, learner = samples(), learner_of()
    errors = clone_actor(learner, given, QUICK, 0)
    assert max(row["velocity_rms"] for row in errors) < 0.2  # 0.5 for one that does not tell them apart
    assert max(row["gripper_wrong"] for row in errors) == 0.0
    seen = torch.from_numpy(np.stack([each.observations for each in given]))
    answered = learner.act(seen, greedy=True)
    for number, (each, row) in enumerate(zip(given, errors, strict=True)):
        rms = np.sqrt(((answered[number] - each.answers)[:, :-1] ** 2).mean())
        assert row["velocity_rms"] == pytest.approx(float(rms), abs=1e-6)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_callers_random_state_alone():
    found = []
    for seed in (0, 0, 1):
        learner = learner_of()
        before = torch.get_rng_state()
        clone_actor(learner, samples(), replace(QUICK, steps=5), seed)
        assert torch.equal(torch.get_rng_state(), before)
        found.append(learner.actor.body.head.weight.detach().clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_three_demonstrated_openings_to_one_closing_reach_the_grippers_threshold():
    """There the action, tanh(z), is 0.5; and the velocity's loss is that of the action, not of z."""
    mean = torch.zeros(1, 4, 4)
    mean[..., :-1], mean[..., -1] = float(np.arctanh(0.3)), float(np.arctanh(0.5))
    mean.requires_grad_()
    answers = torch.tensor([[0.3, 0.3, 0.3, side] for side in (1.0, 1.0, 1.0, -1.0)])[None]
    loss_of(mean, answers, 1.0).backward()
    assert float(mean.grad[..., -1].sum()) == pytest.approx(0.0, abs=1e-6)
    assert float(mean.grad[..., :-1].abs().max()) < 1e-6


def test_a_training_that_diverges_is_refused():
    given = samples()
    given[3].answers[0, 0] = np.nan
    with pytest.raises(ConfigError, match="soft_modular: loss is nan at step 1: lower the recipe's learning_rate"):
        clone_actor(learner_of(), given, replace(QUICK, batch_size=400), 0)
