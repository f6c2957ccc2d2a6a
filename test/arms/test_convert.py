"""Conversions: the numbers that a robot gets, and what its numbers mean."""

from __future__ import annotations

import numpy as np
import pytest

from roman_moe.arms.config import FingersConfig, GripperConfig, TwistConfig
from roman_moe.arms.convert import finger_opening, gripper_position, reachable, tool_position, twist_numbers

UNITLESS = TwistConfig(command_in_type="unitless", scale=0.25)


def test_speed_units_are_metres_per_second() -> None:
    assert twist_numbers([0.1, -0.2, 0.3], TwistConfig(scale=0.25)) == [0.1, -0.2, 0.3]


def test_unitless_is_of_servos_scale() -> None:
    assert twist_numbers([0.1, -0.2, 0.05], UNITLESS) == pytest.approx([0.4, -0.8, 0.2])


def test_no_unitless_number_exceeds_one_and_the_direction_stays() -> None:
    numbers = twist_numbers([0.5, -0.25, 0.0], UNITLESS)
    assert numbers == pytest.approx([1.0, -0.5, 0.0])


def test_the_tool_offset_turns_with_the_hand() -> None:
    half = np.sqrt(0.5)
    offset = (0.0, 0.0, 0.1)
    np.testing.assert_allclose(tool_position((1, 2, 3), (0, 0, 0, 1), offset), (1, 2, 3.1))
    np.testing.assert_allclose(tool_position((1, 2, 3), (1, 0, 0, 0), offset), (1, 2, 2.9))  # looks down
    np.testing.assert_allclose(tool_position((0, 0, 0), (0, half, 0, half), offset), (0.1, 0, 0), atol=1e-15)
    np.testing.assert_allclose(tool_position((0, 0, 0), (half, 0, 0, half), offset), (0, -0.1, 0), atol=1e-15)


def test_a_turn_keeps_lengths() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        q, offset = rng.normal(size=4), rng.normal(size=3)
        turned = tool_position(np.zeros(3), q / np.linalg.norm(q), offset)
        assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(offset))


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (1, 1, 0, 0), (np.nan, 0, 0, 1)])
def test_what_is_no_turn_is_refused(quaternion: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected 1"):
        tool_position((0, 0, 0), quaternion, (0, 0, 0))


def test_fingers_open_by_the_sum_of_their_ways() -> None:
    config = FingersConfig(joints={"left": 1.0, "right": 1.0}, offset=0.01)
    assert finger_opening({"left": 0.02, "right": 0.03, "elbow": 9.0}, config) == pytest.approx(0.06)


def test_a_gripper_is_never_told_more_than_open_or_less_than_closed() -> None:
    config = GripperConfig(joints=("knuckle",), topic="/g", scale=-10.0, offset=0.8, largest_opening=0.08)
    assert gripper_position(0.0, config) == pytest.approx(0.8)
    assert gripper_position(0.04, config) == pytest.approx(0.4)
    assert gripper_position(7.0, config) == pytest.approx(0.0)
    assert gripper_position(-7.0, config) == pytest.approx(0.8)


def test_nor_more_than_its_largest_opening() -> None:
    """franka_gripper aborts what is beyond the width that homing found, which is less than 80 mm."""
    config = GripperConfig(joints=("left",), topic="/g", scale=0.5, largest_opening=0.0797)
    assert gripper_position(0.08, config) == pytest.approx(0.03985)
    assert reachable(0.08, config) == 0.0797
    assert reachable(0.05, config) == 0.05
