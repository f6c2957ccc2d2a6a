"""`config/arms/<arm>.yaml`: topics, frames and units of a robot behind MoveIt Servo."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import find_shipped
from roman_moe.core.ranges import (
    AT_LEAST_1,
    Checked,
    Finite,
    Positive,
    Quaternion,
    Range,
    Vector,
    check_ranges,
)
from roman_moe.core.spec import TaskSpec

SERVO_TIMEOUT = 0.1  # [s] MoveIt Servo's incoming_command_timeout: whoever commands must be heard more often than that


@dataclass(frozen=True)
class TwistConfig(Checked):
    """Commands to MoveIt Servo.

    Attributes:
        topic: Servo's topic of geometry_msgs/TwistStamped.
        frame: of the twists, and of the poses: the base frame, at the arm's first link.
        command_in_type: as Servo's parameter: "speed_units" (m/s) or "unitless" (-1 to 1, of `scale`).
        scale: as Servo's parameter scale.linear, the speed of a unitless 1 [m/s].
        rotational_scale: as Servo's parameter scale.rotational, likewise for turning [rad/s]; a task that turns faster
            is held to it.
        tip_offset: from the tip of Servo's planning group, which its twists move, to the point between the fingertips,
            in the pose's own frame, three numbers [m].
        rate: rate at which a command is repeated until the next one [Hz]: twice in `SERVO_TIMEOUT` at least.
        halt_messages: number of zero twists at a halt, before the bridge stops publishing.
    """

    topic: str = "/servo_node/delta_twist_cmds"
    frame: str = "base"
    command_in_type: Literal["speed_units", "unitless"] = "speed_units"
    scale: Positive = 0.4
    rotational_scale: Positive = 0.8
    tip_offset: Vector = (0.0, 0.0, 0.0)
    rate: Annotated[float, Range(2.0 / SERVO_TIMEOUT, math.inf, below=True)] = 40.0
    halt_messages: Annotated[int, AT_LEAST_1] = 4


@dataclass(frozen=True)
class PoseConfig(Checked):
    """Pose of the hand.

    Attributes:
        topic: of geometry_msgs/PoseStamped, in the frame of the twists.
        tool_offset: from that pose to the point between the fingertips, in the pose's own frame, three numbers [m].
        tool_orientation: of the hand in the pose's own frame, a quaternion x, y, z, w: the hand's z axis points out of
            the gripper, and its fingers move along y.
        max_age: largest age, by its stamp and since its receipt [s].
        clock_tolerance: largest time by which its stamp may be ahead of this machine's clock [s].
        velocity_window: duration of the poses from which the hand's velocity is computed [s].
    """

    topic: str
    tool_offset: Vector = (0.0, 0.0, 0.0)
    tool_orientation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    max_age: Positive = 0.1
    clock_tolerance: Positive = 0.01
    velocity_window: Positive = 0.04


@dataclass(frozen=True)
class FingersConfig:
    """Opening of the fingers, and whether they hold something.

    The opening is `offset` plus each joint's position times its factor.

    Attributes:
        joints: factor [m of opening per unit of the joint's position] by the joint's name.
        topic: of sensor_msgs/JointState; messages without these joints are ignored.
        offset: opening when all joints are at zero [m].
        max_age: largest age since its receipt [s].
        forces: "effort": each joint's effort is a force [N], of the left and right finger in this order. One joint
            counts for both. "stall": fingers that were commanded to close and stand still apart hold something.
        stall_time: time for which they have to stand still [s].
    """

    joints: Mapping[str, float]
    topic: str = "/joint_states"
    offset: float = 0.0
    max_age: Positive = 0.5
    forces: Literal["effort", "stall"] = "stall"
    stall_time: Positive = 0.15

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.joints or len(self.joints) > 2 or not all(map(math.isfinite, self.joints.values())):
            raise ValueError(f"joints {dict(self.joints)}: expected one or two joints with finite factors")


@dataclass(frozen=True)
class GripperConfig:
    """Commands to the gripper: by an action if control_msgs is installed, else by a topic.

    A joint's position is `offset` + `scale` times the opening [m].

    Attributes:
        action: name of the action; none if empty.
        action_type: "GripperCommand" or "ParallelGripperCommand", of control_msgs.
        topic: instead; none if empty.
        topic_type: "JointState" (sensor_msgs) or "Float64MultiArray" (std_msgs).
        joints: names for a JointState or a ParallelGripperCommand; as many numbers go into a Float64MultiArray.
        scale: units of the joints per metre of opening.
        offset: position of a closed gripper, in units of the joints.
        largest_opening: largest commanded opening [m], or the task's if that is smaller; some grippers refuse more than
            their calibrated width.
        max_effort: force in the action's goals [N].
        answer_timeout: time within which the gripper must accept or reject a goal [s].
        timeout: time within which it must be reachable at the start, and finish a goal [s].
    """

    joints: tuple[str, ...]
    action: str = ""
    action_type: Literal["GripperCommand", "ParallelGripperCommand"] = "ParallelGripperCommand"
    topic: str = ""
    topic_type: Literal["JointState", "Float64MultiArray"] = "Float64MultiArray"
    scale: Finite = 1.0
    offset: Finite = 0.0
    largest_opening: Annotated[float, Range(0, math.inf, above=True)] = math.inf
    max_effort: Positive = 20.0
    answer_timeout: Positive = 1.0
    timeout: Positive = 5.0

    def __post_init__(self) -> None:
        check_ranges(self)
        if not (self.action or self.topic):
            raise ValueError("neither action nor topic: expected at least one")
        if not self.joints:
            raise ValueError("joints is empty: expected at least one name")
        if self.action and self.action_type == "ParallelGripperCommand" and len(self.joints) > 1:
            found = len(self.joints)
            raise ValueError(f"joints: {found} names: expected one: a ParallelGripperCommand server takes one")
        if self.scale == 0.0:
            raise ValueError("scale is 0: expected another number")


@dataclass(frozen=True)
class StatusConfig:
    """Status of Servo.

    Attributes:
        topic: topic of the status; no subscription if empty.
        type: "ServoStatus" (moveit_msgs), "Int8" (std_msgs, Servo before 2.6), or "auto": the first if it is installed.
    """

    topic: str = "/servo_node/status"
    type: Literal["auto", "ServoStatus", "Int8"] = "auto"


@dataclass(frozen=True)
class ArmConfig:
    """An arm behind MoveIt Servo.

    Attributes:
        twist, pose, fingers, gripper, status: see there.
        flags: topics of std_msgs/Bool by the flag's name in the task; a flag without one stays false.
    """

    pose: PoseConfig
    fingers: FingersConfig
    gripper: GripperConfig
    twist: TwistConfig = field(default_factory=TwistConfig)
    status: StatusConfig = field(default_factory=StatusConfig)
    flags: Mapping[str, str] = field(default_factory=dict)


def load_arm_config(path: str | Path, spec: TaskSpec) -> ArmConfig:
    """An arm's description, of a file of one's own or a shipped one such as config/arms/franka.yaml, for a task.

    Raises:
        ConfigError: naming file and key.
    """
    file = find_shipped(path)
    config = build(ArmConfig, read_yaml(file, ConfigError), str(file), ConfigError)
    for name in config.flags:
        if name not in spec.flag_index:
            known = ", ".join(spec.flags) or "none: it has no flags"
            raise ConfigError(f"{file}: flags: name {name!r}: task {spec.name!r} has {known}")
    largest = min(config.gripper.largest_opening, spec.gripper.open)
    return replace(config, gripper=replace(config.gripper, largest_opening=largest))
