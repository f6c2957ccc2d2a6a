"""The bridge to a real arm: the robot gets what Servo takes, and nothing at all when anything is wrong."""

from __future__ import annotations

import sys
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
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_rig import Rig
from sensor_msgs.msg import JointState
from specs import GRIPPER_CLOSED, GRIPPER_OPEN
from std_msgs.msg import Bool, Float64MultiArray, Int8

from roman_moe.control.limits import load_limits
from roman_moe.core.action import Command
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.core.paths import config_path
from roman_moe.nodes.arms.arm_bridge import REFUSED, ArmBridge
from roman_moe.nodes.base.node import MALFORMED, NOT_FINITE
from roman_moe.nodes.base.topics import CODEC, GRIPPER_COMMAND, HAND_STATE, TWIST_COMMAND, Topic
from roman_moe.wire.codec import message_stamp

TICK_NS = 50_000_000
FORWARD = np.array([0.03, 0.0, 0.0])  # so slow that a robot that stands still is no fault
SERVO = Topic("/servo_node/delta_twist_cmds", TwistStamped)
GRIPPER = Topic("/fr3_gripper_controller/commands", Float64MultiArray)
STATUS = Topic("/servo_node/status", Int8)
BUTTON = Topic("/button_pressed", Bool)


class Robot(Node):
    """Tells its pose and joints 100 times a second, and is told nothing."""

    def __init__(self, context: Any) -> None:
        super().__init__("robot", context=context)
        driver = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._pose = self.create_publisher(PoseStamped, "/franka_robot_state_broadcaster/current_pose", driver)
        self._joints = self.create_publisher(JointState, "/joint_states", driver)
        self.frame = "base"
        self.shift_ns = 0  # of its clock
        self.create_timer(0.01, self._tell)

    def _tell(self) -> None:
        pose = PoseStamped()
        pose.header.frame_id = self.frame
        pose.header.stamp = CODEC.time(self.get_clock().now().nanoseconds + self.shift_ns)
        pose.pose.position.x, pose.pose.position.z = 0.46, 0.31
        pose.pose.orientation.x, pose.pose.orientation.w = 1.0, 0.0
        self._pose.publish(pose)
        joints = JointState(name=["fr3_finger_joint1", "fr3_finger_joint2"], position=[0.02, 0.03])
        self._joints.publish(joints)


class Harness:
    """A bridge between a robot and a blender played by hand.

    Ages are loose unless a test is about them: this machine may be busy.
    """

    def __init__(self, rig: Rig, bundle: Path, change: dict[str, Any] | None = None, age: float = 60.0, **more: Any):
        self.rig = rig
        content = yaml.safe_load(config_path("arms/franka.yaml").read_text())
        content["pose"]["max_age"] = content["fingers"]["max_age"] = 30.0
        for section, values in (change or {}).items():
            content[section].update(values)
        file = bundle.parent / "arm.yaml"
        file.write_text(yaml.safe_dump(content))
        limits = bundle.parent / "limits.yaml"
        limits.write_text(
            write_loose_limits(bundle.parent).read_text().replace("command_age: 60.0", f"command_age: {age}")
        )
        assert load_limits(limits).max_command_age == age
        for topic in (SERVO, GRIPPER, HAND_STATE):
            rig.listen(topic)
        files = {"bundle": str(bundle), "config": str(file), "limits": str(limits)}
        self.node = rig.add(ArmBridge, servo_unchecked=True, **files, **more)
        self.robot = rig.join(Robot)
        self._answered = -1

    def know_hand(self, count: int = 1) -> Any:
        return decode_hand(self.rig.last(HAND_STATE, count))

    def command(self, velocity: np.ndarray = FORWARD, opening: float | None = None, stamp_ns: int | None = None) -> int:
        """Answer the latest hand state, one that has no answer yet, or another stamp."""
        self.rig.spin_until(lambda: message_stamp(self.rig.last(HAND_STATE)) > self._answered)
        self._answered = message_stamp(self.rig.last(HAND_STATE))
        stamp = self._answered if stamp_ns is None else stamp_ns
        command = Command(stamp, velocity, GRIPPER_OPEN if opening is None else opening)
        if opening is not None:
            self.rig.send(GRIPPER_COMMAND, CODEC.gripper(command))
        self.rig.send(TWIST_COMMAND, CODEC.twist(command))
        return stamp

    @property
    def twists(self) -> list[tuple[float, float, float]]:
        return [(m.twist.linear.x, m.twist.linear.y, m.twist.linear.z) for m in self.rig.heard[SERVO.name]]

    def until_told(self, velocity: np.ndarray) -> None:
        """Until Servo was told this [m/s]."""
        self.rig.spin_until(lambda: any(np.allclose(twist, velocity) for twist in self.twists))

    def until_silent(self) -> list[tuple[float, float, float]]:
        """The twists of the halt that is coming, once as many hand states went by without any as make silence."""
        end = (0.0, 0.0, 0.0)
        self.rig.spin_until(lambda: end in self.twists)
        hands = self.rig.heard[HAND_STATE.name]
        while True:
            told, seen = len(self.twists), len(hands)
            self.rig.spin_until(lambda seen=seen: len(hands) >= seen + 8)
            if len(self.twists) == told:
                return self.twists[self.twists.index(end) :]


