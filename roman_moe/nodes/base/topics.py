"""The one table of topics: name, type, quality of service. Names are relative (REP 135) unless ROS fixes them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from numpy.typing import NDArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_msgs.msg import Bool, String

from roman_moe.core.action import hold
from roman_moe.core.messages import (
    MessageCodec,
    command_of,
    decode_action,
    decode_gripper,
    decode_tick,
    decode_twist,
    decode_weights,
    tick_names,
)
from roman_moe.core.spec import TaskSpec
from roman_moe.nodes.base.wire import Numbers

_STREAM = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
# takes what any camera's or driver's publisher offers, best effort or reliable (REP 2003)
SENSOR_DATA = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE)
# deep: the bring-up tells every tick, and no tick waits for it; what a busy machine loses must still be there to resend
_TOLD = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
# more than one: the next episode begins at once, and must not displace how the last one ended
_LATCHED = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class Topic:
    """A topic: its name, the class of its messages, and its quality of service.

    Attributes:
        qos: that publishers offer.
        requested_qos: of subscriptions, where it is another one.
        shared: whether several nodes publish it.
    """

    name: str
    kind: Any
    qos: QoSProfile = field(default_factory=lambda: _STREAM)
    shared: bool = False
    requested_qos: QoSProfile | None = None


HAND_STATE = Topic("hand_state", MultiDOFJointState)  # arm -> observer
JOINT_STATES = Topic("joint_states", JointState, shared=True)  # arm -> all
ROBOT_DESCRIPTION = Topic("robot_description", String, _LATCHED, shared=True)  # lab -> RViz, MoveIt: URDF
TRUTH_POSES = Topic("truth/object_poses", MultiDOFJointState, requested_qos=SENSOR_DATA)  # lab -> pose source
OBJECT_POSES = Topic(
    "object_poses", MultiDOFJointState, requested_qos=SENSOR_DATA
)  # pose source or estimator -> observer
SCENE = Topic("scene", MultiDOFJointState)  # observer -> gate, experts, blender, recorder
GATE_WEIGHTS = Topic("gate/weights", JointState, _TOLD)  # gate -> blender
TWIST_COMMAND = Topic("delta_twist_cmds", TwistStamped, _TOLD)  # blender or teleop -> arm
GRIPPER_COMMAND = Topic("gripper_cmd", JointState)  # likewise
TICK = Topic("blender/tick", JointState, _TOLD)  # blender -> bring-up, recorder, console: what each tick used
STOPPED = Topic("blender/stopped", Bool, _LATCHED)  # blender -> lab, mock: its software stop
OUTCOME = Topic("lab/outcome", DiagnosticStatus, _LATCHED)  # lab -> whoever asks how it went
DIAGNOSTICS = Topic("/diagnostics", DiagnosticArray, shared=True)  # all nodes, 1 Hz and on change
ENDED = Topic("supervisor/ended", String, _LATCHED, shared=True)  # bring-up -> arms: ids of killed processes
CLOCK = Topic("/clock", Clock, shared=True)  # lab -> all, with use_sim_time

HELD_TICKS = "held_ticks"
"""In the lab's reports and outcomes: how many ticks it rested for want of a command."""

FAULT = "fault"
"""Outcome of an episode that the simulation itself could not finish."""


def expert_action(skill: str) -> Topic:
    """Topic of one expert's actions, to the blender."""
    return Topic(f"expert/{skill}/action", JointState)


def message_class(name: str) -> Any:
    """rclpy's class of a message type's full name, such as `sensor_msgs/msg/JointState`."""
    package, _, kind = name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), kind)


CODEC = MessageCodec(message_class)
"""Builds rclpy's messages from core types."""

TWIST = Numbers(6, lambda twist: CODEC.twist(command_of(0, twist, 0.0)), decode_twist)
"""Of TWIST_COMMAND: linear [m/s] and angular velocity [rad/s]."""

GRIPPER = Numbers(1, lambda opening: CODEC.gripper(hold(0, opening[0])), lambda m: np.array([decode_gripper(m)]))
"""Of GRIPPER_COMMAND: the opening [m]."""


def action_of(spec: TaskSpec) -> Numbers:
    """Of the topics `expert_action`: the task's actions."""
    layout = spec.action.layout
    return Numbers(len(layout), partial(CODEC.action, 0, layout), partial(decode_action, layout=layout))


def tick_of(skills: tuple[str, ...]) -> Numbers:
    """Of TICK: the numbers of `core.messages.tick_names`."""

    def decode(message: Any) -> NDArray[np.float64]:
        tick = decode_tick(message)
        return np.array([*tick.weights, *tick.command.twist, tick.command.gripper_opening, tick.guard])

    return Numbers(len(tick_names(skills)), partial(CODEC.tick, 0, skills), decode)


def weights_of(skills: tuple[str, ...]) -> Numbers:
    """Of GATE_WEIGHTS: one a skill, in this order."""
    return Numbers(len(skills), partial(CODEC.weights, 0, skills), partial(decode_weights, skills=skills))
