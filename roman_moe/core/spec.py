"""TaskSpec: everything about a task that is data. Nothing else says which objects, flags and skills there are.

Read from a `task.yaml`, embedded in every bundle, and handed to whatever needs it: feature names and indices, message
layouts, metadata checks, options' choices and plot colours are made from it, never from an import. Two tasks therefore
live in one process.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from roman_moe.core.conditions import Conditions, Open, PlacementSpec, Pressed
from roman_moe.core.config import build, read_yaml, suggestion
from roman_moe.core.errors import ConfigError

GATE = "gate"
"""Name of the gating network, where an expert has the name of its skill."""
MONOLITHIC = "monolithic"
"""One network for the whole task, to compare the others with."""
RESERVED = (
    *(GATE, MONOLITHIC, "hand", "fingers", "home_distance"),
    *("hand_position", "hand_velocity", "hand_angular_velocity", "finger_force", "finger_opening"),
)
"""Names that mean something in every task: no skill, object or flag may have one."""

TASK_FILE = "task.yaml"
ANGULAR_AXES = ("rx", "ry", "rz")
"""Names of the angular velocities about the base frame's axes."""
ORIENTATIONS = ("none", "yaw", "full")

_BESIDES = ("label", "color", "size", "markers", "memory", "position", "starts", "done")
"""Keys of objects and skills that no network depends on."""