def test_hand_states_come_on_an_exact_grid(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    rig.send(BUTTON, Bool(data=True))
    rig.spin_until(lambda: rig.heard[HAND_STATE.name] and harness.know_hand().flags[0])
    hand = harness.know_hand(len(rig.heard[HAND_STATE.name]) + 5)
    np.testing.assert_allclose(hand.hand_position, (0.46, 0.0, 0.31))
    assert hand.finger_opening == pytest.approx(0.05)
    stamps = [message_stamp(message) for message in rig.heard[HAND_STATE.name]]
    assert all(stamp % TICK_NS == 0 for stamp in stamps)
    assert all(np.diff(stamps) >= TICK_NS)


def test_servo_is_told_the_command_again_and_again_with_the_time_of_now(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.know_hand()
    stamp = harness.command()
    message = rig.last(SERVO, 5)
    assert message.header.frame_id == "base"
    assert set(harness.twists) == {tuple(FORWARD)}
    stamps = [message_stamp(m) for m in rig.heard[SERVO.name]]
    assert stamps == sorted(set(stamps))
    assert stamps[0] > stamp
    rig.spin_until(lambda: rig.said("arm_bridge", "following commands"))


def test_unitless_twists_are_of_servos_scale(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, {"twist": {"command_in_type": "unitless", "scale": 0.4, "frame": "base"}})
    harness.know_hand()
    harness.command()
    rig.last(SERVO)
    assert harness.twists[0] == pytest.approx((0.075, 0.0, 0.0))


@pytest.mark.parametrize(("kind", "positions"), [("Float64MultiArray", [0.039, 0.039]), ("JointState", [0.039, 0.039])])
def test_the_gripper_is_told_in_its_own_units(rig: Rig, bundle: Path, kind: str, positions: list[float]) -> None:
    topic = Topic("/hand", JointState if kind == "JointState" else Float64MultiArray)
    rig.listen(topic)
    harness = Harness(rig, bundle, {"gripper": {"topic": "/hand", "topic_type": kind}})
    harness.know_hand()
    harness.command(opening=GRIPPER_OPEN)
    message = rig.last(topic)
    assert list(message.position if kind == "JointState" else message.data) == positions
    harness.command(opening=GRIPPER_CLOSED)
    rig.spin_until(lambda: not any(_numbers(rig.heard[topic.name][-1])))
    count = len(rig.heard[topic.name])
    assert not any(_numbers(rig.last(topic, count + 2)))  # whoever came later is told, too


def _numbers(message: Any) -> list[float]:
    return list(message.data if isinstance(message, Float64MultiArray) else message.position)


def test_silence_of_the_commander_is_some_zero_twists_and_then_silence(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, age=0.5)
    harness.know_hand()
    harness.command()
    harness.until_told(FORWARD)
    assert harness.until_silent() == [(0.0, 0.0, 0.0)] * 4
    rig.spin_until(lambda: rig.said("arm_bridge", "HALT_COMMAND_STALE"))


@pytest.mark.parametrize(
    ("velocity", "ahead_ns", "reason"),
    [
        (np.array([0.1, np.nan, 0.0]), 0, "HALT_COMMAND_NOT_FINITE"),
        (FORWARD, 3_600_000_000_000, "HALT_COMMAND_FROM_THE_FUTURE"),
    ],
)
def test_a_command_that_cannot_be_is_a_halt_with_its_name(
    rig: Rig, bundle: Path, velocity: np.ndarray, ahead_ns: int, reason: str
) -> None:
    harness = Harness(rig, bundle)
    stamp = harness.know_hand().stamp_ns
    harness.command()
    harness.until_told(FORWARD)
    harness.command(velocity, stamp_ns=stamp + TICK_NS + ahead_ns)
    assert harness.until_silent() == [(0.0, 0.0, 0.0)] * 4
    rig.spin_until(lambda: rig.said("arm_bridge", reason))
    assert rig.reported("arm_bridge", REFUSED) == 1
    assert rig.reported("arm_bridge", NOT_FINITE) == (ahead_ns == 0)
    harness.know_hand(len(rig.heard[HAND_STATE.name]) + 2)
    harness.command(2.0 * FORWARD)
    harness.until_told(2.0 * FORWARD)


def test_old_commands_never_move_the_arm(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, age=0.5)
    stamp = harness.know_hand().stamp_ns
    harness.command(opening=GRIPPER_CLOSED, stamp_ns=stamp - 20 * TICK_NS)
    rig.spin_until(lambda: rig.reported("arm_bridge", REFUSED) == 2)
    harness.know_hand(len(rig.heard[HAND_STATE.name]) + 4)
    assert not harness.twists
    assert not rig.heard[GRIPPER.name]


@pytest.mark.parametrize("topic", [TWIST_COMMAND, GRIPPER_COMMAND, SERVO, GRIPPER])
def test_a_second_commander_halts_the_arm_be_it_through_the_graph_or_past_it(
    rig: Rig, bundle: Path, topic: Topic
) -> None:
    harness = Harness(rig, bundle)
    harness.know_hand()
    harness.command()
    harness.until_told(FORWARD)
    other = rig.join(lambda context: Node("joystick", context=context))
    other.create_publisher(topic.kind, topic.name, 10)
    assert harness.until_silent() == [(0.0, 0.0, 0.0)] * 4
    rig.spin_until(lambda: rig.said("arm_bridge", "HALT_TWO_COMMANDERS: joystick, probe"))
    rig.remove(other)
    rig.spin_until(lambda: harness.node._rivals == ["probe"])
    harness.command(2.0 * FORWARD)
    harness.until_told(2.0 * FORWARD)


def test_two_commands_for_one_scene_halt_the_arm(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.know_hand()
    stamp = harness.command()
    harness.until_told(FORWARD)
    harness.command(-FORWARD, stamp_ns=stamp)
    rig.spin_until(lambda: rig.said("arm_bridge", "HALT_TWO_COMMANDERS"))
    rig.spin_until(lambda: (0.0, 0.0, 0.0) in harness.twists)
    assert tuple(-FORWARD) not in harness.twists


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda robot: setattr(robot, "frame", "tool0"), "frame 'tool0': expected 'base'"),
        (lambda robot: setattr(robot, "shift_ns", 60_000_000_000), "in the future"),
        (lambda robot: setattr(robot, "shift_ns", -60_000_000_000), "s old: expected at most"),
    ],
)
def test_a_robot_that_cannot_be_trusted_has_no_hand(
    rig: Rig, bundle: Path, spoil: Callable[[Robot], None], complaint: str
) -> None:
    harness = Harness(rig, bundle)
    spoil(harness.robot)
    rig.spin_until(lambda: rig.said("arm_bridge", complaint))
    rig.spin_until(lambda: rig.reported("arm_bridge", MALFORMED) >= 20)
    assert not rig.heard[HAND_STATE.name]


