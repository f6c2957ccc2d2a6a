"""SceneState: everything the controller may know about the scene at one control tick.

One type crosses every boundary (simulator, training, demonstrations, ROS messages, evaluation). Positions are
in metres in the base frame (REP 103: x forward, y left, z up; the frame of the arm's first link), velocities in m/s,
forces in newtons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

OBJECTS: tuple[str, ...] = (
    "drawer_handle",
    "cover",
    "drop_zone",
    "door_handle",
    "rack",
    "rack_target",
    "vial",
    "conveyor_end",
    "button",
)
"""Objects of interest and fixed targets, in the order of `SceneState.object_positions`."""

FLAGS: tuple[str, ...] = ("button_pressed",)

NANOSECONDS = 1_000_000_000

EPISODE_GAP_NS = NANOSECONDS
"""Between the last scene of an episode and the first of the next one [ns], at least: stamps never go back."""

POSITION_BOUND = 10.0  # [m] on each coordinate, from the base
VELOCITY_BOUND = 10.0  # [m/s] likewise
OPENING_BOUND = 1.0  # [m] of the fingers
FORCE_BOUND = 1e4  # [N] on a finger
"""Beyond these a number is a sender's mistake: far outside of any tabletop arm's, and within a network's reach."""


def _all_valid() -> NDArray[np.bool_]:
    return np.ones(len(OBJECTS), dtype=bool)


def _all_fresh() -> NDArray[np.float64]:
    return np.zeros(len(OBJECTS))


@dataclass(frozen=True, slots=True, eq=False)
class SceneState:
    """One stamped snapshot of the scene.

    Attributes:
        stamp_ns: time of the snapshot [ns]; the tick's identity throughout the graph.
        hand_position: position of the point between the fingertips, (3,) [m].
        hand_velocity: its linear velocity, (3,) [m/s].
        finger_opening: distance between the finger pads [m].
        finger_forces: contact force normal to the left and right pad, (2,) [N].
        object_positions: positions of `OBJECTS`, (len(OBJECTS), 3) [m].
        object_valid: whether each object's position may be used, (len(OBJECTS),).
        object_ages: age of each object's position at `stamp_ns`, (len(OBJECTS),) [s].
        flags: values of `FLAGS`, (len(FLAGS),).
    """

    stamp_ns: int
    hand_position: NDArray[np.float64]
    hand_velocity: NDArray[np.float64]
    finger_opening: float
    finger_forces: NDArray[np.float64]
    object_positions: NDArray[np.float64]
    flags: NDArray[np.bool_]
    object_valid: NDArray[np.bool_] = field(default_factory=_all_valid)
    object_ages: NDArray[np.float64] = field(default_factory=_all_fresh)

    @property
    def stamp(self) -> float:
        """Time of the snapshot [s]."""
        return self.stamp_ns / NANOSECONDS

    def position(self, name: str) -> NDArray[np.float64]:
        """Position of one object, (3,) [m]."""
        return self.object_positions[OBJECT_INDEX[name]]

    def flag(self, name: str) -> bool:
        """Value of one flag."""
        return bool(self.flags[FLAG_INDEX[name]])

    def is_finite(self) -> bool:
        """Whether every number that a network could read is finite and within its bound; see `positions_are_finite`."""
        return bool(
            within(self.hand_position, POSITION_BOUND)
            and within(self.hand_velocity, VELOCITY_BOUND)
            and abs(self.finger_opening) <= OPENING_BOUND
            and within(self.finger_forces, FORCE_BOUND)
            and positions_are_finite(self.object_positions, self.object_valid)
        )

    def usable(self, max_age: float) -> NDArray[np.bool_]:
        """Which objects are valid and of an age from 0 to `max_age` [s], (len(OBJECTS),)."""
        return self.object_valid & (self.object_ages >= 0.0) & (self.object_ages <= max_age)

    def with_objects(self, positions: NDArray[np.float64]) -> SceneState:
        """The same snapshot with other object positions (noise, an estimator's output)."""
        return replace(self, object_positions=positions)


def begins_anew(stamp_ns: int, last_ns: int) -> bool:
    """Whether a scene is the first of an episode, or the first after a long silence or after a clock was set back."""
    return not 0 <= stamp_ns - last_ns < EPISODE_GAP_NS


def within(numbers: NDArray[np.float64], bound: float) -> bool:
    """Whether all numbers are finite and no larger than `bound`."""
    return bool((np.abs(numbers) <= bound).all())  # a comparison with NaN is false


def positions_are_finite(positions: NDArray[np.float64], valid: NDArray[np.bool_]) -> bool:
    """Whether the valid objects' positions, (len(OBJECTS), 3) [m], are finite and within `POSITION_BOUND`.

    An invalid object's numbers mean nothing, NaN included: no network that observes it is run.
    """
    return within(positions, POSITION_BOUND) or within(positions[valid], POSITION_BOUND)


OBJECT_INDEX: Mapping[str, int] = {name: i for i, name in enumerate(OBJECTS)}
FLAG_INDEX: Mapping[str, int] = {name: i for i, name in enumerate(FLAGS)}
