"""The guard's promises on turns: limits of their own, apart from those of the straight motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from guards import AMPLE, MIDDLE, RATE, ROUNDING, answer, guard_of, moving, ready, wishes
from specs import GRIPPER_OPEN

from roman_moe.control.guard import GuardStatus
from roman_moe.control.limits import Limits
from roman_moe.core.action import Command


def twist(angular: object, linear: object = (0.0, 0.0, 0.0)) -> Command:
    return Command(0, np.array(linear, dtype=np.float64), GRIPPER_OPEN, np.array(angular, dtype=np.float64))


def turning(limits: Limits, seed: int, ticks: int = 400, rate: float = RATE, faults: bool = False) -> np.ndarray:
    """Angular velocities that a guard let through of random ones, (n, 3), while the hand moves at random, too."""
    rng = np.random.default_rng(seed)
    guard, out = guard_of(limits, rate), [np.zeros(3)]
    top = 4.0 * limits.angular_speed
    for wish, linear in zip(wishes(rng, ticks, top), wishes(rng, ticks), strict=True):
        out.append(answer(guard, twist(wish, linear), MIDDLE, rng, faults).angular_velocity)
    return np.array(out)


SLOW_TO_TURN = replace(AMPLE, angular_speed=1.0, angular_acceleration=6.0, angular_jerk=50.0)
"""Where every angular limit binds within a few periods."""


@pytest.mark.parametrize("limits", [AMPLE, SLOW_TO_TURN], ids=["shipped", "slow"])
@pytest.mark.parametrize("rate", [10.0, 20.0, 100.0])
@pytest.mark.parametrize("faults", [False, True])
def test_whatever_is_commanded_angular_speed_and_acceleration_hold(limits: Limits, rate: float, faults: bool):
    fastest = 0.0
    for seed in range(5):
        velocities = turning(limits, seed, rate=rate, faults=faults)
        assert np.isfinite(velocities).all()
        fastest = max(fastest, np.linalg.norm(velocities, axis=1).max())
        change = np.diff(velocities, axis=0) * rate
        assert np.linalg.norm(change, axis=1).max() <= limits.angular_acceleration + ROUNDING * rate
    assert limits.angular_speed * 0.5 < fastest <= limits.angular_speed + ROUNDING


@pytest.mark.parametrize("rate", [20.0, 100.0])
def test_the_angular_jerk_holds_on_ordinary_turning_below_the_limit_on_speed(rate: float):
    tried = 0
    for seed in range(10):
        velocities = turning(SLOW_TO_TURN, seed, rate=rate)
        jerk = np.diff(velocities, 2, axis=0, prepend=np.zeros((1, 3))) * rate**2
        most = SLOW_TO_TURN.angular_speed * np.minimum(np.arange(1, len(velocities)) / (SLOW_TO_TURN.ramp * rate), 1.0)
        below = np.linalg.norm(velocities[1:], axis=1) < most - ROUNDING
        assert np.linalg.norm(jerk[below], axis=1).max() <= SLOW_TO_TURN.angular_jerk + ROUNDING * rate**2
        tried += below.sum()
    assert tried > 500


def test_a_turn_within_all_limits_passes_as_the_same_object():
    guard = ready()
    for tick in range(200):
        asked = twist([0.0, 0.0, 0.5 * np.sin(tick / 10.0)], [0.05 * np.sin(tick / 7.0), 0.0, 0.0])
        assert guard.allow(asked, MIDDLE) is asked
        assert guard.status is GuardStatus.NO_WARNING


def test_a_limited_turn_takes_nothing_from_the_straight_motion_and_none_from_it():
    """Speeds of metres and radians have no sum."""
    guard = moving([0.1, 0.0, 0.0])
    for _ in range(30):
        out = guard.allow(twist([0.0, 0.0, 50.0], [0.1, 0.0, 0.0]), MIDDLE)
        np.testing.assert_array_equal(out.linear_velocity, [0.1, 0.0, 0.0])
        assert guard.status in (GuardStatus.LIMITED_SPEED, GuardStatus.LIMITED_ACCELERATION, GuardStatus.LIMITED_JERK)
    np.testing.assert_allclose(out.angular_velocity, [0.0, 0.0, AMPLE.angular_speed])


def test_a_halt_ends_a_turn_and_a_stop_keeps_it_ended():
    guard = ready()
    for _ in range(20):
        guard.allow(twist([0.0, 1.0, 0.0]), MIDDLE)
    before = guard.allow(twist([0.0, 1.0, 0.0]), MIDDLE).angular_velocity
    guard.stop()
    for _ in range(5):
        now = guard.allow(twist([0.0, 1.0, 0.0]), MIDDLE).angular_velocity
        assert np.linalg.norm(before - now) * RATE <= AMPLE.angular_acceleration + ROUNDING
        before = now
    assert not now.any()
    guard.rearm()
    assert 0.0 < guard.allow(twist([0.0, 1.0, 0.0]), MIDDLE).angular_velocity[1] <= 0.1 * AMPLE.angular_speed + ROUNDING


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_turn_that_is_not_finite_halts(bad: float):
    guard = moving([0.1, 0.0, 0.0])
    out = guard.allow(twist([0.0, bad, 0.0], [0.1, 0.0, 0.0]), MIDDLE)
    assert guard.status is GuardStatus.HALT_COMMAND_NOT_FINITE
    assert out.is_finite()
    assert not out.linear_velocity.any()
