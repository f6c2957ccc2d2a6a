"""SceneState, weights, actions and commands as standard ROS messages, and back; exact for every float64.

The message classes come from outside (`MessageCodec`): one module serves rclpy's generated classes and the dataclasses
of a rosbags type store, and imports neither. Decoding is strict: a message whose names or lengths differ from what is
expected raises `MessageError` and nothing else. It does not judge the numbers: whoever uses them asks `is_finite()`.
"""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import ACTION_LAYOUT, Command
from roman_moe.core.bodies import (
    HAND_NAMES,
    SCENE_NAMES,
    Bodies,
    HandState,
    MessageError,
    ObjectPoses,
    bodies_of_hand,
    bodies_of_objects,
    bodies_of_scene,
    hand_of,
    objects_of,
    poses_of,
    scene_of,
)
from roman_moe.core.state import NANOSECONDS, OBJECTS, SceneState

MULTI_DOF = "sensor_msgs/msg/MultiDOFJointState"
JOINT_STATE = "sensor_msgs/msg/JointState"
TWIST_STAMPED = "geometry_msgs/msg/TwistStamped"

BASE_FRAME = "base"
"""Frame of every position and velocity: the arm's first link."""

GRIPPER_JOINT = "gripper"

_SECONDS_LIMIT = 2**31  # builtin_interfaces/Time.sec is an int32

MessageTypes = Callable[[str], Any]
"""Gives the class of a message type's full name: `typestore.types.__getitem__` of rosbags, an importer of rclpy's."""


