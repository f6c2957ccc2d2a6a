"""Features: the named numbers of a SceneState that a network may observe.

An *observation* is a selection of these by name, in the order that the network's own metadata declares. Which network
sees what follows ROMAN's public code (`reference` dims: pull 12, rotate open 12, button 13, the other experts 15,
gate 28).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.state import FLAGS, OBJECTS, SceneState

HOME_POSITION: NDArray[np.float64] = np.array([0.46, 0.0, 0.31])
"""Home of the hand in the base frame [m]."""
HOME_POSITION.setflags(write=False)

FORCE_SCALE = 1.0
"""[N] at which a finger force saturates; ROMAN clamps to the weight of the touched object (0.1 kg to 0.5 kg)."""

AXES = ("x", "y", "z")


def axes(name: str) -> tuple[str, ...]:
    """Feature names of a 3-vector: `axes("rack") == ("rack.x", "rack.y", "rack.z")`."""
    return tuple(f"{name}.{axis}" for axis in AXES)


FEATURES: tuple[str, ...] = (
    *axes("hand_position"),
    *axes("hand_velocity"),
    "finger_force.left",
    "finger_force.right",
    "finger_opening",
    *(feature for name in OBJECTS for feature in axes(name)),
    *FLAGS,
    "home_distance",
)
FEATURE_INDEX: Mapping[str, int] = {name: i for i, name in enumerate(FEATURES)}

_HAND = (*axes("hand_position"), *axes("hand_velocity"), "finger_force.left", "finger_force.right")


def _observation(*objects: str, flags: Sequence[str] = ()) -> tuple[str, ...]:
    return (*_HAND, *(feature for name in objects for feature in axes(name)), *flags, "home_distance")


OBSERVATIONS: Mapping[str, tuple[str, ...]] = {
    "pull": _observation("drawer_handle"),
    "pick_and_drop": _observation("cover", "drop_zone"),
    "rotate_open": _observation("door_handle"),
    "pick_and_place": _observation("rack", "rack_target"),
    "pick_and_insert": _observation("vial", "rack"),
    "push": _observation("rack", "conveyor_end"),
    "button": _observation("button", flags=FLAGS),
    "monolithic": _observation(*OBJECTS, flags=FLAGS),
    "gate": _observation("drawer_handle", "cover", "door_handle", "rack", "vial", "button", flags=FLAGS),
}
"""What each of ROMAN's networks observes, by skill (and "gate"); one network for the whole task has to see it all."""


def feature_vector(state: SceneState) -> NDArray[np.float64]:
    """All features of a state in the order of `FEATURES`, (len(FEATURES),)."""
    hand = state.hand_position
    vector = np.empty(len(FEATURES))
    vector[0:3] = hand
    vector[3:6] = state.hand_velocity
    vector[6:8] = np.minimum(state.finger_forces * (1.0 / FORCE_SCALE), 1.0)
    vector[8] = state.finger_opening
    end = 9 + 3 * len(OBJECTS)
    vector[9:end] = state.object_positions.reshape(-1)
    vector[end : end + len(FLAGS)] = state.flags
    offset = hand - HOME_POSITION
    vector[-1] = np.sqrt(offset @ offset)
    return vector


def feature_indices(names: Sequence[str]) -> NDArray[np.intp]:
    """Positions of features in `feature_vector`, (len(names),).

    Raises:
        ValueError: naming the first feature that does not exist.
    """
    for name in names:
        if name not in FEATURE_INDEX:
            raise ValueError(f"unknown feature {name!r}: expected names such as {FEATURES[0]!r} or {FEATURES[9]!r}")
    return np.array([FEATURE_INDEX[name] for name in names], dtype=np.intp)
