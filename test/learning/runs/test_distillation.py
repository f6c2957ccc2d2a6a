"""An expert that begins from a Distral prior does at first what the prior does, and a run says where it began."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from small_recipe import small_recipe
from specs import ROMAN
from worlds import TASK

from roman_moe.core.errors import ConfigError
from roman_moe.core.features import feature_layout
from roman_moe.evaluation.collect import Collection, collect
from roman_moe.learning.algorithms.bc import GRIPPER_GAIN
from roman_moe.learning.algorithms.multitask_a2c import A2CRecipe
from roman_moe.learning.algorithms.multitask_sac import seen_through
from roman_moe.learning.policies.multitask import Sizes
from roman_moe.learning.recipes.cloning import NetworkRecipe
from roman_moe.learning.runs import distillation
from roman_moe.learning.runs.distillation import distilled, identity_of, load_prior, prior_samples
from roman_moe.learning.runs.multitask import MultitaskRun
from roman_moe.learning.runs.run import Run, train_run
from roman_moe.learning.runs.trainer import load_checkpoint
from roman_moe.sim.pose_source import TruthPoses

TINY = MultitaskRun(
    "roman", "distral_kl_2col", 0, steps=8, evaluate_every=8, episodes=1, a2c=A2CRecipe(sizes=Sizes((16, 16)))
)
SKILL = "button"


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(distillation, "STEPS", 60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distral")
    TINY.train(folder)
    return folder


def test_an_experts_first_answers_are_the_priors(folder):
    policy = load_prior(folder, ROMAN)
    torch.manual_seed(0)
    for values in policy.learner.columns["prior"].parameters():
        if values.dim() == 2:
            values.data = torch.randn_like(values) * values.shape[1] ** -0.5  # normal size: it has learned nothing
    expert = distilled(policy, SKILL, NetworkRecipe(hidden=(64, 64), steps=2000, noise_bound=0.0), seed=0)
    others = prior_samples(policy, SKILL, seed=1)
    first = slice(distillation.EPISODES)  # where episodes begin that the expert has not seen
    with torch.no_grad():
        answers = expert(torch.from_numpy(others.observations)).numpy()
    assert np.abs(answers - others.answers)[first, :3].max() < 0.1
    opens = np.log((1.0 + others.answers[first, 3]) / (1.0 - others.answers[first, 3])) / GRIPPER_GAIN
    assert np.abs(answers[first, 3] - opens.clip(-1.0, 1.0)).max() < 0.1  # what its cross-entropy asks for


def test_samples_are_the_priors_means_in_states_of_the_skill(folder):
    policy = load_prior(folder, ROMAN)
    samples, again = (prior_samples(policy, SKILL, seed=0) for _ in range(2))
    np.testing.assert_array_equal(samples.answers, again.answers)
    suite, layout = policy.suite, feature_layout(ROMAN)
    begun = suite.episodes(np.full(distillation.EPISODES, suite.tasks.index(SKILL))).reset(np.random.default_rng(0))
    rows = torch.as_tensor(begun, dtype=torch.float32).expand(len(suite.tasks), -1, -1)
    seen = seen_through(policy.learner.layer, rows)[[suite.tasks.index(SKILL)]]
    with torch.no_grad():
        mean = policy.learner.prior(seen).mean[0].clamp(-1.0, 1.0)
    np.testing.assert_array_equal(samples.answers[: len(begun)], mean.numpy())
    expected = begun[:, layout.indices(layout.observations[SKILL])]
    np.testing.assert_allclose(samples.observations[: len(begun)], expected, rtol=1e-6)


def test_a_policy_without_a_prior_and_one_of_another_suite_are_refused(folder, tmp_path):
    small = dataclasses.replace(TINY, suite="conflict", steps=40, evaluate_every=40)
    for method in ("ac_separate", "distral_kl_2col"):
        dataclasses.replace(small, method=method).train(tmp_path / method)
    with pytest.raises(ConfigError, match="method ac_separate: expected one with a prior"):
        load_prior(tmp_path / "ac_separate", ROMAN)
    with pytest.raises(ConfigError, match="is for suite conflict: expected the skills of task roman"):
        load_prior(tmp_path / "distral_kl_2col", ROMAN)


@pytest.mark.parametrize("warm_start", (True, False))
def test_a_run_begins_from_the_prior_and_says_so(folder, tmp_path, warm_start):
    collect(Collection(TASK, tmp_path / "demos", 1, 0, TruthPoses(0.005), 0.0, 0.0, 0.0, seed=0, skills=(SKILL,)))
    recipe = small_recipe(
        demonstrations=1, warm_start=warm_start, clone={"steps": 5}, ppo={"steps": 0}, validation={"episodes": 1}
    )
    begun = {}
    for name, prior in (("with", folder), ("without", None)):
        run = Run(TASK, tmp_path / name, recipe, tmp_path / "demos", 3, prior=prior)
        train_run(run, (SKILL,))
        begun[name] = load_checkpoint(tmp_path / name / SKILL)["best"]
    job = Run(TASK, tmp_path / "with", recipe, tmp_path / "demos", 3).job(SKILL)
    expected = distilled(load_prior(folder, ROMAN), SKILL, recipe.networks[SKILL].clone, job.stream(3)).state_dict()
    alike = [torch.equal(begun["with"][name], value) for name, value in expected.items()]
    assert all(alike) is not warm_start  # cloning goes on from there
    assert torch.equal(begun["with"]["observation.mean"], expected["observation.mean"])
    assert not torch.equal(begun["without"]["observation.mean"], expected["observation.mean"])
    assert json.loads((tmp_path / "with" / "run.json").read_text())["prior"] == identity_of(folder)
    with pytest.raises(ConfigError, match="begun from another prior's weights"):
        train_run(dataclasses.replace(run, folder=tmp_path / "with"), (SKILL,), resume=True)
