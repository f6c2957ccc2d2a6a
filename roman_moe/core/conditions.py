"""Conditions and starts of a task.yaml: when a skill is done, and where objects begin.

A condition is data: a function of one SceneState, with typed parameters, never evaluated as code. Each class says by
`left` how much is missing; it holds where that is 0. Lengths in metres, angles in radians, base frame.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from roman_moe.core.ranges import FINITE, Checked, Finite, Positive, Vector

if TYPE_CHECKING:
    from roman_moe.core.state import SceneState

FAR = 0.35
"""A thing this far from its goal has come no part of the way [m]."""

Range = tuple[float, ...]
"""Lowest and highest number; empty for any."""


class Part(Protocol):
    """One condition."""

    def left(self, state: SceneState) -> float:
        """Share that is missing in a state, from 0 (it holds) to 1."""


@dataclass(frozen=True)
class Near(Checked):
    """An object is within `distance` of another one [m]."""

    object: str
    target: str
    distance: Positive

    def left(self, state: SceneState) -> float:
        return _far(math.dist(state.position(self.object), state.position(self.target)) - self.distance)


@dataclass(frozen=True)
class On(Checked):
    """An object stands on another one.

    Attributes:
        height: of its point above the other's when it stands there [m].
        distance: from the other's axis, at most [m].
        tolerance: of the height [m].
    """

    object: str
    target: str
    height: Finite
    distance: Positive = 0.02
    tolerance: Positive = 0.005

    def left(self, state: SceneState) -> float:
        x, y, z = state.position(self.object) - state.position(self.target)
        return _far(math.hypot(x, y) - self.distance, abs(z - self.height) - self.tolerance)


@dataclass(frozen=True)
class Within:
    """An object is in a box.

    Attributes:
        target: object whose point and heading are the box's frame; the base frame if not given.
        x, y, z: lowest and highest coordinate [m]; any if not given.
    """

    object: str
    target: str = ""
    x: Range = ()
    y: Range = ()
    z: Range = ()

    def __post_init__(self) -> None:
        _check_ranges(self, "x", "y", "z")

    def left(self, state: SceneState) -> float:
        x, y, z = state.position(self.object)
        if self.target:
            x, y, z = state.position(self.object) - state.position(self.target)
            cosine, sine = math.cos(state.yaw(self.target)), math.sin(state.yaw(self.target))
            x, y = cosine * x + sine * y, cosine * y - sine * x
        bounded = [each for each in ((self.x, x), (self.y, y), (self.z, z)) if each[0]]
        return _far(*(max(low - value, value - high) for (low, high), value in bounded))


@dataclass(frozen=True)
class Held(Checked):
    """An object is between the fingers.

    Attributes:
        distance: from its point to the hand's, at most [m].
        force: on both fingers, at least [N].
    """

    object: str
    distance: Positive = 0.02
    force: Positive = 1.0

    def left(self, state: SceneState) -> float:
        pressed = bool((state.finger_forces >= self.force).all())
        return float(not pressed or math.dist(state.position(self.object), state.hand_position) > self.distance)


@dataclass(frozen=True)
class Open(Checked):
    """A drawer or door is open: its handle is away from its closed position.

    Attributes:
        object: the handle.
        distance: least distance from the closed position [m].
        closed: the handle's closed position, three numbers [m]; the object's usual position if not given.
    """

    object: str
    distance: Positive
    closed: Vector = ()

    def left(self, state: SceneState) -> float:
        closed = self.closed or state.spec.objects[self.object].position
        return max(1.0 - math.dist(state.position(self.object), closed) / self.distance, 0.0)


@dataclass(frozen=True)
class Pressed(Checked):
    """A button is pressed down.

    Attributes:
        depth: below where it is when released, at least [m].
        released: its height then [m]; that of the object's usual position if not given.
    """

    object: str
    depth: Positive
    released: Annotated[float | None, FINITE] = None

    def left(self, state: SceneState) -> float:
        released = state.spec.objects[self.object].position[2] if self.released is None else self.released
        return min(max(1.0 - (released - float(state.position(self.object)[2])) / self.depth, 0.0), 1.0)


@dataclass(frozen=True)
class Upright(Checked):
    """An object's own z axis points up, to within `angle` [rad]."""

    object: str
    angle: Positive = 0.2

    def left(self, state: SceneState) -> float:
        x, y, _, _ = state.object_orientations[state.spec.object_index[self.object]].tolist()
        tilt = math.acos(min(max(1.0 - 2.0 * (x * x + y * y), -1.0), 1.0))
        return _share(tilt - self.angle, math.pi)


