"""Parameters: declared once with type, range and description; what does not fit is one clear error."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
from ros_rig import Rig

from roman_moe.control.manifest import MANIFEST_NAME, load_manifest
from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TASK_FILE
from roman_moe.core.tasks import load_spec, task_folder
from roman_moe.nodes.arms.pose_source import PoseSource
from roman_moe.nodes.base.parameters import TaskParameters
from roman_moe.nodes.base.process import refuse_former_nodes, ros_context
from roman_moe.nodes.bringup.bringup import node_class
from roman_moe.nodes.bringup.graph import EXECUTABLES
from roman_moe.nodes.control.expert import ExpertNode
from roman_moe.nodes.control.gate import GateNode
from roman_moe.nodes.control.observer import Observer


@pytest.mark.parametrize(
    ("kind", "parameters", "complaint"),
    [
        (
            PoseSource,
            {"noise_bound": "much"},
            "pose_source: parameter 'noise_bound' has the wrong type: expected a number",
        ),
        (PoseSource, {"noise_bound": 1}, "expected a number with a decimal point"),
        (PoseSource, {"noise_bound": -0.1}, "parameter 'noise_bound' is out of range: expected 0.0 to 1.0"),
        (PoseSource, {"seed": -1}, "parameter 'seed' is out of range"),
        (Observer, {"lockstep": "yes"}, "observer: parameter 'lockstep' has the wrong type: expected true or false"),
    ],
)
def test_bad_values_are_named(rig: Rig, kind: Any, parameters: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        rig.add(kind, **parameters)


NUMBERS = [
    (executable, name)
    for executable in EXECUTABLES
    for name, field in node_class(executable).PARAMETERS.__dataclass_fields__.items()
    if field.type in ("int", "float")
]


@pytest.mark.parametrize(("executable", "name"), NUMBERS)
def test_every_number_has_bounds_and_none_beyond_them_is_taken(
    rig: Rig, bundle: Path, executable: str, name: str
) -> None:
    kind = node_class(executable)
    fields = kind.PARAMETERS.__dataclass_fields__
    low, high = fields[name].metadata["bounds"]
    wrong = (
        [low - 1, high + 1] if fields[name].type == "int" else [low - 1.0, 2.0 * high, math.nan, math.inf, -math.inf]
    )
    needed = {"bundle": str(bundle), "skill": "push", "config": "config/arms/franka.yaml"}
    others = {key: value for key, value in needed.items() if key in fields}
    for value in wrong:
        with pytest.raises(ConfigError, match=f"parameter '{name}' is out of range: expected {low} to {high}"):
            rig.add(kind, **others, **{name: value})


def test_a_missing_value_is_named(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="expert: parameter 'bundle' is not set: expected folder of"):
        rig.add(node_class("expert"))


@pytest.mark.parametrize("names", [("controller",), ("bundle",), ("controller", "bundle")])
def test_a_former_name_is_understood_and_the_present_one_comes_first(
    rig: Rig, bundle: Path, names: tuple[str, ...]
) -> None:
    others = {"controller": str(bundle) if "bundle" not in names else "nowhere", "bundle": str(bundle)}
    node = rig.add(Observer, **{name: others[name] for name in names})
    assert node.get_parameter("bundle").value == str(bundle)
    assert not node.has_parameter("controller")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("/manipulation_network: {ros__parameters: {ramp: 0.1}}", "the node /manipulation_network, which is /gate now"),
        ("manipulation_network: {ros__parameters: {ramp: 0.1}}", "the node manipulation_network, which is gate now"),
        (
            "left: {manipulation_network: {ros__parameters: {ramp: 0.1}}}",
            "the node left/manipulation_network, which is left/gate now",
        ),
        ("/**: {ros__parameters: {manipulation_network: 0.1}}", ""),
        ("/gate: {ros__parameters: {ramp: 0.1}}", ""),
        ("[manipulation_network]", ""),
    ],
)
def test_a_parameter_file_for_a_former_node_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    """ROS would apply it to no node, and say nothing."""
    file = tmp_path / "parameters.yaml"
    file.write_text(content)
    refused = pytest.raises(ConfigError, match=f"{file}: names {complaint}") if complaint else contextlib.nullcontext()
    with refused:
        refuse_former_nodes(("--ros-args", "--params-file", str(file)))


@pytest.mark.parametrize(
    ("flag", "argument", "former"),
    [("-r", "manipulation_network:__node:=x", True), ("-p", "manipulation_network:ramp:=0.1", True)]
    + [("-r", "gate:__node:=x", False), ("-p", "ramp:=0.1", False), ("-r", "scene:=manipulation_network", False)],
)
def test_a_rule_for_a_former_node_is_refused(flag: str, argument: str, former: bool) -> None:
    refused = pytest.raises(ConfigError, match="which is gate now: write gate") if former else contextlib.nullcontext()
    with refused, ros_context(("--ros-args", flag, argument)):
        pass


def test_ros_knows_the_descriptions(rig: Rig) -> None:
    node = rig.add(Observer, task="roman")
    descriptor = node.describe_parameter("pose_wait")
    assert "[s]" in descriptor.description
    assert descriptor.read_only
    assert descriptor.floating_point_range[0].to_value == 1.0


@pytest.mark.parametrize("executable", EXECUTABLES)
def test_every_parameter_is_described(executable: str) -> None:
    fields = node_class(executable).PARAMETERS.__dataclass_fields__.values()
    assert all(field.metadata["description"] for field in fields)


def test_a_bundle_of_another_task_is_refused(rig: Rig, bundle: Path, tmp_path: Path) -> None:
    rig.add(Observer, bundle=str(bundle), task="roman")
    text = (task_folder("roman") / TASK_FILE).read_text()
    (tmp_path / TASK_FILE).write_text(text + "control_rate: 25.0\n")
    assert load_spec(tmp_path).control_rate == 25.0
    with pytest.raises(ConfigError, match=f"{bundle}: is for task 'roman' .*: expected task {tmp_path} "):
        rig.add(Observer, "other", bundle=str(bundle), task=str(tmp_path))


@pytest.mark.parametrize("by_folder", [False, True])
def test_the_task_of_a_bundle_is_as_its_task_yaml_has_it_now(
    rig: Rig, bundle: Path, tmp_path: Path, by_folder: bool
) -> None:
    """Somebody moves a marker after training: every node has it where it is, or its poses would be wrong."""
    text = (task_folder("roman") / TASK_FILE).read_text()
    moved = text.replace("position: [-0.066, -0.022, 0.0115]", "position: [-0.066, -0.03, 0.0115]")
    (tmp_path / TASK_FILE).write_text(moved.replace("memory: 4.0", "memory: 5.0"))
    manifest = (bundle / MANIFEST_NAME).read_text()
    (bundle / MANIFEST_NAME).write_text(manifest.replace("memory: 4.0", "memory: 3.0"))
    assert load_manifest(bundle).task.objects["button"].memory == 3.0
    task = str(tmp_path) if by_folder else ""
    spec = TaskParameters(bundle=str(bundle), task=task).spec()
    assert spec.objects["rack"].markers[0].position[1] == (-0.03 if by_folder else -0.022)
    gate = rig.add(GateNode, bundle=str(bundle), task=task)
    expert = rig.add(ExpertNode, bundle=str(bundle), task=task, skill="push")
    memories = [each.objects["button"].memory for each in (spec, gate._spec, expert._spec)]
    assert memories == [5.0 if by_folder else 4.0] * 3
