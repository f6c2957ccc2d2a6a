"""Scenes as named bodies: the one flat layout in which hand, fingers, objects and flags cross a wire, and back.

In a sensor_msgs/MultiDOFJointState each has a transform, a twist and a wrench; what is not named here is zero.

| body | carries |
|---|---|
| `hand` | transform.translation = position [m], twist.linear = velocity [m/s] |
| `fingers` | transform.translation.x = opening [m]; wrench.force.x, .y = forces on the left and right pad [N] |
| an object | transform.translation = position [m]; wrench.force.x = validity (0 or 1), .y = age [s], 0 or more |
| `flag/<name>` | transform.translation.x = 0 or 1 |

The other numbers of an object whose validity is 0 mean nothing and may be anything, NaN included.
`scene` has all of them in the order of `SCENE_NAMES`, `hand_state` hand, fingers and flags, `object_poses` the objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import RomanError
from roman_moe.core.state import FLAGS, NANOSECONDS, OBJECTS, SceneState, positions_are_finite

_FLAG_NAMES = tuple(f"flag/{name}" for name in FLAGS)
HAND_NAMES: tuple[str, ...] = ("hand", "fingers", *_FLAG_NAMES)
SCENE_NAMES: tuple[str, ...] = ("hand", "fingers", *OBJECTS, *_FLAG_NAMES)


class MessageError(RomanError):
    """A message whose names, lengths, stamp, validities or ages are not what its topic demands."""


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
        """Whether every valid object's position is finite and within its bound."""
        return positions_are_finite(self.positions, self.valid)


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


def scene_of(bodies: Bodies) -> SceneState:
    """SceneState of the bodies of `SCENE_NAMES`.

    Raises:
        MessageError: if a flag or validity is neither 0 nor 1, or a valid object's age is negative.
    """
    poses = _objects_of("scene", bodies, slice(2, 2 + len(OBJECTS)))
    return _hand_of("scene", bodies, slice(2 + len(OBJECTS), None)).with_poses(poses)


def hand_of(bodies: Bodies) -> HandState:
    """HandState of the bodies of `HAND_NAMES`.

    Raises:
        MessageError: if a flag is neither 0 nor 1.
    """
    return _hand_of("hand_state", bodies, slice(2, None))


def objects_of(bodies: Bodies) -> ObjectPoses:
    """ObjectPoses of the bodies of `OBJECTS`.

    Raises:
        MessageError: if a validity is neither 0 nor 1, or a valid object's age is negative.
    """
    return _objects_of("object_poses", bodies, slice(None))


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
    valid, ages = _bools(topic, "validity", OBJECTS, bodies.forces[rows, 0]), bodies.forces[rows, 1]
    wrong = valid & ~(ages >= 0.0)  # NaN is wrong, too
    if wrong.any():
        index = int(wrong.argmax())
        raise MessageError(f"{topic}: age of {OBJECTS[index]} is {ages[index]} s: expected 0 or more")
    return ObjectPoses(bodies.stamp_ns, bodies.translations[rows], valid, ages)