class MessageCodec:
    """Builds messages of one family of classes.

    Args:
        types: gives a message class by its full name, such as `sensor_msgs/msg/JointState`.
    """

    def __init__(self, types: MessageTypes) -> None:
        self._multi_dof = types(MULTI_DOF)
        self._joint_state = types(JOINT_STATE)
        self._twist_stamped = types(TWIST_STAMPED)
        self._header = types("std_msgs/msg/Header")
        self._time = types("builtin_interfaces/msg/Time")
        self._transform = types("geometry_msgs/msg/Transform")
        self._twist = types("geometry_msgs/msg/Twist")
        self._wrench = types("geometry_msgs/msg/Wrench")
        self._vector = types("geometry_msgs/msg/Vector3")
        self._quaternion = types("geometry_msgs/msg/Quaternion")
        # rosbags' dataclasses hold float64[] as numpy arrays, rclpy's classes as array.array
        self._numpy_arrays = dataclasses.is_dataclass(self._joint_state)

    def time(self, stamp_ns: int) -> Any:
        """builtin_interfaces/Time of a stamp [ns].

        Raises:
            MessageError: if the stamp does not fit into the message.
        """
        seconds, nanoseconds = divmod(int(stamp_ns), NANOSECONDS)
        if not -_SECONDS_LIMIT <= seconds < _SECONDS_LIMIT:
            raise MessageError(f"stamp of {seconds} s: expected one that fits into 32 bits")
        return self._time(sec=seconds, nanosec=nanoseconds)

    def scene(self, state: SceneState) -> Any:
        """The `scene` message (MultiDOFJointState) of a state."""
        return self.bodies(SCENE_NAMES, bodies_of_scene(state))

    def hand_state(self, state: SceneState | HandState) -> Any:
        """The `hand_state` message (MultiDOFJointState) of a state."""
        return self.bodies(HAND_NAMES, bodies_of_hand(state))

    def object_poses(self, poses: ObjectPoses | SceneState) -> Any:
        """The `object_poses` message (MultiDOFJointState) of poses, or of a state's objects."""
        return self.bodies(OBJECTS, bodies_of_objects(poses_of(poses) if isinstance(poses, SceneState) else poses))

    def bodies(self, names: Sequence[str], bodies: Bodies) -> Any:
        """The MultiDOFJointState of bodies with these names."""
        zero = self._vector3((0.0, 0.0, 0.0))
        upright = self._quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
        return self._multi_dof(
            header=self._stamped(bodies.stamp_ns, BASE_FRAME),
            joint_names=list(names),
            transforms=[
                self._transform(translation=self._vector3(row), rotation=upright) for row in bodies.translations
            ],
            twist=[self._twist(linear=self._vector3(row), angular=zero) for row in bodies.velocities],
            wrench=[self._wrench(force=self._vector3(row), torque=zero) for row in bodies.forces],
        )

    def weights(self, stamp_ns: int, skills: Sequence[str], weights: NDArray[np.float64]) -> Any:
        """The `gate/weights` message (JointState) of one weight a skill, (len(skills),)."""
        return self._vector_message(stamp_ns, "", skills, position=weights)

    def action(self, stamp_ns: int, action: NDArray[np.float64]) -> Any:
        """The `expert/<skill>/action` message (JointState) of an action, (4,)."""
        return self._vector_message(stamp_ns, BASE_FRAME, ACTION_LAYOUT, velocity=action)

    def twist(self, command: Command) -> Any:
        """The `delta_twist_cmds` message (TwistStamped) of a command."""
        linear = self._vector3(command.linear_velocity)
        twist = self._twist(linear=linear, angular=self._vector3((0.0, 0.0, 0.0)))
        return self._twist_stamped(header=self._stamped(command.stamp_ns, BASE_FRAME), twist=twist)

    def gripper(self, command: Command) -> Any:
        """The `gripper_cmd` message (JointState) of a command."""
        opening = np.array([command.gripper_opening], dtype=np.float64)
        return self._vector_message(command.stamp_ns, "", (GRIPPER_JOINT,), position=opening)

    def _vector_message(
        self,
        stamp_ns: int,
        frame: str,
        names: Sequence[str],
        position: NDArray[np.float64] | None = None,
        velocity: NDArray[np.float64] | None = None,
    ) -> Any:
        return self._joint_state(
            header=self._stamped(stamp_ns, frame),
            name=list(names),
            position=self._doubles(position, len(names)),
            velocity=self._doubles(velocity, len(names)),
            effort=self._doubles(None, 0),
        )

    def _doubles(self, values: NDArray[np.float64] | None, size: int) -> Any:
        vector = np.empty(0) if values is None else np.array(values, dtype=np.float64)
        if values is not None and vector.shape != (size,):
            raise MessageError(f"vector of shape {vector.shape} for {size} names: expected ({size},)")
        return vector if self._numpy_arrays else array.array("d", vector.tobytes())

    def _stamped(self, stamp_ns: int, frame: str) -> Any:
        return self._header(stamp=self.time(stamp_ns), frame_id=frame)

    def _vector3(self, xyz: Iterable[float]) -> Any:
        x, y, z = xyz
        return self._vector(x=float(x), y=float(y), z=float(z))


def message_stamp(message: Any) -> int:
    """Stamp [ns] of a message with a header.

    Raises:
        MessageError: if its nanoseconds make up a second or more.
    """
    stamp = message.header.stamp
    if not 0 <= stamp.nanosec < NANOSECONDS:
        raise MessageError(f"stamp has nanosec {stamp.nanosec}: expected less than {NANOSECONDS}")
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def read_bodies(topic: str, message: Any, names: tuple[str, ...]) -> Bodies:
    """Bodies of a MultiDOFJointState for `topic` that must name exactly `names`.

    Raises:
        MessageError: naming what differs.
    """
    _check_names(topic, message.joint_names, names)
    for field in ("transforms", "twist", "wrench"):
        found = len(getattr(message, field))
        if found != len(names):
            raise MessageError(f"{topic}: {found} entries in {field}: expected {len(names)}")
    return Bodies(
        message_stamp(message),
        np.array([_xyz(transform.translation) for transform in message.transforms]),
        np.array([_xyz(twist.linear) for twist in message.twist]),
        np.array([_xyz(wrench.force) for wrench in message.wrench]),
    )


