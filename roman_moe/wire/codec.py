"""SceneState, weights, actions and commands as standard ROS messages, and back; exact for every float64.

The message classes come from outside (`MessageCodec`): one module serves rclpy's generated classes and the dataclasses
of a rosbags type store, and imports neither. Decoding is strict: a message whose names or lengths differ from what is
expected raises `MessageError` and nothing else. It does not judge the numbers: whoever uses them asks `is_finite()`.
"""

from __future__ import annotations

import array
import dataclasses
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import Command
from roman_moe.core.spec import TaskSpec
from roman_moe.core.spec_parts import ANGULAR_AXES
from roman_moe.core.state import NANOSECONDS, SceneState
from roman_moe.wire import topics
from roman_moe.wire.bodies import Bodies, MessageError, scene_layout

BASE_FRAME = "base"
"""Frame of every position and velocity on a wire: the arm's first link."""

GRIPPER_JOINT = "gripper"

_WEIGHT = "weight/"
_COMMAND = (*(f"{part}/{axis}" for part in ("linear", "angular") for axis in "xyz"), "gripper")
_OF_COMMAND = (*_COMMAND, "guard", "operator")
LAB_TICK_NAMES = ("number", *_COMMAND, "paused")
"""Names of the numbers of a `lab/tick` message."""

STAMP_END = 12
"""Where the stamp of a serialized message ends: 4 bytes of encapsulation, seconds (int32), nanoseconds (uint32)."""

_SECONDS_LIMIT = 2**31  # builtin_interfaces/Time.sec is an int32

MessageTypes = Callable[[str], Any]
"""Gives the class of a message type's full name: `typestore.types.__getitem__` of rosbags, an importer of rclpy's."""


class MessageCodec:
    """Builds messages of one family of classes.

    Args:
        types: gives a message class by its full name, such as `sensor_msgs/msg/JointState`.
    """

    def __init__(self, types: MessageTypes) -> None:
        self._multi_dof = types(topics.MULTI_DOF)
        self._joint_state = types(topics.JOINT_STATE)
        self._twist_stamped = types(topics.TWIST_STAMPED)
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
        layout = scene_layout(state.spec)
        return self.bodies(layout.scene_names, layout.of_scene(state))

    def bodies(self, names: Sequence[str], bodies: Bodies) -> Any:
        """The MultiDOFJointState of bodies with these names."""
        zero = self._vector3((0.0, 0.0, 0.0))
        return self._multi_dof(
            header=self._stamped(bodies.stamp_ns, BASE_FRAME),
            joint_names=list(names),
            transforms=[
                self._transform(translation=self._vector3(place), rotation=self._rotation(turned))
                for place, turned in zip(bodies.translations, bodies.rotations, strict=True)
            ],
            twist=[
                self._twist(linear=self._vector3(linear), angular=self._vector3(angular))
                for linear, angular in zip(bodies.velocities, bodies.turns, strict=True)
            ],
            wrench=[self._wrench(force=self._vector3(row), torque=zero) for row in bodies.forces],
        )

    def weights(self, stamp_ns: int, skills: Sequence[str], weights: NDArray[np.float64]) -> Any:
        """The `gate/weights` message (JointState) of one weight a skill, (len(skills),)."""
        return self._vector_message(stamp_ns, "", skills, position=weights)

    def action(self, stamp_ns: int, layout: Sequence[str], action: NDArray[np.float64]) -> Any:
        """The `expert/<skill>/action` message (JointState) of an action, (len(layout),); see `ActionSpec.layout`."""
        return self._vector_message(stamp_ns, BASE_FRAME, layout, velocity=action)

    def twist(self, command: Command) -> Any:
        """The `delta_twist_cmds` message (TwistStamped) of a command."""
        linear, angular = self._vector3(command.linear_velocity), self._vector3(command.angular_velocity)
        twist = self._twist(linear=linear, angular=angular)
        return self._twist_stamped(header=self._stamped(command.stamp_ns, BASE_FRAME), twist=twist)

    def tick(self, stamp_ns: int, skills: Sequence[str], numbers: NDArray[np.float64]) -> Any:
        """The `blender/tick` message (JointState) of the numbers of `tick_names`, (len(skills) + 9,)."""
        return self._vector_message(stamp_ns, BASE_FRAME, tick_names(skills), position=numbers)

    def lab_tick(self, tick: LabTick) -> Any:
        """The `lab/tick` message (JointState) of what a lab's arm followed."""
        command = tick.command
        numbers = np.array([tick.number, *command.twist, command.gripper_opening, tick.paused])
        return self._vector_message(command.stamp_ns, BASE_FRAME, LAB_TICK_NAMES, position=numbers)

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

    def _rotation(self, quaternion: Iterable[float]) -> Any:
        x, y, z, w = quaternion
        return self._quaternion(x=float(x), y=float(y), z=float(z), w=float(w))


def message_stamp(message: Any) -> int:
    """Stamp [ns] of a message with a header.

    Raises:
        MessageError: if its nanoseconds make up a second or more.
    """
    return _stamp_ns(message.header.stamp.sec, message.header.stamp.nanosec)


def serialized_stamp(data: bytes) -> int:
    """Stamp [ns] of a serialized message that begins with a std_msgs/Header.

    Raises:
        MessageError: if it is too short for one, or its nanoseconds make up a second or more.
    """
    if len(data) < STAMP_END:
        raise MessageError(f"message of {len(data)} bytes: expected one with a stamp")
    return _stamp_ns(*struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4))


