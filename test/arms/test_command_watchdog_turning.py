"""The last watch before a robot, on turns: their limits, and what the task does not turn about is kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from specs import HOME_POSITION, ROMAN
from watchdogs import FORWARD, PERIOD, REST, TURNING, Harness, twist

from roman_moe.arms.kept_orientation import CORRECTION_SPEED, HandPose
from roman_moe.control.limits import load_limits
from roman_moe.core.spec_parts import ActionSpec
from roman_moe.core.state import POINTING_DOWN, rotated

YAWING = dataclasses.replace(ROMAN, action=ActionSpec(top_speed=0.2, angular=("rz",)))


def tilted(*rotation: float) -> HandPose:
    return HandPose(HOME_POSITION, rotated(POINTING_DOWN, np.array(rotation)))


def test_turning_meets_limits_of_its_own() -> None:
    limits = load_limits()
    harness, before = Harness(limits, TURNING), REST
    for _ in range(40):
        harness.wait(PERIOD)
        assert harness.take(twist(0.01, 0.0, 0.0, 0.0, 9.0, 9.0)) is None
        output = harness.output()
        assert output is not None
        assert np.linalg.norm(output[3:]) <= limits.angular_speed + 1e-9
        assert np.linalg.norm(output[3:] - before[3:]) / PERIOD <= limits.angular_acceleration + 1e-9
        before = output
    assert np.linalg.norm(before[3:]) == pytest.approx(limits.angular_speed)
    assert np.linalg.norm(before[:3]) == pytest.approx(0.01)


def test_while_the_robot_is_doubted_it_turns_slowly_too() -> None:
    limits = load_limits()
    harness = Harness(limits, TURNING)
    harness.watchdog.speed_limits = limits.speed, 0.1 * limits.angular_speed
    for _ in range(20):
        harness.wait(PERIOD)
        harness.take(twist(0.0, 0.0, 0.0, 0.0, 0.0, 1.5))
        output = harness.output()
    np.testing.assert_allclose(output, twist(0.0, 0.0, 0.0, 0.0, 0.0, 0.1 * limits.angular_speed), atol=1e-9)


def test_a_hand_that_drifts_is_turned_back_while_it_is_moved() -> None:
    harness = Harness()
    harness.move()
    harness.hand = tilted(0.1, 0.0, -0.2)
    harness.move(3)
    output = harness.output()
    assert output is not None
    np.testing.assert_allclose(output[:3], FORWARD[:3])
    np.testing.assert_allclose(output[3:], [-0.1, 0.0, 0.2], atol=1e-9)
    harness.hand = tilted(0.0, 1.5, 0.0)
    harness.move(5)
    output = harness.output()
    assert output is not None
    np.testing.assert_allclose(output[3:], [0.0, -CORRECTION_SPEED, 0.0], atol=1e-9)
    harness.wait(PERIOD)
    assert harness.take(REST) is None  # as a commander that is stopped says
    assert not np.any(harness.output())


def test_what_a_task_turns_stays_turned_and_the_other_axes_are_kept() -> None:
    harness = Harness(spec=YAWING)
    harness.move()
    harness.hand = tilted(0.0, 0.0, 1.0)
    harness.move(3)
    np.testing.assert_allclose(harness.output(), FORWARD, atol=1e-12)
    harness.hand = HandPose(HOME_POSITION, rotated(harness.hand.orientation, np.array([0.1, 0.0, 0.0])))
    for _ in range(10):
        harness.wait(PERIOD)
        harness.take(twist(0.0, 0.0, 0.0, 0.0, 0.0, 0.3))
        output = harness.output()
    np.testing.assert_allclose(output, twist(0.0, 0.0, 0.0, -0.1, 0.0, 0.3), atol=1e-9)


@pytest.mark.parametrize("how", ["silence", "stop", "two"])
def test_a_halt_ends_the_turning_too(how: str) -> None:
    harness = Harness(spec=YAWING)
    harness.move()
    harness.hand = tilted(0.0, 0.2, 0.0)
    for _ in range(5):
        harness.wait(PERIOD)
        harness.take(twist(0.0, 0.0, 0.0, 0.0, 0.0, 0.3))
        assert np.any(harness.output())
    if how == "stop":
        harness.watchdog.guard.stop()
    elif how == "two":
        harness.watchdog.update_publishers(["blender", "teleop"])
    else:
        harness.wait(0.11)
    sent = harness.halt()
    np.testing.assert_array_equal(sent[-3:], np.zeros((3, 6)))
    if how != "silence":
        harness.wait(PERIOD)
        harness.take(twist(0.0, 0.0, 0.0, 0.0, 0.0, 0.3))
    assert harness.output() is None


@pytest.mark.parametrize(("moved", "is_turned_back"), [(0.05, True), (0.3, False)])
def test_after_a_halt_a_drift_is_turned_back_but_no_move_on_purpose(moved: float, is_turned_back: bool) -> None:
    harness = Harness()
    harness.move()
    harness.wait(0.2)
    harness.halt()
    harness.wait(60.0)
    harness.hand = tilted(0.0, moved, 0.0)
    harness.move()
    output = harness.output()
    assert output is not None
    np.testing.assert_allclose(output[3:], [0.0, -moved * is_turned_back, 0.0], atol=1e-9)
