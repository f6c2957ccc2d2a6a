"""Estimates: a velocity from positions alone, and a grasp from where the fingers stop."""

from __future__ import annotations

import numpy as np
import pytest
from specs import FORCE_SCALE

from roman_moe.arms.clock import STEP_BACK_NS
from roman_moe.arms.estimates import StallEstimate, VelocityEstimate
from roman_moe.arms.kept_orientation import HandPose
from roman_moe.core.state import POINTING_DOWN, rotated

MS = 1_000_000


def at(position: np.ndarray, orientation: np.ndarray = POINTING_DOWN) -> HandPose:
    return HandPose(position, orientation)


def test_a_steady_motion_has_its_velocity() -> None:
    estimate, velocity = VelocityEstimate(0.04), np.array([0.1, -0.2, 0.3])
    for i in range(20):
        estimate.add(10**18 + i * 10 * MS, at(velocity * (i * 0.01)))
    np.testing.assert_allclose(estimate.velocity(), velocity, rtol=1e-9)


def test_a_steady_turn_has_its_angular_velocity() -> None:
    estimate, turning = VelocityEstimate(0.04), np.array([0.4, -0.8, 1.2])
    for i in range(20):
        estimate.add(10**18 + i * 10 * MS, at(np.zeros(3), rotated(POINTING_DOWN, turning * (i * 0.01 - 0.1))))
    np.testing.assert_allclose(estimate.angular_velocity(), turning, rtol=1e-9)
    np.testing.assert_array_equal(estimate.velocity(), np.zeros(3))


def test_what_is_older_than_the_window_does_not_count() -> None:
    estimate = VelocityEstimate(0.04)
    for i in range(20):
        estimate.add(i * 10 * MS, at(np.array([0.01 * i, 0.0, 0.0])))
    for i in range(20, 25):
        estimate.add(i * 10 * MS, at(np.array([0.19, 0.0, 0.0])))
    np.testing.assert_allclose(estimate.velocity(), np.zeros(3), atol=1e-12)


def test_slow_poses_have_a_velocity_too_and_one_alone_has_none() -> None:
    estimate = VelocityEstimate(0.04)
    estimate.add(0, at(np.zeros(3)))
    np.testing.assert_array_equal(estimate.velocity(), np.zeros(3))
    estimate.add(100 * MS, at(np.array([0.01, 0.0, 0.0])))
    np.testing.assert_allclose(estimate.velocity(), [0.1, 0.0, 0.0])


def test_a_clock_that_is_set_back_makes_no_wild_velocity() -> None:
    estimate = VelocityEstimate(0.04)
    assert estimate.add(10**9, at(np.zeros(3)))
    assert estimate.add(10**9 - STEP_BACK_NS - 1, at(np.ones(3)))
    np.testing.assert_array_equal(estimate.velocity(), np.zeros(3))


@pytest.mark.parametrize("late_by", [0, 10 * MS])
def test_a_pose_that_comes_twice_or_too_late_changes_nothing(late_by: int) -> None:
    estimate, velocity = VelocityEstimate(0.04), np.array([0.1, -0.2, 0.3])
    for i in range(5):
        assert estimate.add(i * 10 * MS, at(velocity * (i * 0.01)))
    assert not estimate.add(40 * MS - late_by, at(np.ones(3)))
    np.testing.assert_allclose(estimate.velocity(), velocity, rtol=1e-9)


class Fingers:
    """Fingers that are watched every 10 ms."""

    def __init__(self) -> None:
        self.estimate = StallEstimate(0.15)
        self.now = 0.0

    def stand(self, opening: float, seconds: float) -> bool:
        for _ in range(round(seconds / 0.01)):
            self.now += 0.01
            self.estimate.see(opening, self.now)
        return bool(self.estimate.forces().any())

    def move(self, openings: np.ndarray) -> bool:
        held = [self.stand(opening, 0.01) for opening in openings]
        return any(held)


def test_fingers_that_close_on_something_hold_it() -> None:
    fingers = Fingers()
    assert not fingers.stand(0.08, 1.0)
    fingers.estimate.tell(0.0, fingers.now)
    assert not fingers.move(np.linspace(0.08, 0.014, 30))
    assert not fingers.stand(0.014, 0.1)
    assert fingers.stand(0.014, 0.1)
    assert fingers.estimate.forces() == pytest.approx([FORCE_SCALE] * 2)
    fingers.estimate.tell(0.08, fingers.now)
    assert not fingers.stand(0.014, 0.05)


def test_fingers_that_close_on_nothing_or_stay_open_hold_nothing() -> None:
    fingers = Fingers()
    fingers.estimate.tell(0.0, fingers.now)
    fingers.move(np.linspace(0.08, 0.0, 30))
    assert not fingers.stand(0.001, 1.0)
    fingers.estimate.tell(0.08, fingers.now)
    fingers.move(np.linspace(0.0, 0.08, 30))
    assert not fingers.stand(0.08, 1.0)


def test_fingers_whose_orders_are_unknown_hold_nothing() -> None:
    assert not Fingers().stand(0.02, 1.0)