NAME = re.compile(r"[a-z][a-z0-9_]*")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class HomeSpec:
    """Pose to which the hand returns.

    Attributes:
        position: in the base frame, three numbers [m].
        orientation: as a quaternion x, y, z, w in the base frame; a gripper that points straight down if not given.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if len(self.position) != 3 or not all(map(math.isfinite, self.position)):
            raise ValueError(f"position {list(self.position)}: expected three finite numbers [m]")
        if len(self.orientation) != 4 or not abs(math.hypot(*self.orientation) - 1.0) < 1e-3:
            raise ValueError(f"orientation {list(self.orientation)}: expected a unit quaternion x, y, z, w")


@dataclass(frozen=True)
class GripperSpec:
    """The gripper that a task is for.

    Attributes:
        open: distance between the pads when it is told to open [m].
        closed: when it is told to close [m].
        force_scale: force on a finger at which the feature of it saturates [N].
    """

    open: float
    closed: float = 0.0
    force_scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.closed < self.open < math.inf:
            raise ValueError(f"open {self.open}, closed {self.closed}: expected 0 <= closed < open [m]")
        if not 0.0 < self.force_scale < math.inf:
            raise ValueError(f"force_scale {self.force_scale}: expected more than 0 [N]")


@dataclass(frozen=True)
class ActionSpec:
    """What the numbers of an action mean, each in [-1, 1].

    Attributes:
        top_speed: hand speed along one axis of the base frame for an action of 1 [m/s].
        angular: axes of the base frame about which the hand turns, some of rx, ry, rz; about the others its
            orientation is kept.
        top_angular_speed: about one of them for an action of 1 [rad/s].
        gripper_threshold: gripper actions within +-threshold hold the previous target; above it the gripper opens,
            below it closes.
    """

    top_speed: float
    angular: tuple[str, ...] = ()
    top_angular_speed: float = 1.0
    gripper_threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.top_speed < math.inf:
            raise ValueError(f"top_speed {self.top_speed}: expected more than 0 [m/s]")
        if self.angular != tuple(axis for axis in ANGULAR_AXES if axis in self.angular):
            raise ValueError(f"angular {list(self.angular)}: expected some of {', '.join(ANGULAR_AXES)}, in this order")
        if not 0.0 < self.top_angular_speed < math.inf:
            raise ValueError(f"top_angular_speed {self.top_angular_speed}: expected more than 0 [rad/s]")
        if not 0.0 <= self.gripper_threshold < 1.0:
            raise ValueError(f"gripper_threshold {self.gripper_threshold}: expected 0 to below 1")

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
class MarkerSpec:
    """A square ArUco or AprilTag marker on an object.

    Attributes:
        id: of the marker in its dictionary.
        size: of the black square's side [m].
        position: of its middle in the object's frame, three numbers [m].
        orientation: of the marker (x right, y up, z out of the picture) in the object's frame, quaternion x, y, z, w;
            flat on top if not given.
        dictionary: of the markers, such as 4x4_50 or april_36h11.
    """

    id: int
    size: float
    position: tuple[float, ...] = (0.0, 0.0, 0.0)
    orientation: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)
    dictionary: str = "4x4_50"

    def __post_init__(self) -> None:
        if self.id < 0:
            raise ValueError(f"id {self.id}: expected 0 or more")
        if not 0.0 < self.size < math.inf:
            raise ValueError(f"size {self.size}: expected more than 0 [m]")
        if len(self.position) != 3 or not all(map(math.isfinite, self.position)):
            raise ValueError(f"position {list(self.position)}: expected three finite numbers [m]")
        if len(self.orientation) != 4 or not abs(math.hypot(*self.orientation) - 1.0) <= 1e-3:
            raise ValueError(f"orientation {list(self.orientation)}: expected a quaternion x, y, z, w of length 1")


@dataclass(frozen=True)
class CameraSpec:
    """A calibrated camera that looks at the scene. In simulation it is the scene's camera of this name.

    Attributes:
        width: of its images [pixels].
        height: likewise.
    """

    width: int = 320
    height: int = 240

    def __post_init__(self) -> None:
        if self.width < 16 or self.height < 16:
            raise ValueError(f"width {self.width}, height {self.height}: expected 16 pixels or more")


@dataclass(frozen=True)
class ObjectSpec:
    """An object of interest, or a fixed target.

    Attributes:
        moves: whether something may move it.
        orientation: what of its orientation networks observe: none, yaw (about the vertical) or full.
        symmetry: it looks the same after 1/symmetry of a turn about its vertical.
        size: of its box along its own axes, three numbers [m]; empty if it does not matter.
        markers: on it, for poses from markers.
        memory: how long networks may go on with where it was last seen while something hides it [s].
        position: where it usually is, three numbers [m]; a mock of an arm shows it there. Below home if not given.
    """

    moves: bool = True
    orientation: str = "none"
    symmetry: int = 1
    size: tuple[float, ...] = ()
    markers: tuple[MarkerSpec, ...] = ()
    memory: float = 0.0
    position: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.orientation not in ORIENTATIONS:
            raise ValueError(f"orientation {self.orientation!r}: expected {', '.join(ORIENTATIONS)}")
        if self.symmetry < 1 or (self.symmetry > 1 and self.orientation == "full"):
            raise ValueError(f"symmetry {self.symmetry}: expected 1 or more, and 1 where the full orientation matters")
        if self.position and (len(self.position) != 3 or not all(map(math.isfinite, self.position))):
            raise ValueError(f"position {list(self.position)}: expected three finite numbers [m]")
        if self.size and (len(self.size) != 3 or not all(0.0 < length < math.inf for length in self.size)):
            raise ValueError(f"size {list(self.size)}: expected three numbers above 0 [m]")
        if not self.memory >= 0.0:
            raise ValueError(f"memory {self.memory}: expected 0 or more [s]")


@dataclass(frozen=True)
class SkillSpec:
    """One skill, hence one expert.

    Attributes:
        observes: objects and flags that its expert sees, besides the hand.
        time_limit: after which an episode of it alone is lost [s].
        min_time: before which it does not count as solved [s].
        label: its name for people.
        color: #rrggbb in pictures.
        success: what holds when it is done, wherever the hand is.
        sets: flags that become true when conditions hold, and stay so for the episode.
        starts: where objects are before it is done, in simulation.
        done: where they are after it.
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
        time_limit: after which it is lost [s].
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
        observes: objects and flags that it sees, besides the hand.
    """

    observes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """A task, as data. Two are equal if their digests are.

    Attributes:
        name: of the task.
        home: pose to which the hand returns.
        gripper: what it is told to open and close to.
        action: what an action's numbers mean.
        objects: by name, in the order of `SceneState.object_positions`.
        skills: by name, in the order of the gate's weights and in which the long task needs them.
        gate: what the gating network sees.
        scenarios: from which skills on the long task begins, by number.
        flags: names of what is true or false, such as whether a door is locked.
        success: what holds when the whole task is done; all of its skills' conditions if not given.
        cameras: by name, in the order in which an estimator takes their images.
        title: name for people; the name if not given.
        control_rate: of scenes, experts and commands [Hz].
        gate_rate: of the gating network [Hz].

    Raises:
        ValueError: with a message for each mistake.
    """

    name: str
    home: HomeSpec
    gripper: GripperSpec
    action: ActionSpec
    objects: Mapping[str, ObjectSpec]
    skills: Mapping[str, SkillSpec]
    gate: GateSpec
    scenarios: tuple[ScenarioSpec, ...]
    flags: tuple[str, ...] = ()
    success: Conditions = ()
    cameras: Mapping[str, CameraSpec] = field(default_factory=dict)
    title: str = ""
    control_rate: float = 20.0
    gate_rate: float = 10.0

    def __post_init__(self) -> None:
        mistakes = tuple(self._mistakes())
        if mistakes:
            raise ValueError(*mistakes)

    def _mistakes(self) -> Iterator[str]:
        for kind, names in (
            ("name", (self.name,)),
            *(("flags", self.flags), ("objects", self.objects), ("skills", self.skills), ("cameras", self.cameras)),
        ):
            for name in names:
                where = kind if kind in ("name", "flags") else f"{kind}.{name}"
                if not NAME.fullmatch(name):
                    yield f"{where}: {name!r}: expected lower-case letters, digits and _, a letter first"
                if kind != "name" and name in RESERVED:
                    yield f"{where}: {name!r} means something in every task: choose another name"
        for name in self.flags:
            if name in self.objects or self.flags.count(name) > 1:
                yield f"flags: {name!r} is there twice, or an object: choose another name"
        if not self.objects or not self.skills:
            yield "objects, skills: expected one of each at least"
        for name, skill in self.skills.items():
            yield from self._of_observed(f"skills.{name}", skill.observes)
            yield from self._of_conditions(f"skills.{name}.success", skill.success)
            for flag, conditions in skill.sets.items():
                yield from _unknown(f"skills.{name}.sets.{flag}", "flag", flag, self.flags)
                yield from self._of_conditions(f"skills.{name}.sets.{flag}", conditions)
            yield from self._of_placements(f"skills.{name}.starts", skill.starts)
            yield from self._of_placements(f"skills.{name}.done", skill.done)
        yield from self._of_observed("gate", self.gate.observes)
        yield from self._of_conditions("success", self.success)
        if not self.scenarios:
            yield f"scenarios: expected one at least, such as {{first: {next(reversed(tuple(self.skills)), 'SKILL')}}}"
        markers = [(each.dictionary, each.id) for one in self.objects.values() for each in one.markers]
        for dictionary, number in sorted({each for each in markers if markers.count(each) > 1}):
            yield f"objects: marker {number} of {dictionary} is there twice: each is on one object, once"
        for number, scenario in enumerate(self.scenarios):
            yield from _unknown(f"scenarios[{number}]", "skill", scenario.first, self.skills)
        if not (0.0 < self.gate_rate <= self.control_rate < math.inf):
            yield f"control_rate {self.control_rate}, gate_rate {self.gate_rate}: expected Hz above 0"

    def _of_observed(self, where: str, observes: tuple[str, ...]) -> Iterator[str]:
        for name in observes:
            if name not in self.objects and name not in self.flags:
                known = suggestion(name, (*self.objects, *self.flags))
                yield f"{where}: observes {name!r}, which is neither object nor flag: {known}"
        if len(set(observes)) != len(observes):
            yield f"{where}: observes something twice: {', '.join(observes)}"

    def _of_conditions(self, where: str, conditions: Conditions) -> Iterator[str]:
        for number, condition in enumerate(conditions):
            for kind, part in condition.parts():
                place = f"{where}[{number}].{kind}"
                for key in ("object", "target"):
                    name = getattr(part, key, "")
                    yield from _unknown(place, "object", name, self.objects) if name else ()
                if kind == "flag":
                    yield from _unknown(place, "flag", getattr(part, "name", ""), self.flags)
                said = {Open: "closed", Pressed: "released"}.get(type(part))
                if said and getattr(part, said) in ((), None):
                    name = getattr(part, "object", "")
                    if name in self.objects and not self.objects[name].position:
                        yield f"{place}: {said} is missing: expected it here, or a position of the object {name!r}"

    def _of_placements(self, where: str, placements: Mapping[str, PlacementSpec]) -> Iterator[str]:
        for name, placement in placements.items():
            yield from _unknown(f"{where}.{name}", "object", name, self.objects)
            if placement.at:
                others = [each for each in self.objects if each != name]
                yield from _unknown(f"{where}.{name}", "object", placement.at, others)

    @cached_property
    def object_names(self) -> tuple[str, ...]:
        """In the order of `SceneState.object_positions`."""
        return tuple(self.objects)

    @cached_property
    def object_index(self) -> Mapping[str, int]:
        """Row of each object."""
        return {name: i for i, name in enumerate(self.objects)}

    @cached_property
    def flag_index(self) -> Mapping[str, int]:
        """Place of each flag in `SceneState.flags`."""
        return {name: i for i, name in enumerate(self.flags)}

    @cached_property
    def skill_names(self) -> tuple[str, ...]:
        """In the order of the gate's weights."""
        return tuple(self.skills)

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """Every network of a controller: an expert for each skill, and the gate."""
        return (*self.skills, GATE)

    @cached_property
    def digest(self) -> str:
        """sha256 over all that changes what networks see, answer and are judged by, in hexadecimal.

        Not over what is for people, cameras and mocks alone.
        """
        content = self.to_dict()
        content.pop("title", None)
        content.pop("cameras", None)
        for ordered in ("objects", "skills"):
            content[ordered] = [
                (name, {key: value for key, value in each.items() if key not in _BESIDES})
                for name, each in content[ordered].items()
            ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskSpec) and (other is self or other.digest == self.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    def to_dict(self) -> dict[str, Any]:
        """As plain YAML types; what has its default is left out."""
        return _plain(self)

    def to_yaml(self) -> str:
        """Content of a task.yaml."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, width=120)


def read_spec(path: Path) -> TaskSpec:
    """TaskSpec of a task.yaml.

    Raises:
        ConfigError: naming file, line and key of the first mistake.
    """
    return build(TaskSpec, read_yaml(path, ConfigError), str(path), ConfigError)


def _unknown(where: str, kind: str, name: str, known: Iterable[str]) -> Iterator[str]:
    if name not in known:
        yield f"{where}: unknown {kind} {name!r}: {suggestion(name, known)}"


def _check_times(time_limit: float, min_time: float) -> None:
    if not (0.0 < time_limit < math.inf and 0.0 <= min_time < time_limit):
        raise ValueError(f"time_limit {time_limit}, min_time {min_time}: expected 0 <= min_time < time_limit [s]")


def _default_of(each: dataclasses.Field[Any]) -> Any:
    return each.default if each.default_factory is dataclasses.MISSING else each.default_factory()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: _plain(getattr(value, each.name))
            for each in dataclasses.fields(value)
            if getattr(value, each.name) != _default_of(each)
        }
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
