"""SceneState, weights, actions and commands as standard ROS messages, and back; exact for every float64.

The message classes come from outside (`MessageCodec`): one module serves rclpy's generated classes and the dataclasses
of a rosbags type store, and imports neither. Decoding is strict: a message whose names or lengths differ from what is
expected raises `MessageError` and nothing else. It does not judge the numbers: whoever uses them asks `is_finite()`.

Layout of the named bodies (sensor_msgs/MultiDOFJointState):

| body | carries |
|---|---|
| `hand` | transform.translation = position [m], twist.linear = velocity [m/s] |
| `fingers` | transform.translation.x = opening [m]; wrench.force.x, .y = forces on the left and right pad [N] |
| an object | transform.translation = position [m]; wrench.force.x = validity (0 or 1), wrench.force.y = age [s] |
| `flag/<name>` | transform.translation.x = 0 or 1 |

`scene` has all of them in the order of `SCENE_NAMES`, `hand_state` hand, fingers and flags, `object_poses` the objects.
"""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import ACTION_LAYOUT, Command
from roman_moe.core.errors import RomanError
from roman_moe.core.state import FLAGS, NANOSECONDS, OBJECTS, SceneState

MULTI_DOF = "sensor_msgs/msg/MultiDOFJointState"
JOINT_STATE = "sensor_msgs/msg/JointState"
TWIST_STAMPED = "geometry_msgs/msg/TwistStamped"

BASE_FRAME = "base"
"""Frame of every position and velocity: the arm's first link."""

GRIPPER_JOINT = "gripper"

_FLAG_NAMES = tuple(f"flag/{name}" for name in FLAGS)
HAND_NAMES: tuple[str, ...] = ("hand", "fingers", *_FLAG_NAMES)
SCENE_NAMES: tuple[str, ...] = ("hand", "fingers", *OBJECTS, *_FLAG_NAMES)

_SECONDS_LIMIT = 2**31  # builtin_interfaces/Time.sec is an int32

MessageTypes = Callable[[str], Any]
"""Gives the class of a message type's full name: `typestore.types.__getitem__` of rosbags, an importer of rclpy's."""


class MessageError(RomanError):
    """A message whose names, lengths or stamp are not what its topic demands."""


