"""The graph's description: config/graph.yaml and a user's arguments in, the list of nodes with their parameters out.

Bring-up and launch files both get their nodes here and nowhere else. Nothing here needs rclpy.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roman_moe.control.manifest import load_manifest, task_of_bundle
from roman_moe.core.config import build, read_yaml, suggestion
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path, find_shipped
from roman_moe.core.tasks import load_spec, task_folder

if TYPE_CHECKING:
    from roman_moe.nodes.base.node import RomanNode

EXECUTABLES: Mapping[str, tuple[str, str]] = {
    "lab_node": ("arms", "LabNode"),
    "mock_arm": ("arms", "MockArmNode"),
    "arm_bridge": ("arms", "ArmBridge"),
    "pose_source": ("arms", "PoseSource"),
    "observer": ("control", "Observer"),
    "gate": ("control", "GateNode"),
    "expert": ("control", "ExpertNode"),
    "blender": ("control", "Blender"),
    "demo_recorder": ("teleop", "DemoRecorder"),
    "teleop": ("teleop", "Teleop"),
    "object_pose_estimator": ("perception", "ObjectPoseEstimator"),
}
"""Executables of the graph: the package of `roman_moe.nodes` in which each has a module of its name, and its class."""

Value = Any
"""bool, int, float or str: what a ROS parameter here may be."""

_REFERENCE = re.compile(r"\$\((\w+)(?: (==|!=) (\w*))?\)")
_SKILL = "skill"
_TASK = "task"
SIM_TIME = "use_sim_time"
_TOPICS = "topics"
_PATHS = ("bundle", "arm_config", "limits", "estimator", "calibration", _TOPICS)
"""Arguments that are paths: nodes run in folders of their own, and get the whole one, of what is shipped if it is not
here."""


@dataclass(frozen=True)
class Argument:
    """What a user may set. The type of `default` is the argument's type; it is one of `choices`, if there are any.

    Its former name is understood in the present version alone.
    """

    default: Value
    description: str
    choices: tuple[str, ...] = ()
    formerly: str = ""


@dataclass(frozen=True)
class NodeTemplate:
    """A node as the file has it, references unresolved; it starts if `when` comes to true."""

    executable: str
    parameters: dict[str, Any]
    when: Value = True


@dataclass(frozen=True)
class Description:
    """The file's content."""

    arguments: Mapping[str, Argument]
    nodes: Mapping[str, NodeTemplate]

    @property
    def renamed(self) -> dict[str, str]:
        """Present names of arguments by their former ones."""
        return {argument.formerly: name for name, argument in self.arguments.items() if argument.formerly}


@dataclass(frozen=True)
class NodeSpec:
    """One node to start.

    Attributes:
        executable: of lib/roman_moe, one of `EXECUTABLES`.
        remaps: other names for its topics, by the usual ones.
    """

    name: str
    executable: str
    parameters: Mapping[str, Value]
    remaps: Mapping[str, str] = field(default_factory=dict)


def module_of(executable: str) -> str:
    """Name of the module that an executable of the graph runs.

    Raises:
        ConfigError: if there is no such executable.
    """
    if executable not in EXECUTABLES:
        raise ConfigError(f"graph: unknown executable {executable!r}: expected one of {', '.join(EXECUTABLES)}")
    return f"roman_moe.nodes.{EXECUTABLES[executable][0]}.{executable}"


def node_class(executable: str) -> type[RomanNode]:
    """Class of an executable of the graph. Raises as `module_of`."""
    module = importlib.import_module(module_of(executable))
    found: type[RomanNode] = getattr(module, EXECUTABLES[executable][1])
    return found


def load_description(path: Path | None = None) -> Description:
    """Read and check the graph's file.

    Raises:
        ConfigError: naming file and key.
    """
    path = path or config_path("graph.yaml")
    description = build(Description, read_yaml(path, ConfigError), str(path), ConfigError)
    known = {*description.arguments, _SKILL}
    for name, node in description.nodes.items():
        for reference, *_ in _REFERENCE.findall(" ".join([name, str(node.when), *map(str, node.parameters.values())])):
            if reference not in known:
                raise ConfigError(f"{path}: nodes.{name}: $({reference}): expected one of {', '.join(sorted(known))}")
    return description


