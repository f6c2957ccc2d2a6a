"""Scenes as named bodies: the one flat layout in which hand, fingers, objects and flags cross a wire, and back.

In a sensor_msgs/MultiDOFJointState each has a transform, a twist and a wrench; what is not named here is zero.

| body | carries |
|---|---|
| `hand` | transform = position [m] and orientation, twist = linear [m/s] and angular velocity [rad/s] |
| `fingers` | transform.translation.x = opening [m]; wrench.force.x, .y = forces on the left and right pad [N] |
| an object | transform = position [m] and orientation; wrench.force.x = validity (0 or 1), .y = age [s], 0 or more |
| `flag/<name>` | transform.translation.x = 0 or 1 |

The other numbers of an object whose validity is 0 mean nothing and may be anything, NaN included.
`scene` has all of them in the order of `SceneLayout.scene_names`, `hand_state` hand, fingers and flags, `object_poses`
the objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import RomanError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import HandState, ObjectPoses, SceneState, upright
from roman_moe.wire.topics import HAND_STATE, OBJECT_POSES, SCENE


class MessageError(RomanError):
    """A message whose names, lengths, stamp, validities or ages are not what its topic demands."""


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """The numbers of a MultiDOFJointState with known names.

    Attributes:
        stamp_ns: of the message [ns].
        translations, velocities, forces, turns: (n, 3) each; turns are angular velocities.
        rotations: (n, 4), quaternions x, y, z, w.
    """

    stamp_ns: int
    translations: NDArray[np.float64]
    velocities: NDArray[np.float64]
    forces: NDArray[np.float64]
    rotations: NDArray[np.float64]
    turns: NDArray[np.float64]

    @classmethod
    def at_zero(cls, stamp_ns: int, count: int) -> Bodies:
        """`count` bodies, all numbers zero, none of them turned."""
        zeros = [np.zeros((count, 3)) for _ in range(4)]
        return cls(stamp_ns, zeros[0], zeros[1], zeros[2], upright(count), zeros[3])


class SceneLayout:
    """Which bodies the messages of a task have; made once a task by `scene_layout`."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self._flags = tuple(f"flag/{name}" for name in spec.flags)
        self.hand_names: tuple[str, ...] = ("hand", "fingers", *self._flags)
        self.scene_names: tuple[str, ...] = ("hand", "fingers", *spec.objects, *self._flags)
        self._objects = slice(2, 2 + len(spec.objects))

    def of_scene(self, state: SceneState) -> Bodies:
        """Bodies of `scene_names` for a state."""
        bodies = Bodies.at_zero(state.stamp_ns, len(self.scene_names))
        _put_hand(bodies, state, slice(self._objects.stop, None))
        _put_objects(bodies, state.poses, self._objects)
        return bodies

    def of_hand(self, state: HandState) -> Bodies:
        """Bodies of `hand_names` for a state."""
        bodies = Bodies.at_zero(state.stamp_ns, len(self.hand_names))
        _put_hand(bodies, state, slice(2, None))
        return bodies

    def of_objects(self, poses: ObjectPoses) -> Bodies:
        """Bodies of the task's objects for poses."""
        bodies = Bodies.at_zero(poses.stamp_ns, len(self.spec.objects))
        _put_objects(bodies, poses, slice(None))
        return bodies

    def scene(self, bodies: Bodies) -> SceneState:
        """SceneState of the bodies of `scene_names`.

        Raises:
            MessageError: if a flag or validity is neither 0 nor 1, or a valid object's age is negative.
        """
        poses = self._poses(SCENE, bodies, self._objects)
        return self._hand(SCENE, bodies, slice(self._objects.stop, None)).with_poses(poses)

    def hand(self, bodies: Bodies) -> HandState:
        """HandState of the bodies of `hand_names`.

        Raises:
            MessageError: if a flag is neither 0 nor 1.
        """
        return self._hand(HAND_STATE, bodies, slice(2, None))

    def poses(self, bodies: Bodies) -> ObjectPoses:
        """ObjectPoses of the bodies of the task's objects.

        Raises:
            MessageError: if a validity is neither 0 nor 1, or a valid object's age is negative.
        """
        return self._poses(OBJECT_POSES, bodies, slice(None))

    def _hand(self, topic: str, bodies: Bodies, flags: slice) -> HandState:
        return HandState(
            spec=self.spec,
            stamp_ns=bodies.stamp_ns,
            hand_position=bodies.translations[0],
            hand_velocity=bodies.velocities[0],
            finger_opening=float(bodies.translations[1, 0]),
            finger_forces=bodies.forces[1, :2],
            flags=_bools(topic, "value", self._flags, bodies.translations[flags, 0]),
            hand_orientation=bodies.rotations[0],
            hand_angular_velocity=bodies.turns[0],
        )

    def _poses(self, topic: str, bodies: Bodies, rows: slice) -> ObjectPoses:
        names = self.spec.object_names
        valid, ages = _bools(topic, "validity", names, bodies.forces[rows, 0]), bodies.forces[rows, 1]
        wrong = valid & ~(ages >= 0.0)  # NaN is wrong, too
        if wrong.any():
            index = int(wrong.argmax())
            raise MessageError(f"{topic}: age of {names[index]} is {ages[index]} s: expected 0 or more")
        return ObjectPoses(bodies.stamp_ns, bodies.translations[rows], valid, ages, bodies.rotations[rows])


def hand_in(bodies: Bodies) -> tuple[NDArray[np.float64], float]:
    """Position of the hand, (3,) [m], and opening of the fingers [m] in a scene, whatever its task.

    Raises:
        MessageError: if it is too short for them.
    """
    if len(bodies.translations) < 2:
        raise MessageError(f"{SCENE}: no hand and fingers")
    return bodies.translations[0], float(bodies.translations[1, 0])


@lru_cache(maxsize=16)
def scene_layout(spec: TaskSpec) -> SceneLayout:
    return SceneLayout(spec)


def _put_hand(bodies: Bodies, state: HandState, flags: slice) -> None:
    bodies.translations[0] = state.hand_position
    bodies.velocities[0] = state.hand_velocity
    bodies.rotations[0] = state.hand_orientation
    bodies.turns[0] = state.hand_angular_velocity
    bodies.translations[1, 0] = state.finger_opening
    bodies.forces[1, :2] = state.finger_forces
    bodies.translations[flags, 0] = state.flags


def _put_objects(bodies: Bodies, poses: ObjectPoses, rows: slice) -> None:
    bodies.translations[rows] = poses.positions
    bodies.rotations[rows] = poses.orientations
    bodies.forces[rows, 0] = poses.valid
    bodies.forces[rows, 1] = poses.ages


def _bools(topic: str, what: str, names: Sequence[str], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    wrong = (values != 0.0) & (values != 1.0)
    if wrong.any():
        index = int(wrong.argmax())
        raise MessageError(f"{topic}: {what} of {names[index]} is {values[index]}: expected 0 or 1")
    return values == 1.0