def decode_scene(message: Any) -> SceneState:
    """SceneState of a `scene` message.

    Raises:
        MessageError: naming what differs from the layout in core/bodies.py.
    """
    return scene_of(read_bodies("scene", message, SCENE_NAMES))


def decode_hand_state(message: Any) -> HandState:
    """HandState of a `hand_state` message.

    Raises:
        MessageError: naming what differs from the layout in core/bodies.py.
    """
    return hand_of(read_bodies("hand_state", message, HAND_NAMES))


def decode_object_poses(message: Any) -> ObjectPoses:
    """ObjectPoses of an `object_poses` message.

    Raises:
        MessageError: naming what differs from the layout in core/bodies.py.
    """
    return objects_of(read_bodies("object_poses", message, OBJECTS))


def decode_weights(message: Any, skills: Sequence[str]) -> NDArray[np.float64]:
    """Weights of `skills`, in that order, of a `gate/weights` message, (len(skills),).

    Raises:
        MessageError: if the message is not about exactly these skills.
    """
    return _decode_vector("gate/weights", message.name, skills, "position", message.position)


def decode_action(message: Any) -> NDArray[np.float64]:
    """Action of an `expert/<skill>/action` message, (4,).

    Raises:
        MessageError: if the names or the length differ from `ACTION_LAYOUT`.
    """
    return _decode_vector("expert action", message.name, ACTION_LAYOUT, "velocity", message.velocity)


def decode_twist(message: Any) -> NDArray[np.float64]:
    """Linear velocity of a `delta_twist_cmds` message, (3,) [m/s].

    Raises:
        MessageError: if it is for another frame or turns the hand, which no arm here may do.
    """
    frame = message.header.frame_id
    if frame != BASE_FRAME:
        raise MessageError(f"delta_twist_cmds: frame {frame!r}: expected {BASE_FRAME!r}")
    if _xyz(message.twist.angular) != (0.0, 0.0, 0.0):
        raise MessageError(f"delta_twist_cmds: angular velocity {_xyz(message.twist.angular)}: expected zero")
    return np.array(_xyz(message.twist.linear), dtype=np.float64)


def decode_gripper(message: Any) -> float:
    """Wanted opening [m] of a `gripper_cmd` message.

    Raises:
        MessageError: if it is not about the one gripper joint.
    """
    return float(_decode_vector("gripper_cmd", message.name, (GRIPPER_JOINT,), "position", message.position)[0])


def decode_command(twist: Any, gripper: Any) -> Command:
    """Command of a `delta_twist_cmds` and a `gripper_cmd` message of the same stamp.

    Raises:
        MessageError: if either is malformed or their stamps differ.
    """
    stamp = message_stamp(twist)
    if message_stamp(gripper) != stamp:
        raise MessageError(f"gripper_cmd: stamp {message_stamp(gripper)} ns: expected its twist's, {stamp} ns")
    return Command(stamp, decode_twist(twist), decode_gripper(gripper))


def _xyz(vector: Any) -> tuple[float, float, float]:
    return (vector.x, vector.y, vector.z)


def _check_names(topic: str, found: Sequence[str], expected: Sequence[str]) -> None:
    if tuple(found) == tuple(expected):
        return
    if len(found) != len(expected):
        raise MessageError(f"{topic}: {len(found)} names: expected {len(expected)}: {', '.join(expected)}")
    index, name, wanted = next(row for row in zip(range(len(found)), found, expected, strict=True) if row[1] != row[2])
    raise MessageError(f"{topic}: name {index} is {name!r}: expected {wanted!r}")


def _decode_vector(
    topic: str, names: Sequence[str], expected: Sequence[str], field: str, values: Any
) -> NDArray[np.float64]:
    _check_names(topic, names, expected)
    if len(values) != len(expected):
        raise MessageError(f"{topic}: {len(values)} numbers in {field}: expected {len(expected)}")
    return np.array(values, dtype=np.float64)