def resolve(description: Description, arguments: Mapping[str, Value]) -> tuple[NodeSpec, ...]:
    """The nodes to start for a user's arguments; the others keep their defaults.

    Raises:
        ConfigError: for an unknown argument, one of the wrong type, or an unknown task.
        BundleError: if the bundle's manifest cannot be used: it says which experts there are.
    """
    values = {name: argument.default for name, argument in description.arguments.items()}
    for given, value in arguments.items():
        name = description.renamed.get(given, given)
        values[name] = _converted(description, name, value)
    for name in _PATHS:
        if values.get(name):
            values[name] = str(find_shipped(values[name]).resolve())
    if values.get(_TASK):
        values[_TASK] = str(task_folder(values[_TASK]).resolve())
    skills, cameras = _parts(values["bundle"], values.get(_TASK, ""))
    remaps = _topic_map(values.get(_TOPICS, ""), skills, cameras)
    nodes = []
    for name, template in description.nodes.items():
        if _substitute(template.when, values) is not True:
            continue
        for skill in skills if f"$({_SKILL})" in name else (None,):
            known = values if skill is None else {**values, _SKILL: skill}
            parameters = {key: _substitute(value, known) for key, value in template.parameters.items()}
            if parameters.get(SIM_TIME) is False:  # ROS's default, which must not go before a `-p use_sim_time:=true`
                del parameters[SIM_TIME]
            nodes.append(NodeSpec(str(_substitute(name, known)), template.executable, parameters, remaps))
    return tuple(nodes)


def _parts(bundle: str, task: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Skills and cameras: of the bundle; of the task, where there is none."""
    if not bundle and task:
        spec = load_spec(task)
        return spec.skill_names, tuple(spec.cameras)
    return load_manifest(bundle).skills, tuple(task_of_bundle(bundle, task).cameras)


def _topic_map(path: str, skills: tuple[str, ...], cameras: tuple[str, ...]) -> Mapping[str, str]:
    if not path:
        return {}
    from roman_moe.nodes.bringup.topic_map import read_topic_map  # needs rclpy

    return read_topic_map(Path(path), skills, cameras)


def _converted(description: Description, name: str, value: Value) -> Value:
    if name not in description.arguments:
        raise ConfigError(f"graph: unknown argument {name!r}: {suggestion(name, description.arguments)}")
    kind = type(description.arguments[name].default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"graph: argument {name!r} is {value!r}: expected {kind.__name__}")
    choices = description.arguments[name].choices
    if choices and value not in choices:
        raise ConfigError(f"graph: argument {name!r} is {value!r}: expected {' or '.join(choices)}")
    return value


def parse_arguments(description: Description, texts: Mapping[str, str]) -> dict[str, Value]:
    """Arguments given as text, as launch files get them.

    Raises:
        ConfigError: naming the argument whose text is not of its type.
    """
    return {name: _parsed(name, type(description.arguments[name].default), text) for name, text in texts.items()}


def _parsed(name: str, kind: type, text: str) -> Value:
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ConfigError(f"graph: argument {name!r} is {text!r}: expected true or false")
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"graph: argument {name!r} is {text!r}: expected {kind.__name__}") from None


def _substitute(value: Value, known: Mapping[str, Value]) -> Value:
    """A value that is one reference keeps the argument's type; within a text it becomes text.

    A comparison with a word or nothing, such as `$(arm == lab)` or `$(teach == )`, is true or false. Conditions may be
    joined by one of `and` and `or`.
    """
    if not isinstance(value, str):
        return value
    for word, joined in ((" and ", all), (" or ", any)):
        if value.startswith("$(") and word in value:
            return joined(_substitute(part, known) is True for part in value.split(word))

    def of(match: re.Match[str]) -> Value:
        found, comparison, word = known[match[1]], match[2], match[3]
        return found if comparison is None else (str(found) == word) == (comparison == "==")

    whole = _REFERENCE.fullmatch(value)
    return of(whole) if whole else _REFERENCE.sub(lambda match: str(of(match)), value)
