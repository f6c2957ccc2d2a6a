"""Features: the named numbers of a SceneState that a network may observe.

An *observation* is a selection of these by name, in the order that the network's own metadata declares. The task says
which features there are: by its objects and flags, and by whose orientations matter. Orientations become numbers
without a jump: sine and cosine of a yaw, or the first two columns of a rotation matrix. (Zhou et al., "On the
continuity of rotation representations in neural networks", CVPR 2019.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.spec import GATE, MONOLITHIC, TaskSpec
from roman_moe.core.spec_parts import ObjectSpec
from roman_moe.core.state import SceneState, heading

AXES = ("x", "y", "z")
FINGER_FORCES = ("finger_force.left", "finger_force.right")
HOME_DISTANCE = "home_distance"
YAW = "yaw"
"""In units of a sine and cosine: the angle about the vertical that they are of."""


def axes(name: str) -> tuple[str, ...]:
    """Feature names of a 3-vector: `axes("hand_position")` is `("hand_position.x", ...)`."""
    return tuple(f"{name}.{axis}" for axis in AXES)


def orientation_features(name: str, kind: str) -> tuple[str, ...]:
    """Feature names of an orientation of which nothing, the yaw or all matters."""
    if kind == "yaw":
        return (f"{name}.yaw_sin", f"{name}.yaw_cos")
    return (*axes(f"{name}.x_axis"), *axes(f"{name}.y_axis")) if kind == "full" else ()


def orientation_values(orientation: NDArray[np.float64], kind: str, symmetry: int = 1) -> tuple[float, ...]:
    """Their values. Of a symmetry of n, a yaw counts n times: what looks the same gives the same numbers."""
    if kind == "yaw":
        cosine, sine = heading(orientation)
        if symmetry > 1:
            angle = symmetry * math.atan2(sine, cosine)
            return math.sin(angle), math.cos(angle)
        length = math.hypot(cosine, sine)
        return (sine / length, cosine / length) if length > 0.0 else (0.0, 1.0)
    x, y, z, w = orientation.tolist()
    return (
        *(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)),
        *(2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)),
    )


class FeatureLayout:
    """All features of a task's scenes, in order; made once a task by `feature_layout`.

    Attributes:
        units: of each, as metadata spell them; scales and origins are part of it, since a network depends on them.
        observations: what each network observes, by skill, "gate" and "monolithic".
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        turns = spec.action.angular
        self._hand_turns = "" if not turns else "yaw" if turns == ("rz",) else "full"
        self._turned = [(i, each) for i, each in enumerate(spec.objects.values()) if each.orientation != "none"]
        orientation = orientation_features("hand", self._hand_turns)
        rates = tuple(f"hand_angular_velocity.{axis[1]}" for axis in turns)
        self._home = np.array(spec.home.position)
        self._force_share = 1.0 / spec.gripper.force_scale
        self._turning = list(spec.action.angular_indices)
        groups: list[tuple[Iterable[str], str]] = [
            (axes("hand_position"), "m"),
            (axes("hand_velocity"), "m/s"),
            (FINGER_FORCES, f"{spec.gripper.force_scale:g}N"),
            (("finger_opening",), "m"),
            *((axes(name), "m") for name in spec.objects),
            *((_turning_of(spec, name), _turning_unit(each)) for name, each in spec.objects.items()),
            (orientation, YAW if self._hand_turns == "yaw" else "1"),
            (rates, "rad/s"),
            (spec.flags, "1"),
            ((HOME_DISTANCE,), "m from ({:g} {:g} {:g})".format(*spec.home.position)),
        ]
        self.names: tuple[str, ...] = tuple(name for names, _ in groups for name in names)
        self.units: Mapping[str, str] = {name: unit for names, unit in groups for name in names}
        self.index: Mapping[str, int] = {name: i for i, name in enumerate(self.names)}
        hand = (*axes("hand_position"), *axes("hand_velocity"), *FINGER_FORCES, *orientation, *rates)

        def observation(observed: Sequence[str]) -> tuple[str, ...]:
            things = (
                (name,) if name in spec.flag_index else (*axes(name), *_turning_of(spec, name)) for name in observed
            )
            return (*hand, *(feature for thing in things for feature in thing), HOME_DISTANCE)

        self.observations: Mapping[str, tuple[str, ...]] = {
            **{name: observation(skill.observes) for name, skill in spec.skills.items()},
            MONOLITHIC: observation((*spec.objects, *spec.flags)),
            GATE: observation(spec.gate.observes),
        }

    def __len__(self) -> int:
        return len(self.names)

    def vector(self, state: SceneState) -> NDArray[np.float64]:
        """All features of a state, (len(self),)."""
        offset = state.hand_position - self._home
        return np.array(  # of so few numbers, faster from a list than piece by piece
            [
                *state.hand_position.tolist(),
                *state.hand_velocity.tolist(),
                *[min(force * self._force_share, 1.0) for force in state.finger_forces.tolist()],
                state.finger_opening,
                *state.object_positions.ravel().tolist(),
                *(self._turning_values(state) if self._turned or self._hand_turns else ()),
                *state.flags.tolist(),
                math.sqrt(offset.dot(offset)),
            ],
            dtype=np.float64,
        )

    def _turning_values(self, state: SceneState) -> list[float]:
        values: list[float] = []
        for i, each in self._turned:
            values += orientation_values(state.object_orientations[i], each.orientation, each.symmetry)
        if self._hand_turns:
            values += orientation_values(state.hand_orientation, self._hand_turns)
            values += state.hand_angular_velocity[self._turning].tolist()
        return values

    def indices(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Places of features in `vector`, (len(names),).

        Raises:
            ValueError: naming the first feature that does not exist.
        """
        for name in names:
            if name not in self.index:
                examples = f"{self.names[0]!r} or {self.names[9]!r}"
                raise ValueError(f"unknown feature {name!r}: expected names such as {examples}")
        return np.array([self.index[name] for name in names], dtype=np.intp)

    def objects_of(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Rows of the objects that some features tell of."""
        observed = {name.partition(".")[0] for name in names}
        return np.array([i for i, name in enumerate(self.spec.objects) if name in observed], dtype=np.intp)


def _turning_unit(each: ObjectSpec) -> str:
    """Of sine and cosine, the angle that they are of: "2 yaw" of what looks the same after half a turn."""
    if each.orientation != "yaw":
        return "1"
    return YAW if each.symmetry == 1 else f"{each.symmetry} {YAW}"


def _turning_of(spec: TaskSpec, name: str) -> tuple[str, ...]:
    return orientation_features(name, spec.objects[name].orientation)


@lru_cache(maxsize=16)
def feature_layout(spec: TaskSpec) -> FeatureLayout:
    """The task's features."""
    return FeatureLayout(spec)
