"""The parts of a TaskSpec: home, gripper, action, objects, cameras, skills, scenarios and gate.

Each part refuses wrong values of its own with a ValueError that names the found and the expected value. `TaskSpec`
checks the references between parts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from roman_moe.core.conditions import Conditions, PlacementSpec
from roman_moe.core.ranges import AT_LEAST_0, Checked, Positive, Quaternion, Range, Vector, check_ranges

ANGULAR_AXES = ("rx", "ry", "rz")
"""Names of the angular velocities about the base frame's axes."""
ORIENTATIONS = ("none", "yaw", "full")

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class HomeSpec(Checked):
    """Pose to which the hand returns.

    Attributes:
        position: in the base frame, three numbers [m].
        orientation: as a quaternion x, y, z, w in the base frame; a gripper that points straight down if not given.
    """

    position: Vector
    orientation: Quaternion = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class GripperSpec:
    """The gripper of a task.

    Attributes:
        open: commanded distance between the pads when open [m].
        closed: likewise when closed [m].
        force_scale: force on a finger at which its feature saturates [N].
    """

    open: float
    closed: float = 0.0
    force_scale: Positive = 1.0

    def __post_init__(self) -> None:
        check_ranges(self)
        if not 0.0 <= self.closed < self.open < math.inf:
            raise ValueError(f"open {self.open}, closed {self.closed}: expected 0 <= closed < open [m]")


@dataclass(frozen=True)
class ActionSpec:
    """Meaning of an action's numbers, each in [-1, 1].

    Attributes:
        top_speed: hand speed along one axis of the base frame for an action of 1 [m/s].
        angular: axes of the base frame about which the hand turns, some of rx, ry, rz; about the others its
            orientation is kept.
        top_angular_speed: about one of them for an action of 1 [rad/s].
        gripper_threshold: gripper actions within +-threshold hold the previous target; above it the gripper opens,
            below it closes.
    """

    top_speed: Positive
    angular: tuple[str, ...] = ()
    top_angular_speed: Positive = 1.0
    gripper_threshold: Annotated[float, Range(0, 1, below=True)] = 0.5

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.angular != tuple(axis for axis in ANGULAR_AXES if axis in self.angular):
            raise ValueError(f"angular {list(self.angular)}: expected some of {', '.join(ANGULAR_AXES)}, in this order")

    @cached_property
    def layout(self) -> tuple[str, ...]:
        """Names of an action's numbers, in order."""
        return ("x", "y", "z", *self.angular, "gripper")

    @cached_property
    def size(self) -> int:
        """Numbers of an action."""
        return len(self.layout)

    @cached_property
    def angular_indices(self) -> tuple[int, ...]:
        """Which components of an angular velocity the action's angular numbers are."""
        return tuple(map(ANGULAR_AXES.index, self.angular))


@dataclass(frozen=True)
class MarkerSpec(Checked):
    """A square ArUco or AprilTag marker on an object.

    Attributes:
        id: of the marker in its dictionary.
        size: of the black square's side [m].
        position: of its middle in the object's frame, three numbers [m].
        orientation: of the marker (x right, y up, z out of the picture) in the object's frame, quaternion x, y, z, w;
            flat on top if not given.
        dictionary: of the markers, such as 4x4_50 or april_36h11.
    """

    id: Annotated[int, AT_LEAST_0]
    size: Positive
    position: Vector = (0.0, 0.0, 0.0)
    orientation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    dictionary: str = "4x4_50"


@dataclass(frozen=True)
class CameraSpec(Checked):
    """A calibrated camera that looks at the scene. In simulation it is the scene's camera of this name.

    Attributes:
        width: of its images [pixels].
        height: likewise.
    """

    width: Annotated[int, Range(16, math.inf)] = 320
    height: Annotated[int, Range(16, math.inf)] = 240


@dataclass(frozen=True)
class ObjectSpec:
    """An object of interest, or a fixed target.

    Attributes:
        moves: whether the object may move.
        orientation: the observed part of its orientation: none, yaw (about the vertical) or full.
        symmetry: it looks the same after 1/symmetry of a turn about its vertical.
        size: of its box along its own axes, three numbers [m]; empty if it does not matter.
        markers: on it, for poses from markers.
        memory: time for which networks may use its last pose while it is hidden [s].
        carried_by: object with which it moves while hidden, until the hand grasps it, such as the drawer around it.
        position: usual position, three numbers [m], which the mock arm reports. Below home if not given.
    """

    moves: bool = True
    orientation: str = "none"
    symmetry: int = 1
    size: Annotated[tuple[float, ...], Range(0, math.inf, above=True, below=True, count=3)] = ()
    markers: tuple[MarkerSpec, ...] = ()
    memory: Annotated[float, Range(0, math.inf)] = 0.0
    carried_by: str = ""
    position: Vector = ()

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.orientation not in ORIENTATIONS:
            raise ValueError(f"orientation {self.orientation!r}: expected {', '.join(ORIENTATIONS)}")
        if self.symmetry < 1 or (self.symmetry > 1 and self.orientation == "full"):
            raise ValueError(f"symmetry {self.symmetry}: expected 1 or more, and 1 where the full orientation matters")


@dataclass(frozen=True)
class SkillSpec:
    """One skill, hence one expert.

    Attributes:
        observes: objects and flags that its expert observes, besides the hand.
        time_limit: time after which an episode of the skill alone has failed [s].
        min_time: before which it does not count as solved [s].
        label: its name for people.
        color: #rrggbb in pictures.
        success: conditions that hold when the skill is done, for any position of the hand.
        sets: flags that become true when conditions hold, and stay so for the episode.
        starts: places of objects before the skill, in simulation.
        done: places of objects after the skill.
    """

    observes: tuple[str, ...]
    time_limit: float = 60.0
    min_time: float = 0.0
    label: str = ""
    color: str = "#9aa0a6"
    success: Conditions = ()
    sets: Mapping[str, Conditions] = field(default_factory=dict)
    starts: Mapping[str, PlacementSpec] = field(default_factory=dict)
    done: Mapping[str, PlacementSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_times(self.time_limit, self.min_time)
        if not _COLOR.fullmatch(self.color):
            raise ValueError(f"color {self.color!r}: expected #rrggbb")


@dataclass(frozen=True)
class ScenarioSpec:
    """The long task from one of its skills on, to the last.

    Attributes:
        first: skill with which it begins.
        time_limit: time after which an episode has failed [s].
        min_time: before which it does not count as solved [s].
    """

    first: str
    time_limit: float = 240.0
    min_time: float = 0.0

    def __post_init__(self) -> None:
        _check_times(self.time_limit, self.min_time)


@dataclass(frozen=True)
class GateSpec:
    """The gating network.

    Attributes:
        observes: objects and flags that it observes, besides the hand.
    """

    observes: tuple[str, ...]


def _check_times(time_limit: float, min_time: float) -> None:
    if not (0.0 < time_limit < math.inf and 0.0 <= min_time < time_limit):
        raise ValueError(f"time_limit {time_limit}, min_time {min_time}: expected 0 <= min_time < time_limit [s]")
