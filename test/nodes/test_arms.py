"""The contract of an arm (roman_moe/arms/__init__.py), kept by the lab, the mock, and the bridge to a robot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bundles import write_loose_limits
from geometry_msgs.msg import PoseStamped, TwistStamped
from messages import decode_hand
from rclpy.node import Node
from rclpy.time import Time
from ros_rig import Rig
from sensor_msgs.msg import JointState
from specs import GRIPPER_CLOSED, GRIPPER_OPEN, HOME_POSITION

from roman_moe.core.action import Command
from roman_moe.core.paths import config_path
from roman_moe.nodes.arms.arm_bridge import ArmBridge
from roman_moe.nodes.arms.lab_node import LabNode
from roman_moe.nodes.arms.mock_arm import MockArmNode
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.topics import CODEC, GRIPPER_COMMAND, HAND_STATE, TRUTH_POSES, TWIST_COMMAND, Topic
from roman_moe.nodes.control.blender import Blender
from roman_moe.wire.codec import message_stamp

TICK_NS = 50_000_000
FORWARD = np.array([0.05, 0.0, 0.0])
TIMEOUT = 0.5  # [s] of Servo, and of the limits: this machine may be busy
GRIPPER = Topic("/hand", JointState)


class Commander(Node):
    """Answers each hand state with the same command, as long as it is willing."""

    def __init__(self, context: Any, name: str = "blender") -> None:
        super().__init__(name, context=context)
        self.willing = True
        self.velocity, self.opening = FORWARD, GRIPPER_OPEN
        self.opinions: tuple[float, ...] = (1.0,)  # shares of the velocity, told one after the other
        self.hands: list[Any] = []
        self._twist, self._gripper = (
            self.create_publisher(topic.kind, topic.name, topic.qos) for topic in (TWIST_COMMAND, GRIPPER_COMMAND)
        )
        self.create_subscription(HAND_STATE.kind, HAND_STATE.name, self._on_hand, HAND_STATE.qos)

    def _on_hand(self, message: Any) -> None:
        self.hands.append(decode_hand(message))
        if self.willing:
            for share in self.opinions:
                command = Command(message_stamp(message), share * self.velocity, self.opening)
                self._gripper.publish(CODEC.gripper(command))
                self._twist.publish(CODEC.twist(command))


class Servo(Node):
    """As little of a robot behind MoveIt Servo as moves."""

    def __init__(self, context: Any) -> None:
        super().__init__("servo_node", context=context)
        self._position, self._opening, self._command = np.array(HOME_POSITION), GRIPPER_OPEN, TwistStamped()
        self._pose = self.create_publisher(PoseStamped, "/franka_robot_state_broadcaster/current_pose", 1)
        self._joints = self.create_publisher(JointState, "/joint_states", 1)
        self.create_subscription(TwistStamped, "/servo_node/delta_twist_cmds", self._on_twist, 1)
        self.create_subscription(JointState, GRIPPER.name, self._on_gripper, 1)
        self._period = 0.01  # [s]
        self.create_timer(self._period, self._move)

    def _on_twist(self, message: TwistStamped) -> None:
        self._command = message

    def _on_gripper(self, message: JointState) -> None:
        self._opening = 2.0 * message.position[0]

    def _move(self) -> None:
        now = self.get_clock().now()
        if (now - Time.from_msg(self._command.header.stamp)).nanoseconds < TIMEOUT * 1e9:
            linear = self._command.twist.linear
            self._position = self._position + self._period * np.array([linear.x, linear.y, linear.z])
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = now.to_msg(), "base"
        p = pose.pose.position
        p.x, p.y, p.z = self._position.tolist()
        self._pose.publish(pose)
        finger = self._opening / 2.0
        self._joints.publish(JointState(name=["fr3_finger_joint1", "fr3_finger_joint2"], position=[finger, finger]))


def lab(rig: Rig, bundle: Path) -> RomanNode:
    return rig.add(LabNode, task="roman", start="push")


def mock(rig: Rig, bundle: Path) -> RomanNode:
    return rig.add(MockArmNode, bundle=str(bundle))


def servo(rig: Rig, bundle: Path) -> RomanNode:
    content = yaml.safe_load(config_path("arms/franka.yaml").read_text())
    content["pose"]["max_age"] = content["fingers"]["max_age"] = 10.0
    content["gripper"].update(topic=GRIPPER.name, topic_type="JointState")
    del content["gripper"]["action"]
    file, limits = bundle.parent / "kept.yaml", bundle.parent / "patient.yaml"
    file.write_text(yaml.safe_dump(content))
    loose = write_loose_limits(bundle.parent).read_text()
    limits.write_text(loose.replace("command_age: 60.0", f"command_age: {TIMEOUT}"))
    rig.join(Servo)
    return rig.add(ArmBridge, bundle=str(bundle), config=str(file), limits=str(limits), servo_unchecked=True)


Make = Callable[[Rig, Path], RomanNode]
ARMS = pytest.mark.parametrize("make", [lab, mock, servo])


def moved(commander: Commander) -> float:
    """How far the hand has gone along x since the first state [m]."""
    return float(commander.hands[-1].hand_position[0] - commander.hands[0].hand_position[0])


@ARMS
def test_states_are_stamped_on_an_exact_grid(rig: Rig, bundle: Path, make: Make) -> None:
    commander = rig.join(Commander)
    make(rig, bundle)
    rig.spin_until(lambda: len(commander.hands) >= 10)
    stamps = np.array([hand.stamp_ns for hand in commander.hands])
    assert not (stamps % TICK_NS).any()
    assert (np.diff(stamps) >= 0).all()
    assert len(set(stamps.tolist())) >= 8


@ARMS
def test_it_follows_commands_and_stands_still_without(rig: Rig, bundle: Path, make: Make) -> None:
    commander = rig.join(Commander)
    arm = make(rig, bundle)
    rig.spin_until(lambda: commander.hands and moved(commander) > 0.02)
    assert np.abs(commander.hands[-1].hand_position - commander.hands[0].hand_position)[1:].max() < 0.005
    commander.willing = False
    rig.spin_until(lambda: stands_still(commander))
    reasons = ("held the arm", "standing still", "HALT_COMMAND_STALE")
    rig.spin_until(lambda: any(rig.said(arm.get_name(), reason) for reason in reasons))
    commander.willing = True
    before = moved(commander)
    rig.spin_until(lambda: moved(commander) > before + 0.01)


@ARMS
def test_it_stands_still_while_numbers_are_not_finite(rig: Rig, bundle: Path, make: Make) -> None:
    commander = rig.join(Commander)
    arm = make(rig, bundle)
    rig.spin_until(lambda: commander.hands and moved(commander) > 0.02)
    commander.velocity, commander.opening = np.array([0.05, np.nan, 0.0]), np.nan
    rig.spin_until(lambda: stands_still(commander))
    rig.spin_until(lambda: rig.reported(arm.get_name(), NOT_FINITE) >= 2)
    commander.velocity, commander.opening = FORWARD, GRIPPER_OPEN
    before = moved(commander)
    rig.spin_until(lambda: moved(commander) > before + 0.01)


@ARMS
@pytest.mark.parametrize("topic", [TWIST_COMMAND, GRIPPER_COMMAND], ids=["hand", "gripper"])
def test_it_stands_still_between_two_commanders(rig: Rig, bundle: Path, make: Make, topic: Topic) -> None:
    commander = rig.join(Commander)
    arm = make(rig, bundle)
    rig.spin_until(lambda: commander.hands and moved(commander) > 0.02)
    other = rig.join(lambda context: Node("joystick", context=context))
    other.create_publisher(topic.kind, topic.name, topic.qos)  # says nothing: that it may is enough
    rig.spin_until(lambda: rig.said(arm.get_name(), "HALT_TWO_COMMANDERS: blender, joystick"))
    rig.spin_until(lambda: stands_still(commander))
    before = moved(commander)
    rig.remove(other)
    rig.spin_until(lambda: moved(commander) > before + 0.01)


@ARMS
def test_it_stands_still_when_two_commands_for_one_scene_differ(rig: Rig, bundle: Path, make: Make) -> None:
    """Even if both come from one node, as after a hand-over that was too quick."""
    commander = rig.join(Commander)
    make(rig, bundle)
    rig.spin_until(lambda: commander.hands and moved(commander) > 0.02)
    commander.opinions = (1.0, -1.0)
    rig.spin_until(lambda: stands_still(commander))
    commander.opinions = (1.0, 0.5, 0.0)  # softly to rest is no contradiction
    seen = len(commander.hands)
    rig.spin_until(lambda: len(commander.hands) > seen + 15)
    commander.opinions = (1.0,)
    before = moved(commander)
    rig.spin_until(lambda: moved(commander) > before + 0.01)


def stands_still(commander: Commander) -> bool:
    recent = [hand.hand_position for hand in commander.hands[-12:]]
    return len(recent) == 12 and float(np.ptp(recent, axis=0).max()) < 0.0005


@pytest.mark.parametrize("make", [lab, mock])
def test_a_stop_of_an_inactive_blender_holds_it_until_rearm(rig: Rig, bundle: Path, make: Make) -> None:
    """As under a teleoperator, who commands while the blender is inactive; the bridge has a stop of its own."""
    rig.add(Blender, bundle=str(bundle))
    assert rig.change_state("blender", "deactivate")
    teleop = rig.join(lambda context: Commander(context, "teleop"))
    arm = make(rig, bundle)
    rig.spin_until(lambda: teleop.hands and moved(teleop) > 0.02)
    assert rig.trigger("blender/stop").success
    teleop.opening = GRIPPER_CLOSED
    rig.spin_until(lambda: stands_still(teleop))
    rig.spin_until(lambda: rig.said(arm.get_name(), "stopped"))
    stopped_at, seen = moved(teleop), len(teleop.hands)
    rig.spin_until(lambda: len(teleop.hands) > seen + 20)
    assert abs(moved(teleop) - stopped_at) < 0.0005
    assert arm._target == GRIPPER_OPEN
    assert rig.trigger("blender/rearm").success
    rig.spin_until(lambda: moved(teleop) > stopped_at + 0.01 and arm._target == GRIPPER_CLOSED)


@ARMS
def test_its_gripper_opens_and_closes(rig: Rig, bundle: Path, make: Make) -> None:
    commander = rig.join(Commander)
    commander.velocity = np.zeros(3)
    make(rig, bundle)
    rig.spin_until(lambda: commander.hands and commander.hands[-1].finger_opening > 0.075)
    commander.opening = GRIPPER_CLOSED
    rig.spin_until(lambda: commander.hands[-1].finger_opening < 0.005)


def test_the_mock_has_objects_of_each_tick(rig: Rig, bundle: Path) -> None:
    rig.listen(TRUTH_POSES)
    commander = rig.join(Commander)
    mock(rig, bundle)
    rig.last(TRUTH_POSES, 3)
    rig.spin_until(lambda: len(commander.hands) >= 3)
    stamps = {message_stamp(message) for message in rig.heard[TRUTH_POSES.name]}
    assert {hand.stamp_ns for hand in commander.hands} & stamps