def _stamp_ns(seconds: int, nanoseconds: int) -> int:
    if not 0 <= nanoseconds < NANOSECONDS:
        raise MessageError(f"stamp has nanosec {nanoseconds}: expected less than {NANOSECONDS}")
    return int(seconds) * NANOSECONDS + int(nanoseconds)


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
        np.array([(*_xyz(transform.rotation), transform.rotation.w) for transform in message.transforms]),
        np.array([_xyz(twist.angular) for twist in message.twist]),
    )


def decode_scene(spec: TaskSpec, message: Any) -> SceneState:
    """SceneState of a task's `scene` message.

    Raises:
        MessageError: naming what differs from the layout in wire/bodies.py.
    """
    layout = scene_layout(spec)
    return layout.scene(read_bodies(topics.SCENE, message, layout.scene_names))


def decode_weights(message: Any, skills: Sequence[str]) -> NDArray[np.float64]:
    """Weights of `skills`, in that order, of a `gate/weights` message, (len(skills),).

    Raises:
        MessageError: if the message is not about exactly these skills.
    """
    return _decode_vector(topics.GATE_WEIGHTS, message.name, skills, "position", message.position)


def decode_action(message: Any, layout: Sequence[str]) -> NDArray[np.float64]:
    """Action of an `expert/<skill>/action` message, (len(layout),).

    Raises:
        MessageError: if the names or the length differ from `layout`.
    """
    return _decode_vector("expert action", message.name, layout, "velocity", message.velocity)


def decode_twist(message: Any) -> NDArray[np.float64]:
    """Linear and angular velocity of a `delta_twist_cmds` message, (6,) [m/s, rad/s].

    Raises:
        MessageError: if it is for another frame.
    """
    frame = message.header.frame_id
    if frame != BASE_FRAME:
        raise MessageError(f"{topics.TWIST_COMMAND}: frame {frame!r}: expected {BASE_FRAME!r}")
    return np.array((*_xyz(message.twist.linear), *_xyz(message.twist.angular)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class BlenderTick:
    """What the blender made of one scene.

    Attributes:
        skills: in the bundle's order.
        weights: that it used, without experts that are taken out or gave no answer, (n,); zeros when halted.
        command: that it sent, with the scene's stamp.
        guard: code of what the guard did to it (`control.guard.GuardStatus`).
        drove: whether the operator drove, and not the policy.
    """

    skills: tuple[str, ...]
    weights: NDArray[np.float64]
    command: Command
    guard: int
    drove: bool = False

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Those of `tick_names`, (len(skills) + 9,)."""
        command = self.command
        return np.array([*self.weights, *command.twist, command.gripper_opening, self.guard, self.drove])


def tick_names(skills: Sequence[str]) -> tuple[str, ...]:
    """Names of the numbers of a `blender/tick` message: weights, twist, gripper opening, guard's code, who drove."""
    return (*(f"{_WEIGHT}{skill}" for skill in skills), *_OF_COMMAND)


def decode_tick(message: Any) -> BlenderTick:
    """What a `blender/tick` message says; its names say of which skills.

    Raises:
        MessageError: if it does not name weights and then a command.
    """
    names = tuple(message.name)
    skills = tuple(name.removeprefix(_WEIGHT) for name in names[: -len(_OF_COMMAND)])
    numbers = _decode_vector(topics.TICK, names, tick_names(skills), "position", message.position)
    count = len(skills)
    command = command_of(message_stamp(message), numbers[count : count + 6], float(numbers[count + 6]))
    return BlenderTick(skills, numbers[:count], command, int(numbers[count + 7]), bool(numbers[count + 8]))


@dataclass(frozen=True, slots=True, eq=False)
class LabTick:
    """What a lab's arm followed in one tick.

    Attributes:
        number: of the tick in its episode, from 0 on.
        command: that it followed, with the stamp of the tick's state.
        paused: whether the episode was paused, and not judged.
    """

    number: int
    command: Command
    paused: bool = False


def decode_lab_tick(message: Any) -> LabTick:
    """What a `lab/tick` message says.

    Raises:
        MessageError: if it names anything else.
    """
    numbers = _decode_vector(topics.LAB_TICK, message.name, LAB_TICK_NAMES, "position", message.position)
    command = command_of(message_stamp(message), numbers[1:7], float(numbers[7]))
    return LabTick(int(numbers[0]), command, bool(numbers[8]))


def check_turns(spec: TaskSpec, twist: NDArray[np.float64]) -> None:
    """Make sure that a twist, (6,), turns the hand about no axis that the task's actions do not turn it about.

    Raises:
        MessageError: naming the axis.
    """
    for i, axis in enumerate(ANGULAR_AXES):
        if twist[3 + i] != 0.0 and i not in spec.action.angular_indices:
            turns = ", ".join(spec.action.angular) or "none"
            found = f"{topics.TWIST_COMMAND}: {twist[3 + i]:.3g} rad/s about {axis}"
            raise MessageError(f"{found}: task {spec.name!r} turns the hand about {turns}")


def decode_gripper(message: Any) -> float:
    """Wanted opening [m] of a `gripper_cmd` message.

    Raises:
        MessageError: if it is not about the one gripper joint.
    """
    return float(
        _decode_vector(topics.GRIPPER_COMMAND, message.name, (GRIPPER_JOINT,), "position", message.position)[0]
    )


def command_of(stamp_ns: int, twist: NDArray[np.float64], gripper_opening: float) -> Command:
    """Command of linear and angular velocity, (6,) [m/s, rad/s], and gripper opening [m]."""
    return Command(stamp_ns, twist[:3], gripper_opening, twist[3:])


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
