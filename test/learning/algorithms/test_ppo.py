"""What is learned for: the reward is the weighted sum of its parts, and GAIL and cloning count when they should."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from small_recipe import small_recipe
from specs import OBSERVATIONS, ROMAN
from stable_baselines3.common.vec_env import VecEnv
from worlds import TASK

from roman_moe.learning.algorithms.gail import Discriminator
from roman_moe.learning.algorithms.ppo import HybridPPO, MixedReward
from roman_moe.learning.algorithms.training_envs import ExpertEnvs, TrainingEnvs
from roman_moe.learning.policies.mlp import MLPPolicy, ObservationLayer
from roman_moe.learning.recipes.hybrid import HybridNetworkRecipe
from roman_moe.learning.samples import Samples
from roman_moe.sim.env import TaskEnv

COUNT = len(OBSERVATIONS["button"])
NO_UNITS = ("",) * COUNT  # which only turns need


class Scripted(TrainingEnvs):
    """Two environments that answer what they are told to: `script` has a tuple of scenes, rewards and ends a step."""

    def __init__(self, script: Sequence[tuple[Sequence[float], Sequence[float], Sequence[str]]]) -> None:
        seen, done = (gymnasium.spaces.Box(-limit, limit, (size,)) for limit, size in ((np.inf, COUNT), (1.0, 4)))
        VecEnv.__init__(self, 2, seen, done)  # without a lab
        self._script = iter(script)

    def begin(self, seed: int) -> Any:
        return _scenes([0.0, 0.0])

    def step_wait(self) -> Any:
        scenes, rewards, outcomes = next(self._script)
        infos: list[dict[str, Any]] = [{}, {}]
        for i, outcome in enumerate(outcomes):
            if outcome:  # what is seen next is of another episode
                infos[i] = {"terminal_observation": _scenes([scenes[i], 0.0])[0], "outcome": outcome}
        seen = [0.0 if outcome else scene for scene, outcome in zip(scenes, outcomes, strict=True)]
        return _scenes(seen), np.array(rewards), np.array([bool(o) for o in outcomes]), infos


def _scenes(values: Sequence[float]) -> Any:
    """Observations whose first number is given."""
    scenes = np.zeros((2, COUNT), np.float32)
    scenes[:, 0] = values
    return scenes


class Logits(Discriminator):
    """A D whose logit is the first number of the scene, plus ten times the first of the action if it sees that."""

    def __init__(self, action_size: int = 0) -> None:
        super().__init__(ObservationLayer(OBSERVATIONS["button"], NO_UNITS, (0.05,)), (2,), action_size)

    def inputs(self, observations: Any, actions: Any = None) -> Any:
        return observations[:, 0] + (10.0 * actions[:, 0] if self.action_size else 0.0)

    def forward(self, inputs: Any) -> Any:
        return inputs


def r_i(logit: float) -> float:
    return -math.log(1.0 - 1.0 / (1.0 + math.exp(-logit)) + 1e-7)


def recipe_of(**gail: object) -> HybridNetworkRecipe:
    reward = {"strength": 0.1, "scale": 0.01}
    return small_recipe(gail={"strength": 2.0, **gail}, reward=reward).networks["button"]


def step(mixed: MixedReward, first: Sequence[float] = (0.0, 0.0)) -> Any:
    actions = np.zeros((2, 4), np.float32)
    actions[:, 0] = first
    mixed.step_async(actions)
    return mixed.step_wait()[1]


def test_the_reward_is_the_scaled_weighted_sum_and_judges_the_state_that_was_reached():
    script = [([1.0, -2.0], [5.0, 0.0], ["", ""]), ([3.0, 0.5], [0.0, 1000.0], ["", "success"])]
    mixed = MixedReward(Scripted(script), recipe_of(), Logits())
    mixed.begin(0)
    mixed.imitation = True
    assert step(mixed) == pytest.approx([0.01 * (2.0 * r_i(1.0) + 0.1 * 5.0), 0.01 * 2.0 * r_i(-2.0)], rel=1e-5)
    # the second has ended: its last scene counts, not the first one of the next episode
    assert step(mixed) == pytest.approx([0.01 * 2.0 * r_i(3.0), 0.01 * (2.0 * r_i(0.5) + 100.0)], rel=1e-5)
    parts = mixed.parts
    assert (parts.decisions, parts.ended, parts.solved, parts.extrinsic) == (4, 1, 1, 1005.0)
    assert parts.imitation == pytest.approx(r_i(1.0) + r_i(-2.0) + r_i(3.0) + r_i(0.5), rel=1e-5)


def test_with_actions_it_judges_the_action_in_the_scene_that_it_was_taken_in():
    script = [([1.0, -2.0], [0.0, 0.0], ["", "dropped"]), ([3.0, 0.5], [0.0, 0.0], ["", ""])]
    mixed = MixedReward(Scripted(script), recipe_of(use_actions=True), Logits(4))
    mixed.begin(0)
    mixed.imitation = True
    assert step(mixed, (0.1, -0.1)) == pytest.approx([0.02 * r_i(1.0), 0.02 * r_i(-1.0)], rel=1e-5)
    assert step(mixed, (0.1, 0.2)) == pytest.approx([0.02 * r_i(1.0 + 1.0), 0.02 * r_i(2.0)], rel=1e-5)


@pytest.mark.parametrize("discriminator", (None, Logits()), ids=("without GAIL", "before it counts"))
def test_without_imitation_the_task_alone_is_rewarded(discriminator):
    mixed = MixedReward(Scripted([([1.0, 2.0], [5.0, 0.0], ["", ""])]), recipe_of(), discriminator)
    mixed.begin(0)
    assert step(mixed) == pytest.approx([0.005, 0.0])


def test_nothing_is_imitated_before_the_discriminator_has_learned_and_cloning_fades():
    recipe = small_recipe().networks["button"]  # 64 steps an update; cloning ends at 400
    training = ExpertEnvs([TaskEnv(TASK.start("button"), OBSERVATIONS["button"]) for _ in range(2)], threads=1)
    rng = np.random.default_rng(0)
    scenes, answers = rng.normal(size=(64, COUNT)), rng.uniform(-1.0, 1.0, (64, 4))
    shown = Samples(
        ROMAN, "button", scenes.astype(np.float32), answers.astype(np.float32), np.zeros(64, np.intp), 0.005
    )
    torch.manual_seed(0)
    learner = HybridPPO(MLPPolicy(ROMAN, "button", (16,), (0.05,)), training, recipe, shown, seed=0)
    learner.begin(0)
    logs, shares = [], []
    for _ in range(8):
        logs.append(learner.update())
        shares.append(learner.cloning_share)
    assert logs[0]["rollout/imitation_reward"] == 0.0
    assert min(log["rollout/imitation_reward"] for log in logs[1:]) > 0.0
    assert shares == pytest.approx([1 - 64 * n / 400 for n in range(1, 7)] + [0.0, 0.0])
    assert ["cloning/loss" in log for log in logs] == [False] + 5 * [True] + 2 * [False]
    training.close()


def test_demonstrations_are_seen_through_what_noise_reinforcement_has_more_than_they():
    recipe = small_recipe(reinforcement={"noise_bounds": [0.02]}).networks["button"]
    scenes, answers = np.zeros((512, COUNT), np.float32), np.zeros((512, 4), np.float32)
    spread = []
    for recorded in (0.005, 0.02):
        shown = Samples(ROMAN, "button", scenes, answers, np.zeros(512, np.intp), recorded)
        learner = HybridPPO(MLPPolicy(ROMAN, "button", (16,), (0.05,)), Scripted([]), recipe, shown, seed=0)
        spread.append(learner._noised(learner._observations).numpy().std(axis=0).max())
    assert spread == pytest.approx([np.sqrt(0.02**2 - 0.005**2) / 3.0, 0.0], rel=0.1)
