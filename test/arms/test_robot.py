"""A robot's own words: what is taken, what is refused with a reason, and when its hand is known."""

from __future__ import annotations

import numpy as np
import pytest
from specs import GRIPPER_OPEN, ROMAN

from roman_moe.arms.config import ArmConfig, FingersConfig, GripperConfig, PoseConfig
from roman_moe.arms.robot import RobotState
from roman_moe.arms.servo_status import status_name
from roman_moe.core.state import POINTING_DOWN
from roman_moe.wire.bodies import MessageError

NOW_NS, NOW = 1_795_000_000_000_000_000, 50.0
DOWN = (1.0, 0.0, 0.0, 0.0)


def robot(**fingers: object) -> RobotState:
    return RobotState(
        ROMAN,
        ArmConfig(
            pose=PoseConfig(topic="/pose", tool_offset=(0.0, 0.0, 0.1)),
            fingers=FingersConfig(joints={"left": 1.0, "right": 1.0}, **fingers),  # type: ignore[arg-type]
            gripper=GripperConfig(joints=("left",), topic="/gripper", largest_opening=GRIPPER_OPEN),
        ),
    )


def see_pose(state: RobotState, stamp_ns: int = NOW_NS, frame: str = "base", **pose: object) -> None:
    position = pose.get("position", (0.4, 0.0, 0.3))
    quaternion = pose.get("quaternion", DOWN)
    state.see_pose(stamp_ns, frame, position, quaternion, NOW_NS, NOW)  # type: ignore[arg-type]


def test_a_hand_is_known_once_pose_and_fingers_are() -> None:
    state = robot()
    assert "no pose on /pose" in state.missing(NOW_NS, NOW)
    see_pose(state)
    assert "no left, right on /joint_states" in state.missing(NOW_NS, NOW)
    state.see_joints(["elbow", "left", "right"], [1.0, 0.02, 0.03], [], NOW)
    state.see_flag("button_pressed", True)
    assert state.missing(NOW_NS, NOW) == ""
    hand = state.hand_state(NOW_NS - 5, NOW_NS, NOW)
    assert hand is not None
    assert hand.stamp_ns == NOW_NS - 5
    np.testing.assert_allclose(hand.hand_position, (0.4, 0.0, 0.2))
    np.testing.assert_array_equal(hand.hand_velocity, np.zeros(3))
    np.testing.assert_allclose(hand.hand_orientation, POINTING_DOWN)
    np.testing.assert_array_equal(hand.hand_angular_velocity, np.zeros(3))
    assert hand.finger_opening == pytest.approx(0.05)
    assert hand.flags.tolist() == [True]


def test_a_robot_that_falls_silent_is_no_longer_known() -> None:
    state = robot()
    see_pose(state)
    state.see_joints(["left", "right"], [0.02, 0.03], [], NOW)
    assert state.hand_state(NOW_NS, NOW_NS + 150_000_000, NOW + 0.15) is None
    assert state.pose(NOW_NS + 150_000_000, NOW + 0.15) is None
    see_pose(state)
    state.see_joints(["left", "right"], [0.02, 0.03], [], NOW - 1.0)
    assert "no left, right" in state.missing(NOW_NS, NOW)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"frame": "tool0"}, "frame 'tool0': expected 'base'"),
        ({"position": (0.4, np.nan, 0.3)}, "is not finite"),
        ({"quaternion": (0.0, 0.0, 0.0, 0.0)}, "quaternion of norm 0: expected 1"),
        ({"stamp_ns": NOW_NS + 50_000_000}, "in the future: are the machines' clocks synchronised"),
        ({"stamp_ns": NOW_NS - 500_000_000}, "0.500 s old"),
    ],
)
def test_a_pose_that_cannot_be_trusted_is_refused(change: dict[str, object], complaint: str) -> None:
    state = robot()
    with pytest.raises(MessageError, match=complaint):
        see_pose(state, **change)  # type: ignore[arg-type]
    assert state.pose(NOW_NS, NOW) is None


def test_joints_of_another_are_passed_over_and_bad_ones_refused() -> None:
    state = robot()
    state.see_joints(["elbow", "left"], [1.0, 2.0], [], NOW)
    with pytest.raises(MessageError, match="1 positions: expected 2"):
        state.see_joints(["left", "right"], [1.0], [], NOW)
    with pytest.raises(MessageError, match="not finite"):
        state.see_joints(["left", "right"], [1.0, np.nan], [], NOW)
    see_pose(state)
    assert "no left, right" in state.missing(NOW_NS, NOW)


def test_efforts_are_forces_if_the_gripper_measures_them() -> None:
    state = robot(forces="effort")
    see_pose(state)
    with pytest.raises(MessageError, match="0 efforts: expected 2: or set forces: stall"):
        state.see_joints(["left", "right"], [0.02, 0.02], [], NOW)
    state.see_joints(["right", "left"], [0.02, 0.02], [-0.7, 0.4], NOW)
    hand = state.hand_state(NOW_NS, NOW_NS, NOW)
    assert hand is not None
    assert hand.finger_forces.tolist() == [0.4, 0.7]


def stalled(finger: float) -> RobotState:
    """Of a robot told to close long ago, whose fingers have stood so for 0.3 s [m]."""
    state = robot()
    see_pose(state)
    state.told(0.0, NOW - 1.0)
    for i in range(30):
        state.see_joints(["left", "right"], [finger, finger], [], NOW - 0.3 + 0.01 * i)
    return state


def test_stalled_fingers_hold_something() -> None:
    hand = stalled(0.01).hand_state(NOW_NS, NOW_NS, NOW)
    assert hand is not None
    assert (hand.finger_forces >= 0.5).all()


def test_servos_codes_have_the_names_of_their_message() -> None:
    assert status_name(3, "ServoStatus") == "DECELERATE_FOR_LEAVING_SINGULARITY"
    assert status_name(3, "Int8") == "DECELERATE_FOR_COLLISION"
    assert status_name(0, "Int8") == status_name(0, "ServoStatus") == "NO_WARNING"
    assert status_name(42, "Int8") == "UNKNOWN_42"


def test_fingers_that_have_not_closed_hold_nothing() -> None:
    """A gripper that does not move, or not yet, stands wide open, however long ago it was told to close."""
    state = stalled(0.0395)
    hand = state.hand_state(NOW_NS, NOW_NS, NOW)
    assert hand is not None
    assert not hand.finger_forces.any()
    assert state.standing(NOW) == pytest.approx(0.079)
    assert state.standing(NOW + 1.0) is None
