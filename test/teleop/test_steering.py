"""What an operator's inputs come to, for tasks with and without turns."""

from __future__ import annotations

import numpy as np
import pytest
from specs import GRIPPER_CLOSED, GRIPPER_OPEN, ROMAN

from roman_moe.core.tasks import load_spec
from roman_moe.teleop.device import OperatorEvent, OperatorInput
from roman_moe.teleop.steering import FIRST_SPEED, SPEEDS, Steering

AXES = np.array([1.0, -0.5, 0.2, 0.1, 0.4, -1.0])


def test_axes_become_the_tasks_action_at_the_chosen_speed() -> None:
    steering = Steering(ROMAN)
    speed = SPEEDS[FIRST_SPEED]
    np.testing.assert_allclose(steering.action(OperatorInput(AXES, held=True)), [*(speed * AXES[:3]), 1.0])
    steering.take([OperatorEvent.SLOWER] * 20, [], GRIPPER_OPEN)
    assert steering.speed == SPEEDS[0]
    steering.take([OperatorEvent.FASTER] * 20, [], GRIPPER_OPEN)
    np.testing.assert_allclose(steering.action(OperatorInput(AXES, held=True)), [*AXES[:3], 1.0])


def test_only_the_turns_that_a_task_has_are_answered() -> None:
    spec = load_spec("kitting")
    assert spec.action.angular_indices == (2,)
    steering = Steering(spec)
    steering.take([OperatorEvent.FASTER] * 20, [], GRIPPER_OPEN)
    np.testing.assert_allclose(steering.action(OperatorInput(AXES, held=True)), [*AXES[:3], AXES[5], 1.0])


def test_without_the_dead_man_the_arm_rests_and_holds() -> None:
    steering = Steering(ROMAN)
    steering.take([OperatorEvent.TAKE_OVER], [], GRIPPER_CLOSED)
    np.testing.assert_array_equal(steering.action(OperatorInput(AXES, held=False)), [0.0, 0.0, 0.0, -1.0])


@pytest.mark.parametrize(("opening", "opens"), [(GRIPPER_OPEN, True), (GRIPPER_CLOSED, False)])
def test_the_gripper_stays_as_it_was_told_at_a_take_over(opening: float, opens: bool) -> None:
    steering = Steering(ROMAN)
    steering.take([OperatorEvent.GRIPPER], [], opening)
    assert steering.opens, "who does not drive moves no gripper"
    steering.take([OperatorEvent.TAKE_OVER], [], opening)
    assert steering.opens is opens
    steering.take([OperatorEvent.TAKE_OVER], [], GRIPPER_OPEN if opening == GRIPPER_CLOSED else GRIPPER_CLOSED)
    assert steering.opens is opens, "who drives already takes over nothing"
    steering.take([OperatorEvent.GRIPPER], [], opening)
    assert steering.opens is not opens


def test_a_key_gives_a_skill_the_whole_weight() -> None:
    steering = Steering(ROMAN)
    assert steering.weights is None
    steering.take([], [8, 1], GRIPPER_OPEN)
    assert steering.weights is not None
    assert steering.weights.tolist() == [0, 1, 0, 0, 0, 0, 0]
