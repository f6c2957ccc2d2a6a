"""Relative positions and turns of an observation, derived from the names and units of its features.

A policy has to bring a hand within millimetres of an object. From few demonstrations it learns this only if it is shown
the difference: absolute positions hide it behind numbers a hundred times larger. The same holds for angles, of which an
observation has sine and cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.features import AXES, YAW, axes

HAND = "hand_position"
HAND_VECTORS = (HAND, "hand_velocity", "hand_angular_velocity")
"""Vectors that are no object's position."""


def observed_objects(features: Sequence[str]) -> tuple[str, ...]:
    """Objects whose position is observed, in the order of the features."""
    named = dict.fromkeys(base for base, _, axis in (f.partition(".") for f in features) if axis in AXES)
    return tuple(name for name in named if name not in HAND_VECTORS)


def object_columns(features: Sequence[str]) -> NDArray[np.intp]:
    """Columns of an observation that hold object positions."""
    names = {feature for name in observed_objects(features) for feature in axes(name)}
    return np.array([i for i, feature in enumerate(features) if feature in names], dtype=np.intp)


def relative_matrix(features: Sequence[str]) -> NDArray[np.float64]:
    """Matrix R, (n, m) of -1, 0 and 1, so that `observation @ R` are the relative positions [m].

    First each object minus the hand, then each later object minus each earlier one. An expert observes its target after
    the object that it moves, so the latter is target minus object.

    Raises:
        ValueError: if the hand or an axis of an object is not observed.
    """
    objects = observed_objects(features)
    pairs = [(HAND, name) for name in objects] + list(combinations(objects, 2))
    index = {feature: i for i, feature in enumerate(features)}
    missing = [
        feature for name in {name for pair in pairs for name in pair} for feature in axes(name) if feature not in index
    ]
    if missing:
        raise ValueError(f"feature {min(missing)!r} is not observed: relative positions need it")
    matrix = np.zeros((len(features), len(AXES) * len(pairs)))
    for k, (origin, end) in enumerate(pairs):
        for axis, (start_feature, end_feature) in enumerate(zip(axes(origin), axes(end), strict=True)):
            matrix[index[end_feature], 3 * k + axis] = 1.0
            matrix[index[start_feature], 3 * k + axis] = -1.0
    return matrix


@dataclass(frozen=True, slots=True)
class Turn:
    """The angle from one thing to another, of which sine and cosine are taken.

    Attributes:
        end: column of the sine of n times the second thing's yaw; the next column holds the cosine.
        origin: likewise of the first thing, of its yaw itself if `doublings` is not 0.
        doublings: by which the first thing's angle becomes n times its yaw.
    """

    end: int
    origin: int
    doublings: int


def relative_turns(features: Sequence[str], units: Sequence[str]) -> tuple[Turn, ...]:
    """Turns from the hand to each thing, then from each thing to each later one of the same symmetry.

    Not to a thing that looks the same after a third of a turn, or a fifth: an angle is only ever doubled.
    """
    sines = {name.removesuffix(f".{YAW}_sin"): i for i, name in enumerate(features) if name.endswith(f".{YAW}_sin")}
    folds = {name: int(units[i].removesuffix(YAW) or 1) for name, i in sines.items()}
    hand = sines.pop("hand", None)
    turns = []
    if hand is not None:
        turns = [
            Turn(column, hand, folds[name].bit_length() - 1)
            for name, column in sines.items()
            if folds[name].bit_count() == 1
        ]
    pairs = [(a, b) for a, b in combinations(sines, 2) if folds[a] == folds[b]]
    return (*turns, *(Turn(sines[b], sines[a], 0) for a, b in pairs))


@dataclass(frozen=True, slots=True)
class Planar:
    """Two features that turn with a thing as the x and y of a horizontal vector do.

    Attributes:
        x: column of the first.
        y: column of the second.
        fold: by how much faster than the thing they turn.
    """

    x: int
    y: int
    fold: int = 1


def planar_features(features: Sequence[str], units: Sequence[str]) -> dict[str, list[Planar]]:
    """What turns with each object about the vertical: cosine and sine of its yaw, or the axes of its rotation."""
    index = {feature: i for i, feature in enumerate(features)}
    found: dict[str, list[Planar]] = {}
    for name, i in index.items():
        thing, _, what = name.partition(".")
        if thing == "hand":
            continue
        if what == f"{YAW}_sin":
            fold = int(units[i].removesuffix(YAW) or 1)
            found.setdefault(thing, []).append(Planar(index[f"{thing}.{YAW}_cos"], i, fold))
        elif what in ("x_axis.x", "y_axis.x"):
            found.setdefault(thing, []).append(Planar(i, index[f"{name[:-1]}y"]))
    return found