@dataclass(frozen=True, slots=True, eq=False)
class HandState:
    """What the arm itself knows: the fields of SceneState without the objects (see there for units)."""

    stamp_ns: int
    hand_position: NDArray[np.float64]
    hand_velocity: NDArray[np.float64]
    finger_opening: float
    finger_forces: NDArray[np.float64]
    flags: NDArray[np.bool_]

    def with_poses(self, poses: ObjectPoses) -> SceneState:
        """The scene at this hand's stamp; an object's age grows by what the poses are older than the hand."""
        lag = (self.stamp_ns - poses.stamp_ns) / NANOSECONDS
        return SceneState(
            stamp_ns=self.stamp_ns,
            hand_position=self.hand_position,
            hand_velocity=self.hand_velocity,
            finger_opening=self.finger_opening,
            finger_forces=self.finger_forces,
            object_positions=poses.positions,
            flags=self.flags,
            object_valid=poses.valid,
            object_ages=poses.ages + lag,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ObjectPoses:
    """Positions of `OBJECTS` as a pose source sees them.

    Attributes:
        stamp_ns: when they were seen [ns]: the image's time.
        positions: (len(OBJECTS), 3) [m].
        valid: whether each may be used, (len(OBJECTS),).
        ages: how much older than `stamp_ns` each is, (len(OBJECTS),) [s].
    """

    stamp_ns: int
    positions: NDArray[np.float64]
    valid: NDArray[np.bool_]
    ages: NDArray[np.float64]

    def is_finite(self) -> bool:
        """Whether every position is finite."""
        return bool(np.isfinite(self.positions).all())


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """The numbers of a MultiDOFJointState with known names.

    Attributes:
        stamp_ns: of the message [ns].
        translations, velocities, forces: (n, 3) each.
    """

    stamp_ns: int
    translations: NDArray[np.float64]
    velocities: NDArray[np.float64]
    forces: NDArray[np.float64]

    @classmethod
    def at_zero(cls, stamp_ns: int, count: int) -> Bodies:
        """`count` bodies, all numbers zero."""
        return cls(stamp_ns, np.zeros((count, 3)), np.zeros((count, 3)), np.zeros((count, 3)))

    @classmethod
    def of(cls, topic: str, message: Any, names: tuple[str, ...]) -> Bodies:
        """Bodies of a message for `topic` that must name exactly `names`.

        Raises:
            MessageError: naming what differs.
        """
        _check_names(topic, message.joint_names, names)
        for field in ("transforms", "twist", "wrench"):
            found = len(getattr(message, field))
            if found != len(names):
                raise MessageError(f"{topic}: {found} entries in {field}: expected {len(names)}")
        return cls(
            message_stamp(message),
            np.array([_xyz(transform.translation) for transform in message.transforms]),
            np.array([_xyz(twist.linear) for twist in message.twist]),
            np.array([_xyz(wrench.force) for wrench in message.wrench]),
        )


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


def poses_of(state: SceneState) -> ObjectPoses:
    """The objects of a state, as a pose source gives them."""
    return ObjectPoses(state.stamp_ns, state.object_positions, state.object_valid, state.object_ages)


def bodies_of_scene(state: SceneState) -> Bodies:
    """Bodies of `SCENE_NAMES` for a state."""
    bodies = Bodies.at_zero(state.stamp_ns, len(SCENE_NAMES))
    _put_hand(bodies, state, slice(2 + len(OBJECTS), None))
    _put_objects(bodies, poses_of(state), slice(2, 2 + len(OBJECTS)))
    return bodies


def bodies_of_hand(state: SceneState | HandState) -> Bodies:
    """Bodies of `HAND_NAMES` for a state."""
    bodies = Bodies.at_zero(state.stamp_ns, len(HAND_NAMES))
    _put_hand(bodies, state, slice(2, None))
    return bodies


def bodies_of_objects(poses: ObjectPoses) -> Bodies:
    """Bodies of `OBJECTS` for poses."""
    bodies = Bodies.at_zero(poses.stamp_ns, len(OBJECTS))
    _put_objects(bodies, poses, slice(None))
    return bodies


def decode_scene(message: Any) -> SceneState:
    """SceneState of a `scene` message.

    Raises:
        MessageError: naming what differs from the layout above.
    """
    return scene_of(Bodies.of("scene", message, SCENE_NAMES))


def scene_of(bodies: Bodies) -> SceneState:
    """SceneState of the bodies of `SCENE_NAMES`.

    Raises:
        MessageError: if a flag or validity is neither 0 nor 1.
    """
    poses = _objects_of("scene", bodies, slice(2, 2 + len(OBJECTS)))
    return _hand_of("scene", bodies, slice(2 + len(OBJECTS), None)).with_poses(poses)


def decode_hand_state(message: Any) -> HandState:
    """HandState of a `hand_state` message.

    Raises:
        MessageError: naming what differs from the layout above.
    """
    return hand_of(Bodies.of("hand_state", message, HAND_NAMES))


def hand_of(bodies: Bodies) -> HandState:
    """HandState of the bodies of `HAND_NAMES`.

    Raises:
        MessageError: if a flag is neither 0 nor 1.
    """
    return _hand_of("hand_state", bodies, slice(2, None))


def decode_object_poses(message: Any) -> ObjectPoses:
    """ObjectPoses of an `object_poses` message.

    Raises:
        MessageError: naming what differs from the layout above.
    """
    return objects_of(Bodies.of("object_poses", message, OBJECTS))


def objects_of(bodies: Bodies) -> ObjectPoses:
    """ObjectPoses of the bodies of `OBJECTS`.

    Raises:
        MessageError: if a validity is neither 0 nor 1.
    """
    return _objects_of("object_poses", bodies, slice(None))


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


def _put_hand(bodies: Bodies, state: SceneState | HandState, flags: slice) -> None:
    bodies.translations[0] = state.hand_position
    bodies.velocities[0] = state.hand_velocity
    bodies.translations[1, 0] = state.finger_opening
    bodies.forces[1, :2] = state.finger_forces
    bodies.translations[flags, 0] = state.flags


def _put_objects(bodies: Bodies, poses: ObjectPoses, rows: slice) -> None:
    bodies.translations[rows] = poses.positions
    bodies.forces[rows, 0] = poses.valid
    bodies.forces[rows, 1] = poses.ages


def _bools(topic: str, what: str, names: Sequence[str], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    wrong = (values != 0.0) & (values != 1.0)
    if wrong.any():
        index = int(wrong.argmax())
        raise MessageError(f"{topic}: {what} of {names[index]} is {values[index]}: expected 0 or 1")
    return values == 1.0


def _hand_of(topic: str, bodies: Bodies, flags: slice) -> HandState:
    return HandState(
        stamp_ns=bodies.stamp_ns,
        hand_position=bodies.translations[0],
        hand_velocity=bodies.velocities[0],
        finger_opening=float(bodies.translations[1, 0]),
        finger_forces=bodies.forces[1, :2],
        flags=_bools(topic, "value", _FLAG_NAMES, bodies.translations[flags, 0]),
    )


def _objects_of(topic: str, bodies: Bodies, rows: slice) -> ObjectPoses:
    return ObjectPoses(
        stamp_ns=bodies.stamp_ns,
        positions=bodies.translations[rows],
        valid=_bools(topic, "validity", OBJECTS, bodies.forces[rows, 0]),
        ages=bodies.forces[rows, 1],
    )
