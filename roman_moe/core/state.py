"""SceneState: all inputs of the controller at one control tick.

Simulator, training, demonstrations, ROS messages and evaluation share this type. Positions are in metres
in the base frame: REP 103 with x forward, y left, z up, at the arm's first link. Velocities are in m/s and rad/s,
forces in newtons. Orientations are quaternions x, y, z, w, as in ROS. The task says what the rows of objects and flags
are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.rotation import product
from roman_moe.core.spec import TaskSpec

NANOSECONDS = 1_000_000_000

EPISODE_GAP_NS = NANOSECONDS
"""Between the last scene of an episode and the first of the next one [ns], at least: stamps never go back."""

POSITION_BOUND = 10.0  # [m] on each coordinate, from the base
VELOCITY_BOUND = 10.0  # [m/s] likewise
ANGULAR_BOUND = 100.0  # [rad/s]
OPENING_BOUND = 1.0  # [m] of the fingers
FORCE_BOUND = 1e4  # [N] on a finger
"""Beyond these a number is a sender's mistake: far outside of any tabletop arm's, and within a network's reach."""

UNIT_TOLERANCE = 1e-3
"""By which the square of a quaternion's norm may miss 1."""


def _constant(*values: float) -> NDArray[np.float64]:
    array = np.array(values)
    array.setflags(write=False)
    return array


AT_REST = _constant(0.0, 0.0, 0.0)
"""No velocity, linear or angular."""
POINTING_DOWN = _constant(1.0, 0.0, 0.0, 0.0)
"""Orientation of a hand whose gripper points straight down, fingers along the base frame's y axis."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HandState:
    """The part of a scene that the arm measures.

    Attributes:
        stamp_ns: time of the snapshot [ns]; the tick's identity throughout the graph.
        hand_position: position of the point between the fingertips, (3,) [m].
        hand_velocity: its linear velocity, (3,) [m/s].
        finger_opening: distance between the finger pads [m].
        finger_forces: contact force normal to the left and right pad, (2,) [N].
        flags: values of the task's flags, (f,).
        hand_orientation: (4,); pointing down if not given.
        hand_angular_velocity: about the base frame's axes, (3,) [rad/s].
    """

    spec: TaskSpec
    stamp_ns: int
    hand_position: NDArray[np.float64]
    hand_velocity: NDArray[np.float64]
    finger_opening: float
    finger_forces: NDArray[np.float64]
    flags: NDArray[np.bool_]
    hand_orientation: NDArray[np.float64] = field(default_factory=lambda: POINTING_DOWN)
    hand_angular_velocity: NDArray[np.float64] = field(default_factory=lambda: AT_REST)

    def with_poses(self, poses: ObjectPoses, max_lag: float = math.inf) -> SceneState:
        """The scene at this hand's stamp; an object's age grows by what the poses are older than the hand.

        If that is more than `max_lag` [s], their source is silent, and the ages are infinite: nothing is usable.
        """
        lag = (self.stamp_ns - poses.stamp_ns) / NANOSECONDS
        if lag > max_lag:
            lag = math.inf
        hand = {each.name: getattr(self, each.name) for each in fields(HandState)}
        return SceneState(
            **hand,
            object_positions=poses.positions,
            object_valid=poses.valid,
            object_ages=poses.ages + lag,
            object_orientations=poses.orientations,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ObjectPoses:
    """Poses of a task's n objects from a pose source.

    Attributes:
        stamp_ns: time of the poses [ns].
        positions: (n, 3) [m].
        valid: whether each is seen, (n,); what is not, but has a pose and an age, is hidden there.
        ages: how much older than `stamp_ns` each is, (n,) [s]; infinite if its pose is unknown.
        orientations: (n, 4).
    """

    stamp_ns: int
    positions: NDArray[np.float64]
    valid: NDArray[np.bool_]
    ages: NDArray[np.float64]
    orientations: NDArray[np.float64]

    def is_finite(self) -> bool:
        """Whether every valid object's pose is finite and within its bound."""
        return poses_are_finite(self.positions, self.orientations, self.valid)

    def misplaced(self, names: Sequence[str]) -> str:
        """In words which of the valid objects, of these names, have a pose for which `is_finite` is false."""
        rows = [row for row in np.flatnonzero(self.valid).tolist() if not self._is_placed(row)]
        places = [(names[row], ", ".join(f"{value:.4g}" for value in self.positions[row])) for row in rows]
        return "; ".join(f"{name} is at ({place}) m" for name, place in places)

    def _is_placed(self, row: int) -> bool:
        return within(self.positions[row], POSITION_BOUND) and is_unit(self.orientations[row])