def test_a_robot_that_falls_silent_is_halted(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, {"pose": {"max_age": 0.5}}, age=1.0)
    harness.know_hand()
    stamp = harness.command()
    harness.until_told(FORWARD)
    rig.remove(harness.robot)
    rig.spin_until(lambda: rig.said("arm_bridge", "no pose on"))
    rig.spin_until(lambda: (0.0, 0.0, 0.0) in harness.twists)
    told = len(harness.twists)
    for velocity in (FORWARD, np.full(3, np.nan)):
        rig.send(TWIST_COMMAND, CODEC.twist(Command(stamp, velocity, GRIPPER_OPEN)))
    rig.spin_until(lambda: rig.reported("arm_bridge", NOT_FINITE) == 1)  # so the one before has come, too
    assert not np.any(harness.twists[told:])


def test_read_only_does_everything_but_speak_to_the_robot(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle, read_only=True)
    harness.know_hand()
    harness.command(opening=GRIPPER_CLOSED)
    rig.spin_until(lambda: rig.said("arm_bridge", "read only: commands are not passed on"))
    for topic in (SERVO, GRIPPER):
        assert not harness.node.get_publishers_info_by_topic(topic.name)
    assert not harness.twists
    harness.know_hand(len(rig.heard[HAND_STATE.name]) + 3)