@dataclass(frozen=True)
class TurnedTo(Checked):
    """An object is turned to an angle about the vertical, or to one that looks the same by its symmetry.

    Attributes:
        angle: by which it may miss it [rad].
        target: object whose heading it is.
        yaw: the angle itself [rad], or, with a target, the angle from the target's.
    """

    object: str
    angle: Positive
    target: str = ""
    yaw: Finite = 0.0

    def left(self, state: SceneState) -> float:
        period = 2.0 * math.pi / state.spec.objects[self.object].symmetry
        wanted = self.yaw + (state.yaw(self.target) if self.target else 0.0)
        turn = (wanted - state.yaw(self.object) + 0.5 * period) % period - 0.5 * period
        return _share(abs(turn) - self.angle, 0.5 * period)


@dataclass(frozen=True)
class Flag:
    """A flag is true, or, if `value` says so, false."""

    name: str
    value: bool = True

    def left(self, state: SceneState) -> float:
        return float(state.flag(self.name) != self.value)


@dataclass(frozen=True)
class Condition:
    """One item of a list of conditions; all that it names have to hold."""

    near: Near | None = None
    on: On | None = None
    within: Within | None = None
    held: Held | None = None
    open: Open | None = None
    pressed: Pressed | None = None
    upright: Upright | None = None
    turned_to: TurnedTo | None = None
    flag: Flag | None = None

    def __post_init__(self) -> None:
        if not any(self.parts()):
            names = ", ".join(each.name for each in dataclasses.fields(self))
            raise ValueError(f"expected a condition: one of {names}")

    def parts(self) -> Iterator[tuple[str, Part]]:
        """What it names, with the name."""
        for each in dataclasses.fields(self):
            part = getattr(self, each.name)
            if part is not None:
                yield each.name, part


Conditions = tuple[Condition, ...]
"""All of them have to hold."""


@dataclass(frozen=True)
class PlacementSpec:
    """The place of an object at a start, drawn uniformly from its ranges.

    Attributes:
        at: object from which x, y and z count, and yaw, in the base frame's directions.
        x, y, z: lowest and highest coordinate [m]; where the scene has it, or that of `at`, if not given.
        yaw: likewise, about the vertical [rad].
        joint: of what hangs on a joint, instead of all others: lowest and highest position of it [m or rad].
    """

    at: str = ""
    x: Range = ()
    y: Range = ()
    z: Range = ()
    yaw: Range = ()
    joint: Range = ()

    def __post_init__(self) -> None:
        _check_ranges(self, "x", "y", "z", "yaw", "joint")
        if self.joint and (self.at or self.x or self.y or self.z or self.yaw):
            raise ValueError("joint: excludes at, x, y, z and yaw")


def parts_of(conditions: Sequence[Condition]) -> Iterator[Part]:
    """Every single condition."""
    for condition in conditions:
        for _, part in condition.parts():
            yield part


def hold_in(conditions: Sequence[Condition], state: SceneState) -> bool:
    return all(part.left(state) == 0.0 for part in parts_of(conditions))


def completion_of(conditions: Sequence[Condition], state: SceneState) -> float:
    """How far they have come on average, from 0 to 1, which is where all hold; 0 if there are none."""
    missing = [part.left(state) for part in parts_of(conditions)]
    return 1.0 - sum(missing) / len(missing) if missing else 0.0


def _far(*excesses: float) -> float:
    """Share for lengths that go beyond what is asked for by so much."""
    return _share(math.hypot(*(max(each, 0.0) for each in excesses)), FAR)


def _share(excess: float, most: float) -> float:
    return min(max(excess / most, 0.0), 1.0)


def _check_ranges(item: object, *names: str) -> None:
    for name in names:
        found = getattr(item, name)
        if found and not (len(found) == 2 and -math.inf < found[0] <= found[1] < math.inf):
            raise ValueError(f"{name} {list(found)}: expected the lowest and the highest number, in this order")
