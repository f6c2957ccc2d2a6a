"""With use_sim_time, an arm's time is /clock's: none goes by while it stands, however long this machine takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import PoseStamped, TwistStamped
from ros_rig import Rig
from rosgraph_msgs.msg import Clock
from scenes import scene_at
from sensor_msgs.msg import JointState
from specs import ACTION_LAYOUT, GRIPPER_OPEN, ROMAN, SKILLS
from std_msgs.msg import Float64MultiArray

from roman_moe.arms.config import load_arm_config
from roman_moe.control.guard import GuardStatus
from roman_moe.core.action import Command
from roman_moe.core.paths import config_path
from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.arms.arm_bridge import ArmBridge
from roman_moe.nodes.arms.lab_node import LabNode
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.control.blender import MISSED_TICKS, Blender
from roman_moe.wire.codec import message_stamp

STEP_NS = 10_000_000
TICK_NS = 50_000_000
SERVO = topics.Topic("/servo_node/delta_twist_cmds", TwistStamped)
FORWARD = np.array([0.03, 0.0, 0.0])


class SimulatedClock:
    """The clock that a node under test follows, step by step."""

    def __init__(self, rig: Rig, node: RomanNode) -> None:
        self.rig, self.node, self.now_ns = rig, node, 0

    def set(self, now_ns: int) -> None:
        self.now_ns = now_ns
        while self.node.get_clock().now().nanoseconds != now_ns:  # /clock is best effort
            self.rig.send(topics.CLOCK, Clock(clock=topics.CODEC.time(now_ns)))
            self.rig.pass_moment()

    def stand(self, reports: int = 2) -> None:
        """Let more than a second of wall time go by, and none on this clock: the node reports once in a second."""
        heard = self.rig.heard[topics.DIAGNOSTICS.name]
        name, begin = self.node.get_name(), len(heard)
        self.rig.spin_until(lambda: sum(s.name == name for a in heard[begin:] for s in a.status) >= reports)


class Robot:
    """Says where it is whenever the clock goes on by a step, if it is there."""

    def __init__(self, rig: Rig, clock: SimulatedClock) -> None:
        self.rig, self.clock = rig, clock
        config = load_arm_config(config_path("arms/franka.yaml"), ROMAN)
        self._pose, self._joints = (
            topics.Topic(config.pose.topic, PoseStamped),
            topics.Topic(config.fingers.topic, JointState),
        )

    def steps(self, count: int, there: bool = True) -> None:
        for _ in range(count):
            self.clock.set(self.clock.now_ns + STEP_NS)
            if there:
                self._tell()

    def _tell(self) -> None:
        pose = PoseStamped()
        pose.header.frame_id, pose.header.stamp = "base", topics.CODEC.time(self.clock.now_ns)
        pose.pose.position.x, pose.pose.position.z = 0.46, 0.31
        pose.pose.orientation.x, pose.pose.orientation.w = 1.0, 0.0
        self.rig.send(self._pose, pose)
        self.rig.send(self._joints, JointState(name=["fr3_finger_joint1", "fr3_finger_joint2"], position=[0.02, 0.03]))


def bridge(rig: Rig, bundle: Path) -> tuple[ArmBridge, SimulatedClock, Robot]:
    """With the shipped ages of 0.1 s."""
    content = yaml.safe_load(config_path("arms/franka.yaml").read_text())
    content["gripper"] = {**content["gripper"], "action": ""}
    file = bundle.parent / "simulated.yaml"
    file.write_text(yaml.safe_dump(content))
    for topic in (SERVO, topics.HAND_STATE, topics.Topic(content["gripper"]["topic"], Float64MultiArray)):
        rig.listen(topic)
    node = rig.add(ArmBridge, servo_unchecked=True, use_sim_time=True, bundle=str(bundle), config=str(file))
    clock = SimulatedClock(rig, node)
    return node, clock, Robot(rig, clock)


def moves(rig: Rig) -> bool:
    return bool(rig.heard[SERVO.name]) and rig.heard[SERVO.name][-1].twist.linear.x > 0.0


def test_a_bridge_grows_no_older_than_its_clock(rig: Rig, bundle: Path) -> None:
    node, clock, robot = bridge(rig, bundle)
    robot.steps(12)
    rig.spin_until(lambda: message_stamp(rig.last(topics.HAND_STATE)) == 2 * TICK_NS)
    rig.send(topics.TWIST_COMMAND, topics.CODEC.twist(Command(2 * TICK_NS, FORWARD, GRIPPER_OPEN)))
    rig.spin_until(lambda: moves(rig))
    clock.stand()  # ten times longer than a command or a pose may be old
    assert moves(rig)
    assert node._watchdog.status is GuardStatus.NO_WARNING
    robot.steps(12)
    rig.spin_until(lambda: not moves(rig))
    assert node._watchdog.status is GuardStatus.HALT_COMMAND_STALE


def test_a_robot_that_falls_silent_is_missed_by_its_own_time(rig: Rig, bundle: Path) -> None:
    node, clock, robot = bridge(rig, bundle)
    robot.steps(12)
    rig.last(topics.HAND_STATE)
    clock.stand()
    assert not node._robot.missing(*node._now())
    robot.steps(12, there=False)
    assert "no pose" in node._robot.missing(*node._now())


def test_a_bridge_without_a_clock_says_so_and_refuses_nothing(rig: Rig, bundle: Path) -> None:
    node, clock, robot = bridge(rig, bundle)
    robot._tell()
    clock.stand()
    assert rig.said("arm_bridge", "waiting for /clock")
    assert not node.diagnostics.counts
    robot.steps(12)
    rig.last(topics.HAND_STATE)


def test_a_simulation_that_begins_again_is_followed_at_once(rig: Rig, bundle: Path) -> None:
    """Its clock is set back by a minute; the bridge does not wait until that has gone by."""
    node, clock, robot = bridge(rig, bundle)
    clock.set(60 * NANOSECONDS)
    robot.steps(12)
    before = node.steady()
    clock.set(NANOSECONDS)
    robot.steps(12)
    assert 0.1 < node.steady() - before < 1.0
    newest = NANOSECONDS + 2 * TICK_NS
    rig.spin_until(lambda: message_stamp(rig.last(topics.HAND_STATE)) == newest)
    rig.send(topics.TWIST_COMMAND, topics.CODEC.twist(Command(newest, FORWARD, GRIPPER_OPEN)))
    rig.spin_until(lambda: moves(rig))


def test_a_blenders_deadline_and_its_timeout_are_the_clocks(rig: Rig, bundle: Path) -> None:
    node = rig.add(Blender, bundle=str(bundle), use_sim_time=True)
    clock = SimulatedClock(rig, node)
    rig.listen(topics.TWIST_COMMAND)
    weights = np.eye(len(SKILLS))[0]
    commands = rig.heard[topics.TWIST_COMMAND.name]

    def scene() -> None:
        rig.send(topics.SCENE, topics.CODEC.scene(scene_at(clock.now_ns)))
        rig.send(topics.GATE_WEIGHTS, topics.CODEC.weights(clock.now_ns, SKILLS, weights))
        rig.spin_until(lambda: node._pending.stamp == clock.now_ns and node._pending.present_weights() is not None)

    clock.set(2 * TICK_NS)
    scene()
    rig.send(topics.expert_action(SKILLS[0]), topics.CODEC.action(clock.now_ns, ACTION_LAYOUT, np.zeros(4)))
    rig.spin_until(lambda: len(commands) == 1)  # whole: from now on it keeps its deadlines
    clock.set(3 * TICK_NS)
    scene()
    clock.stand()
    assert len(commands) == 1
    clock.set(3 * TICK_NS + 4 * STEP_NS)
    rig.spin_until(lambda: node.diagnostics.counts[MISSED_TICKS] == 1)
    clock.stand()
    assert "HALT_OBSERVER_SILENT" not in rig.fact("blender", "guard")
    clock.set(3 * TICK_NS + 15 * STEP_NS)
    rig.spin_until(lambda: "HALT_OBSERVER_SILENT" in rig.fact("blender", "guard"))


def test_in_real_time_the_labs_clock_goes_on_within_a_tick(rig: Rig) -> None:
    """Deadlines that follow it are shorter than a tick."""
    pytest.importorskip("mujoco")
    rig.listen(topics.CLOCK)
    rig.listen(topics.HAND_STATE)
    rig.add(LabNode, task="roman", start="push", lockstep=False)

    def clock() -> list[int]:
        return [m.clock.sec * NANOSECONDS + m.clock.nanosec for m in rig.heard[topics.CLOCK.name]]

    def stamps() -> list[int]:
        return [message_stamp(m) for m in rig.heard[topics.HAND_STATE.name]]

    rig.spin_until(lambda: stamps() and any(now > stamps()[-1] and now % TICK_NS for now in clock()))
    assert clock() == sorted(clock())
