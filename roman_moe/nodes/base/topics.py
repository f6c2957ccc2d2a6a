"""The one table of topics: name, type, quality of service. Names are relative (REP 135) unless ROS fixes them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from roman_moe.core.action import hold
from roman_moe.core.spec import TaskSpec
from roman_moe.nodes.base.serialized import Numbers
from roman_moe.wire import topics as names
from roman_moe.wire.codec import (
    MessageCodec,
    command_of,
    decode_action,
    decode_gripper,
    decode_tick,
    decode_twist,
    decode_weights,
    tick_names,
)
from roman_moe.wire.topics import MESSAGE_TYPES

_STREAM = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
# takes what any camera's or driver's publisher offers, best effort or reliable (REP 2003)
SENSOR_DATA = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT, durability=DurabilityPolicy.VOLATILE)
# of an image of 2 MB, no more than the present ones
_FRAMES = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
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


def message_class(name: str) -> Any:
    """rclpy's class of a message type's full name, such as `sensor_msgs/msg/JointState`."""
    package, _, kind = name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), kind)


def _topic(name: str, qos: QoSProfile = _STREAM, **options: Any) -> Topic:
    return Topic(name, message_class(MESSAGE_TYPES[name]), qos, **options)


HAND_STATE = _topic(names.HAND_STATE)
JOINT_STATES = _topic(names.JOINT_STATES, shared=True)
ROBOT_DESCRIPTION = _topic(names.ROBOT_DESCRIPTION, _LATCHED, shared=True)
TRUTH_POSES = _topic(names.TRUTH_POSES, requested_qos=SENSOR_DATA)
OBJECT_POSES = _topic(names.OBJECT_POSES, requested_qos=SENSOR_DATA)
SEEN_POSES = _topic(names.SEEN_POSES)
SCENE = _topic(names.SCENE)
GATE_WEIGHTS = _topic(names.GATE_WEIGHTS, _TOLD)
OPERATOR_ACTION = _topic(names.OPERATOR_ACTION)
OPERATOR_WEIGHTS = _topic(names.OPERATOR_WEIGHTS)
TWIST_COMMAND = _topic(names.TWIST_COMMAND, _TOLD)
GRIPPER_COMMAND = _topic(names.GRIPPER_COMMAND)
TICK = _topic(names.TICK, _TOLD)
STOPPED = _topic(names.STOPPED, _LATCHED)
LAB_TICK = _topic(names.LAB_TICK, _TOLD)
OUTCOME = _topic(names.OUTCOME, _LATCHED)
DIAGNOSTICS = _topic(names.DIAGNOSTICS, shared=True)
ENDED = _topic(names.ENDED, _LATCHED, shared=True)
JOY = _topic(names.JOY, requested_qos=SENSOR_DATA)
CLOCK = _topic(names.CLOCK, shared=True)

HELD_TICKS = "held_ticks"
"""In the lab's reports and outcomes: how many ticks it held the arm for want of a command."""

FAULT = "fault"
"""Outcome of an episode that the simulation itself could not finish."""


def camera(name: str, part: str, reliable: bool = False) -> Topic:
    """One of a camera's topics; see `wire.topics.CAMERA_TYPES`. `reliable`: whether a lost message is sent again."""
    qos = {names.CAMERA_POSE: _LATCHED, names.COMPRESSED: _STREAM}.get(part, _FRAMES)
    requested = SENSOR_DATA if qos is not _LATCHED and not reliable else qos
    return Topic(names.camera(name, part), message_class(names.CAMERA_TYPES[part]), qos, requested_qos=requested)


def deep(topic: Topic) -> Topic:
    """A topic for whoever must lose nothing that has come, however long it is busy."""
    qos = topic.requested_qos or topic.qos
    deep_qos = QoSProfile(depth=300, reliability=qos.reliability, durability=qos.durability)
    return replace(topic, requested_qos=deep_qos)


def expert_action(skill: str) -> Topic:
    """Topic of one expert's actions, to the blender."""
    return Topic(names.expert_action(skill), message_class(names.JOINT_STATE))


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
    """Of TICK: the numbers of `wire.codec.tick_names`."""
    return Numbers(len(tick_names(skills)), partial(CODEC.tick, 0, skills), lambda m: decode_tick(m).numbers)


def weights_of(skills: tuple[str, ...]) -> Numbers:
    """Of GATE_WEIGHTS: one a skill, in this order."""
    return Numbers(len(skills), partial(CODEC.weights, 0, skills), partial(decode_weights, skills=skills))
