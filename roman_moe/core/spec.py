"""TaskSpec: the data that describe a task. It is the only source of the task's objects, flags and skills.

It is read from a `task.yaml`, embedded in every bundle, and passed to all code that needs it. Feature names and
indices, message layouts, metadata checks, options' choices and plot colours are made from it, never from an import. So
two tasks can live in one process.
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
from roman_moe.core.spec_parts import (
    ActionSpec,
    CameraSpec,
    GateSpec,
    GripperSpec,
    HomeSpec,
    ObjectSpec,
    ScenarioSpec,
    SkillSpec,
)

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
_BESIDES = ("label", "color", "size", "markers", "memory", "carried_by", "position", "starts", "done")
"""Keys of objects and skills that no network depends on."""

NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """A task, as data. Two are equal if their digests are.

    Attributes:
        home: pose to which the hand returns.
        gripper: its open and closed distance.
        action: meaning of an action's numbers.
        objects: by name, in the order of `SceneState.object_positions`.
        skills: by name, in the order of the gate's weights and in which the long task needs them.
        gate: observations of the gating network.
        scenarios: from which skills on the long task begins, by number.
        flags: names of values that are true or false, such as whether a door is locked.
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
        named = [("name", self.name), *((f"flags[{i}]", name) for i, name in enumerate(self.flags))]
        named += [(f"{kind}.{name}", name) for kind in ("objects", "skills", "cameras") for name in getattr(self, kind)]
        for where, name in named:
            if not NAME.fullmatch(name):
                yield f"{where}: {name!r}: expected lower-case letters, digits and _, a letter first"
            if where != "name" and name in RESERVED:
                yield f"{where}: {name!r} means something in every task: choose another name"
        for i, name in enumerate(self.flags):
            if name in self.objects or name in self.flags[:i]:
                yield f"flags[{i}]: {name!r} is given twice, or an object: choose another name"
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
        for name, each in self.objects.items():
            if each.carried_by:
                others = [other for other in self.objects if other != name]
                yield from _unknown(f"objects.{name}.carried_by", "object", each.carried_by, others)
        markers = [(each.dictionary, each.id) for one in self.objects.values() for each in one.markers]
        for dictionary, number in sorted({each for each in markers if markers.count(each) > 1}):
            yield f"objects: marker {number} of {dictionary} is given twice: each is on one object, once"
        for number, scenario in enumerate(self.scenarios):
            yield from _unknown(f"scenarios[{number}]", "skill", scenario.first, self.skills)
        if not (0.0 < self.gate_rate <= self.control_rate < math.inf):
            yield f"control_rate {self.control_rate}, gate_rate {self.gate_rate}: expected Hz above 0"

    def _of_observed(self, where: str, observes: tuple[str, ...]) -> Iterator[str]:
        for i, name in enumerate(observes):
            if name not in self.objects and name not in self.flags:
                known = suggestion(name, (*self.objects, *self.flags))
                yield f"{where}.observes[{i}]: {name!r} is neither object nor flag: {known}"
            if name in observes[:i]:
                yield f"{where}.observes[{i}]: {name!r} is given twice"

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
        """Names of a controller's networks, an expert for each skill and the gate."""
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
