"""Conversions: the numbers that a robot gets, and what its numbers mean."""

from __future__ import annotations

import numpy as np
import pytest

from roman_moe.arms.config import ArmConfig, FingersConfig, GripperConfig, PoseConfig, TwistConfig
from roman_moe.arms.convert import finger_opening, gripper_position, hand_pose, reachable, tip_twist, twist_numbers
from roman_moe.core.rotation import rotate
from roman_moe.core.state import POINTING_DOWN, rotated

UNITLESS = TwistConfig(command_in_type="unitless", scale=0.25, rotational_scale=0.5)
HALF = float(np.sqrt(0.5))


def test_speed_units_are_metres_per_second() -> None:
    assert twist_numbers([0.1, -0.2, 0.3, 1.0, 2.0, -3.0], TwistConfig(scale=0.25)) == [0.1, -0.2, 0.3, 1.0, 2.0, -3.0]


def test_unitless_is_of_servos_scale() -> None:
    numbers = twist_numbers([0.1, -0.2, 0.05, 0.1, 0.0, -0.5], UNITLESS)
    assert numbers == pytest.approx([0.4, -0.8, 0.2, 0.2, 0.0, -1.0])


def test_no_unitless_number_exceeds_one_and_the_direction_stays() -> None:
    numbers = twist_numbers([0.5, -0.25, 0.0, 0.0, 1.0, -0.5], UNITLESS)
    assert numbers == pytest.approx([1.0, -0.5, 0.0, 0.0, 1.0, -0.5])


def position(quaternion: tuple[float, ...], offset: tuple[float, ...], at: tuple[float, ...] = (0, 0, 0)) -> np.ndarray:
    return hand_pose(at, quaternion, PoseConfig(topic="/pose", tool_offset=offset)).position


def test_the_tool_offset_turns_with_the_hand() -> None:
    offset = (0.0, 0.0, 0.1)
    np.testing.assert_allclose(position((0, 0, 0, 1), offset, (1, 2, 3)), (1, 2, 3.1))
    np.testing.assert_allclose(position((1, 0, 0, 0), offset, (1, 2, 3)), (1, 2, 2.9))  # looks down
    np.testing.assert_allclose(position((0, HALF, 0, HALF), offset), (0.1, 0, 0), atol=1e-15)
    np.testing.assert_allclose(position((HALF, 0, 0, HALF), offset), (0, -0.1, 0), atol=1e-15)


def test_the_hand_is_turned_as_its_file_says() -> None:
    """A 2F-85 on UR's tool0: its fingers move along the pose's x axis, and along the hand's y axis."""
    config = PoseConfig(topic="/pose", tool_orientation=(0.0, 0.0, -HALF, HALF))
    pose = np.array([0.3, -0.2, 0.1, 0.9])
    pose /= np.linalg.norm(pose)
    hand = hand_pose((0, 0, 0), pose.tolist(), config).orientation
    np.testing.assert_allclose(rotate(hand, np.array([0.0, 1.0, 0.0])), rotate(pose, np.array([1.0, 0.0, 0.0])))
    np.testing.assert_allclose(rotate(hand, np.array([0.0, 0.0, 1.0])), rotate(pose, np.array([0.0, 0.0, 1.0])))


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (1, 1, 0, 0), (np.nan, 0, 0, 1)])
def test_what_is_no_turn_is_refused(quaternion: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected 1"):
        position(quaternion, (0, 0, 0))


def test_the_tip_of_servos_group_moves_so_that_the_fingertips_go_where_they_are_sent() -> None:
    config = ArmConfig(
        pose=PoseConfig(topic="/pose", tool_offset=(0.0, 0.0, 0.2), tool_orientation=(0.0, 0.0, -HALF, HALF)),
        fingers=FingersConfig(joints={"left": 1.0}),
        gripper=GripperConfig(joints=("left",), topic="/gripper"),
        twist=TwistConfig(tip_offset=(0.01, 0.02, 0.145)),
    )
    pose, tip, step = rotated(POINTING_DOWN, np.array([0.1, -0.3, 0.5])), np.array([0.4, 0.1, 0.3]), 1e-6
    offset = np.array(config.twist.tip_offset)
    twist = np.array([0.1, -0.05, 0.02, 0.3, -0.2, 0.25])
    hand = hand_pose(tip.tolist(), pose.tolist(), config.pose).orientation
    at_tip = tip_twist(twist, hand, config)
    np.testing.assert_array_equal(at_tip[3:], twist[3:])
    before = tip + rotate(pose, offset)
    after = tip + step * at_tip[:3] + rotate(rotated(pose, step * at_tip[3:]), offset)
    np.testing.assert_allclose((after - before) / step, twist[:3], atol=1e-6)


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
