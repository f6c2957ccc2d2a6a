"""The shipped bundle of kitting solves every skill and every scenario, at the noise that README states."""

from __future__ import annotations

import pytest

from roman_moe.evaluation.controllers import make_controller
from roman_moe.sim.env import NOISE_BOUND
from roman_moe.sim.episode import run_episode
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.world import World

TASK = load_sim_task("kitting")
BUNDLE = "models/kitting"


@pytest.fixture(scope="module")
def world() -> World:
    return World(TASK)


@pytest.mark.parametrize("skill", TASK.spec.skill_names)
def test_each_expert_solves_its_skill(world: World, skill: str) -> None:
    controller = make_controller(BUNDLE, TASK, skill)
    results = [run_episode(world, controller, TASK.start(skill), seed, TruthPoses(NOISE_BOUND)) for seed in range(2)]
    assert [result.outcome for result in results] == ["success"] * 2


@pytest.mark.parametrize("scenario", range(len(TASK.spec.scenarios)))
def test_the_mixture_solves_each_scenario(world: World, scenario: int) -> None:
    result = run_episode(world, make_controller(BUNDLE, TASK), TASK.start(scenario), 0, TruthPoses(NOISE_BOUND))
    assert result.outcome == "success"
