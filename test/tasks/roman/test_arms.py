"""The first task on another arm: actions are velocities of the hand, so that nothing is trained anew."""

from __future__ import annotations

import pytest
from specs import SKILLS
from worlds import TASK

from roman_moe.evaluation.controllers import OracleController, make_controller
from roman_moe.sim.env import NOISE_BOUND
from roman_moe.sim.episode import run_episode
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(TASK, arm="ur5e")


@pytest.mark.parametrize("skill", SKILLS)
def test_each_demonstrator_solves_its_skill_on_an_arm_of_six_joints(world: World, skill: str) -> None:
    for seed in range(2):
        result = run_episode(world, OracleController(TASK, skill), TASK.start(skill), seed, TruthPoses(0.0))
        assert result.success, result


def test_the_shipped_bundle_solves_the_whole_task_on_an_arm_that_it_was_not_trained_on(world: World) -> None:
    controller = make_controller("models/roman", TASK)
    result = run_episode(world, controller, TASK.start(6), 0, TruthPoses(NOISE_BOUND))
    assert result.success, result