@pytest.mark.parametrize(("code", "name"), [(4, "HALT_FOR_COLLISION"), (-1, "INVALID")])
def test_servos_status_is_read_back(rig: Rig, bundle: Path, code: int, name: str) -> None:
    harness = Harness(rig, bundle, {"status": {"type": "Int8"}})
    harness.know_hand()
    harness.command()
    rig.send(STATUS, Int8(data=code))
    rig.spin_until(lambda: rig.said("arm_bridge", f"MoveIt Servo: {name}"))
    rig.send(STATUS, Int8(data=0))
    rig.spin_until(lambda: rig.said("arm_bridge", "following commands"))


def test_an_arm_that_is_taken_leave_of_is_left_at_rest(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.know_hand()
    harness.command()
    harness.until_told(FORWARD)
    rig.remove(harness.node)
    rig.spin_until(lambda: harness.twists[-1] == (0.0, 0.0, 0.0))


def test_a_stop_halts_until_it_is_rearmed(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    harness.know_hand()
    harness.command()
    harness.until_told(FORWARD)
    assert "no safety-rated emergency stop" in harness.node._stop()
    assert harness.until_silent() == [(0.0, 0.0, 0.0)] * 4
    rig.spin_until(lambda: rig.said("arm_bridge", "STOPPED"))
    harness.node._rearm()
    harness.command(2.0 * FORWARD)
    harness.until_told(2.0 * FORWARD)


def test_a_stop_outlives_another_configuration(rig: Rig, bundle: Path) -> None:
    harness = Harness(rig, bundle)
    assert rig.trigger("arm_bridge/stop").success
    for transition in ("deactivate", "cleanup", "configure", "activate"):
        assert rig.change_state("arm_bridge", transition)
    for _ in range(3):
        harness.know_hand(len(rig.heard[HAND_STATE.name]) + 1)
        harness.command()
    rig.spin_until(lambda: rig.said("arm_bridge", "STOPPED"))
    assert not np.any(harness.twists)
    assert "armed again" in rig.trigger("arm_bridge/rearm").message
    harness.command()
    harness.until_told(FORWARD)


def test_what_cannot_be_bridged_is_refused_at_the_start(rig: Rig, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'config' is empty: expected a file such as config/arms/franka.yaml"):
        rig.add(ArmBridge, "one", bundle=str(bundle), config="")
    with pytest.raises(ConfigError, match="no such file"):
        rig.add(ArmBridge, "two", bundle=str(bundle), config=str(tmp_path / "none.yaml"))
    looped = config_path("arms/franka.yaml").read_text().replace("/servo_node/delta", "/delta", 1)
    (tmp_path / "loop.yaml").write_text(looped)
    with pytest.raises(ConfigError, match="is the graph's own topic"):
        rig.add(ArmBridge, "three", bundle=str(bundle), config=str(tmp_path / "loop.yaml"))
    typed = config_path("arms/franka.yaml").read_text().replace("/status", "/status\n  type: ServoStatus", 1)
    (tmp_path / "typed.yaml").write_text(typed)
    if "moveit_msgs" not in sys.modules:
        with pytest.raises(RomanError, match="type ServoStatus needs moveit_msgs"):
            rig.add(ArmBridge, "four", bundle=str(bundle), config=str(tmp_path / "typed.yaml"))