def _unset() -> Any:
    """What `SceneState` replaces by an array of the task's size."""
    return None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SceneState(HandState):
    """One stamped snapshot of the scene: the hand, and the task's n objects.

    Attributes:
        object_positions: (n, 3) [m].
        object_valid: whether each object is seen, (n,); all of them if not given.
        object_ages: age of each object's pose at `stamp_ns`, (n,) [s]; zeros if not given.
        object_orientations: (n, 4); upright if not given.
    """

    object_positions: NDArray[np.float64]
    object_valid: NDArray[np.bool_] = field(default_factory=_unset)
    object_ages: NDArray[np.float64] = field(default_factory=_unset)
    object_orientations: NDArray[np.float64] = field(default_factory=_unset)

    def __post_init__(self) -> None:
        count = len(self.spec.objects)
        if self.object_valid is None:
            object.__setattr__(self, "object_valid", np.ones(count, dtype=bool))
        if self.object_ages is None:
            object.__setattr__(self, "object_ages", np.zeros(count))
        if self.object_orientations is None:
            object.__setattr__(self, "object_orientations", upright(count))

    @property
    def stamp(self) -> float:
        """Time of the snapshot [s]."""
        return self.stamp_ns / NANOSECONDS

    def position(self, name: str) -> NDArray[np.float64]:
        """Position of one object, (3,) [m]."""
        return self.object_positions[self.spec.object_index[name]]

    def yaw(self, name: str) -> float:
        """Angle by which one object is turned about the vertical [rad]."""
        return yaw(self.object_orientations[self.spec.object_index[name]])

    def flag(self, name: str) -> bool:
        return bool(self.flags[self.spec.flag_index[name]])

    @property
    def poses(self) -> ObjectPoses:
        """The objects, as a pose source gives them."""
        return ObjectPoses(
            self.stamp_ns, self.object_positions, self.object_valid, self.object_ages, self.object_orientations
        )

    def is_finite(self) -> bool:
        """Whether every number that a network could read is finite and within its bound; see `poses_are_finite`."""
        return bool(
            within(self.hand_position, POSITION_BOUND)
            and within(self.hand_velocity, VELOCITY_BOUND)
            and within(self.hand_angular_velocity, ANGULAR_BOUND)
            and is_unit(self.hand_orientation)
            and abs(self.finger_opening) <= OPENING_BOUND
            and within(self.finger_forces, FORCE_BOUND)
            and poses_are_finite(self.object_positions, self.object_orientations, self.object_valid)
        )

    def usable(self, max_age: float) -> list[bool]:
        """Which objects networks may go by: those that are valid and no older than `max_age` [s].

        Besides, those that are hidden, for as long as the task remembers them: invalid, but with a pose and an age.
        """
        ages = self.object_ages.tolist()
        young = [valid and 0.0 <= age <= max_age for valid, age in zip(self.object_valid.tolist(), ages, strict=True)]
        if all(young):
            return young
        return [is_young or self._is_remembered(row, max_age) for row, is_young in enumerate(young)]

    def _is_remembered(self, row: int, max_age: float) -> bool:
        memory = tuple(self.spec.objects.values())[row].memory
        return (
            not self.object_valid[row]
            and max_age < self.object_ages[row] <= memory
            and within(self.object_positions[row], POSITION_BOUND)
            and is_unit(self.object_orientations[row])
        )

    def with_objects(
        self, positions: NDArray[np.float64], orientations: NDArray[np.float64] | None = None
    ) -> SceneState:
        """The same snapshot with other object poses (noise, an estimator's output)."""
        if orientations is None:
            orientations = self.object_orientations
        return replace(self, object_positions=positions, object_orientations=orientations)


def upright(count: int) -> NDArray[np.float64]:
    """Orientations of that many objects that are not turned, (count, 4)."""
    orientations = np.zeros((count, 4))
    orientations[:, 3] = 1.0
    return orientations


def yaw(orientation: NDArray[np.float64]) -> float:
    """Angle by which a quaternion turns the x axis about the vertical [rad]; 0 where it points up or down."""
    cosine, sine = heading(orientation)
    return float(np.arctan2(sine, cosine))


def heading(orientation: NDArray[np.float64]) -> tuple[float, float]:
    """Cosine and sine of `yaw`, up to a common factor."""
    x, y, z, w = orientation.tolist()
    return 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)


def rotated(orientation: NDArray[np.float64], rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """A quaternion after a rotation about the base frame's axes, a vector of its angle's length, (3,) [rad]."""
    angle = float(np.sqrt(rotation @ rotation))
    if angle == 0.0:
        return orientation
    return product(np.array([*(np.sin(0.5 * angle) / angle * rotation), np.cos(0.5 * angle)]), orientation)


def begins_anew(stamp_ns: int, last_ns: int) -> bool:
    """Whether a scene is the first of an episode, or the first after a long silence or after a clock was set back."""
    return not 0 <= stamp_ns - last_ns < EPISODE_GAP_NS


def within(numbers: NDArray[np.float64], bound: float) -> bool:
    """Whether all numbers are finite and no larger than `bound`."""
    for value in numbers.ravel().tolist():  # noqa: SIM110 (of so few, faster than a generator or numpy)
        if not -bound <= value <= bound:  # NaN, too
            return False
    return True


def is_unit(quaternion: NDArray[np.float64]) -> bool:
    """Whether a quaternion, (4,), or each of some, (n, 4), is one of an orientation."""
    for x, y, z, w in quaternion.reshape(-1, 4).tolist():
        if not abs(x * x + y * y + z * z + w * w - 1.0) <= UNIT_TOLERANCE:  # NaN, too
            return False
    return True


def poses_are_finite(
    positions: NDArray[np.float64], orientations: NDArray[np.float64], valid: NDArray[np.bool_]
) -> bool:
    """Whether the valid objects' positions, (n, 3) [m], and orientations, (n, 4), are finite and within their bounds.

    An invalid object's numbers mean nothing, NaN included: no network that observes it is run.
    """
    if within(positions, POSITION_BOUND) and is_unit(orientations):
        return True
    return within(positions[valid], POSITION_BOUND) and is_unit(orientations[valid])
