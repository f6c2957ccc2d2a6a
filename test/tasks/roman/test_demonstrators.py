"""The oracle solves every skill and the whole task, from its seed alone, and takes up its work from anywhere."""

import dataclasses

import numpy as np
import pytest
from specs import FLAGS, SCENARIOS, SKILLS, TOP_SPEED
from worlds import TASK

from roman_moe.core.outcome import Outcome
from roman_moe.evaluation.controllers import OracleController
from roman_moe.sim.episode import run_episode
from roman_moe.sim.motions import leading_skill
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.tasks.roman.button import PRESS_SPEED


@pytest.mark.parametrize("skill", SKILLS)
def test_each_skill_is_solved(lab, skill):
    for seed in range(3):
        result = run_episode(lab, OracleController(TASK, skill), TASK.start(skill), seed, TruthPoses(0.0))
        assert result.success, (seed, result)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_scenario_is_solved_skill_after_skill(lab, scenario):
    led = []

    def note(scene, step):
        skill = SKILLS[int(np.argmax(step.weights))]
        if not led or led[-1] != skill:
            led.append(skill)

    result = run_episode(
        lab, OracleController(TASK), TASK.start(scenario), 1000 + scenario, TruthPoses(0.0), on_tick=note
    )
    assert result.success, result
    assert led == list(TASK.start(scenario).skills)


def test_noise_for_others_does_not_change_what_the_oracle_does(lab):
    results = [run_episode(lab, OracleController(TASK), TASK.start(1), 5, TruthPoses(bound)) for bound in (0.0, 0.02)]
    assert results[0] == results[1]


@pytest.mark.parametrize("skill", SKILLS)
def test_actions_are_within_bounds_and_free_of_memory(lab, skill):
    rng = np.random.default_rng(0)
    oracle = TASK.skills[skill]
    for number in range(7):
        state = lab.reset(TASK.start(number), rng)
        action = oracle.demonstrate(state)
        assert action.shape == (4,)
        assert np.abs(action).max() <= 1.0
        np.testing.assert_array_equal(action, TASK.skills[skill].demonstrate(state))


def test_a_drawer_that_is_shut_again_is_opened_again(lab):
    """The gate looks at the scene, not at a list: undo a skill and its expert leads again."""
    lab.reset(TASK.start(5), np.random.default_rng(0))
    assert leading_skill(TASK, lab.state) == "pick_and_drop"
    lab.data.joint("drawer").qpos = 0.02
    lab.update_kinematics()
    assert leading_skill(TASK, lab.state) == "pull"


def test_an_arm_that_does_nothing_runs_into_the_time_limit(lab):
    class Idle(OracleController):
        def step(self, state):
            step = super().step(state)
            step.command.linear_velocity[:] = 0.0
            return step

    assert run_episode(lab, Idle(TASK, "button"), TASK.start("button"), 0, TruthPoses(0.0)).outcome == "time_limit"


@pytest.mark.parametrize(
    ("thrown_to", "outcome"),
    [
        ([0.9, 0.3, 0.1, 1, 0, 0, 0], Outcome.OUT_OF_REACH),  # off the table, farther than the arm reaches
        ([0.4, 0.7, -0.3, 1, 0, 0, 0], Outcome.OBJECT_DROPPED),  # off the table, beside it
        ([0.5, -0.2, 0.1, 1, 1, 0, 0], Outcome.OBJECT_DROPPED),  # on its side
    ],
)
def test_a_rack_that_is_thrown_away_ends_the_episode_for_its_own_reason(lab, thrown_to, outcome):
    class Thrown(OracleController):
        def step(self, state):
            if state.stamp == 1.0:
                lab.data.joint("rack").qpos[:] = thrown_to
            return super().step(state)

    result = run_episode(lab, Thrown(TASK, "push"), TASK.start("push"), 0, TruthPoses(0.0))
    assert (result.outcome, result.time_s) == (outcome.value, pytest.approx(1.05))


def test_the_button_is_pressed_at_one_speed_from_above_until_it_gives_way(lab):
    """What is learned from it must not come to rest on the button."""
    scene = lab.reset(TASK.start("button"), np.random.default_rng(0))
    button, oracle = scene.position("button"), TASK.skills["button"]
    for height in np.arange(-0.02, 0.035, 0.005):
        action = oracle.demonstrate(dataclasses.replace(scene, hand_position=button + [0.002, 0.0, height]))
        assert action[2] == pytest.approx(-PRESS_SPEED / TOP_SPEED)
    pressed = scene.flags | (np.array(FLAGS) == "button_pressed")
    assert oracle.demonstrate(dataclasses.replace(scene, hand_position=button, flags=pressed))[2] > 0.0
