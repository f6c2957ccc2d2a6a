"""The graph's description: one file, every typo named, the controller's own experts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml
from specs import SKILLS

from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.core.paths import config_path
from roman_moe.core.tasks import task_folder
from roman_moe.nodes.bringup.bringup import node_class
from roman_moe.nodes.bringup.graph import load_description, parse_arguments, resolve


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = config_path("graph.yaml").read_text()
    assert old in text
    file = tmp_path / "graph.yaml"
    file.write_text(text.replace(old, new, 1))
    return file


def test_the_shipped_graph_has_one_expert_a_skill(bundle: Path) -> None:
    specs = resolve(load_description(), {"bundle": str(bundle), "lockstep": True, "noise_bound": 0})
    by_name = {spec.name: spec for spec in specs}
    assert [name for name in by_name if name.startswith("expert_")] == [f"expert_{skill}" for skill in SKILLS]
    assert by_name["expert_push"].parameters["skill"] == "push"
    assert by_name["expert_push"].parameters["bundle"] == str(bundle)
    assert by_name["blender"].parameters["lockstep"] is True
    assert by_name["lab"].parameters["start"] == ""
    bound = by_name["pose_source"].parameters["noise_bound"]
    assert isinstance(bound, float)
    assert bound == 0.0


@pytest.mark.parametrize("poses", ["camera", "markers"])
@pytest.mark.parametrize("arm", ["lab", "servo", "none"])
def test_cameras_take_the_place_of_the_pose_source(bundle: Path, arm: str, poses: str) -> None:
    specs = resolve(load_description(), {"bundle": str(bundle), "arm": arm, "poses": poses, "lockstep": True})
    by_name = {spec.name: spec.parameters for spec in specs}
    assert "pose_source" not in by_name
    assert ("object_pose_estimator" in by_name) is (arm != "none")
    if arm != "none":
        estimator = by_name["object_pose_estimator"]
        assert (estimator["poses"], estimator["lockstep"]) == (poses, True)
        assert (estimator["reliable"], estimator["sensor_noise"]) == (arm == "lab", arm != "lab")
        assert by_name["observer"]["await_poses"] is True
    if arm == "lab":
        assert (by_name["lab"]["cameras"], by_name["lab"]["markers"]) == (True, poses == "markers")
        assert by_name["lab"]["camera_rate"] == estimator["rate"]


@pytest.mark.parametrize(("arm", "poses"), [("lab", "truth"), ("mock", "truth"), ("servo", "truth"), ("lab", "camera")])
def test_the_graph_only_sets_parameters_that_its_nodes_declare(bundle: Path, arm: str, poses: str) -> None:
    for spec in resolve(load_description(), {"bundle": str(bundle), "arm": arm, "poses": poses}):
        declared = {field.name for field in dataclasses.fields(node_class(spec.executable).PARAMETERS)} | {
            "use_sim_time"
        }
        assert set(spec.parameters) <= declared, spec.name


@pytest.mark.parametrize("simulated", [False, True])
def test_false_leaves_the_clock_to_the_command_line(bundle: Path, simulated: bool) -> None:
    """A node's own parameters go before `--ros-args -p use_sim_time:=true`."""
    arguments = {"bundle": str(bundle), "arm": "servo", "use_sim_time": simulated}
    for spec in resolve(load_description(), arguments):
        assert spec.parameters.get("use_sim_time") is (True if simulated else None), spec.name


@pytest.mark.parametrize(("arm", "node"), [("lab", "lab"), ("mock", "mock_arm"), ("servo", "arm_bridge")])
def test_the_chosen_arm_starts_alone_and_last(bundle: Path, arm: str, node: str) -> None:
    arguments = {"bundle": str(bundle), "arm": arm, "arm_config": "config/arms/franka.yaml", "read_only": True}
    specs = resolve(load_description(), arguments)
    assert {spec.name for spec in specs} & {"lab", "mock_arm", "arm_bridge"} == {node}
    assert specs[-1].name == node
    observer = next(spec for spec in specs if spec.name == "observer")
    assert observer.parameters["await_poses"] is (arm != "servo")
    if arm == "servo":
        assert specs[-1].parameters["read_only"] is True
        assert specs[-1].parameters["config"] == str(config_path("arms/franka.yaml").resolve())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("when: $(arm == mock)", "when: $(leg == mock)", r"nodes\.mock_arm: \$\(leg\): expected one of"),
        (
            "executable: observer",
            "exekutable: observer",
            r"graph\.yaml, line \d+: nodes.observer: unknown key 'exekutable'",
        ),
        ("seed: $(seed)", "seed: $(sead)", r"nodes\.pose_source: \$\(sead\): expected one of"),
        ("default: 1.0", "defualt: 1.0", "arguments.speed: unknown key 'defualt': did you mean 'default'"),
        ("nodes:\n", "nodes: {\n", "not valid YAML"),
        ("nodes:\n", "knots:\n", "unknown key 'knots'"),
    ],
)
def test_typos_are_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_description(edited(tmp_path, old, new))


def test_arguments_are_checked(bundle: Path, tmp_path: Path) -> None:
    description = load_description()
    with pytest.raises(ConfigError, match="unknown argument 'sed': did you mean 'seed'"):
        resolve(description, {"bundle": str(bundle), "sed": 1})
    with pytest.raises(ConfigError, match="argument 'seed' is 'x': expected int"):
        resolve(description, {"bundle": str(bundle), "seed": "x"})
    with pytest.raises(ConfigError, match="argument 'arm' is 'leg': expected lab or mock or servo"):
        resolve(description, {"bundle": str(bundle), "arm": "leg"})
    with pytest.raises(ConfigError, match="argument 'lockstep' is 1: expected bool"):
        resolve(description, {"bundle": str(bundle), "lockstep": 1})
    with pytest.raises(BundleError, match="no such folder"):
        resolve(description, {"bundle": str(tmp_path / "nothing")})


def test_a_former_name_of_an_argument_is_understood(bundle: Path) -> None:
    description = load_description()
    assert resolve(description, {"controller": str(bundle)}) == resolve(description, {"bundle": str(bundle)})


def test_arguments_as_text_get_their_types() -> None:
    description = load_description()
    texts = {"start": "6", "seed": "3", "speed": "2", "lockstep": "True"}
    assert parse_arguments(description, texts) == {"start": "6", "seed": 3, "speed": 2.0, "lockstep": True}
    for name, text in {"seed": "1.5", "speed": "fast", "lockstep": "1"}.items():
        with pytest.raises(ConfigError, match=name):
            parse_arguments(description, {name: text})


def test_every_argument_is_used_and_described() -> None:
    content = yaml.safe_load(config_path("graph.yaml").read_text())
    text = yaml.safe_dump(content["nodes"])
    for name, argument in content["arguments"].items():
        assert f"$({name})" in text or f"$({name} " in text or name == "topics"  # which are all nodes'
        assert argument["description"].endswith(".")


def test_with_something_to_teach_an_operator_answers_and_no_network_runs() -> None:
    arguments = {"bundle": "", "task": "roman", "policy": False, "teach": SKILLS[0], "arm": "mock", "demos": "here"}
    specs = {spec.name: spec for spec in resolve(load_description(), arguments)}
    assert list(specs) == ["pose_source", "observer", "blender", "demo_recorder", "mock_arm"]
    assert specs["demo_recorder"].parameters["teach"] == SKILLS[0]
    assert specs["demo_recorder"].parameters["demos"] == "here"


def test_whoever_has_limits_gets_those_of_the_graph(bundle: Path) -> None:
    for arm in ("lab", "servo"):
        specs = resolve(
            load_description(), {"bundle": str(bundle), "arm": arm, "limits": "mine.yaml", "arm_config": "x.yaml"}
        )
        having = [
            spec
            for spec in specs
            if any(field.name == "limits" for field in dataclasses.fields(node_class(spec.executable).PARAMETERS))
        ]
        assert len(having) >= len(SKILLS) + 1
        for spec in having:
            assert Path(str(spec.parameters["limits"])).name == "mine.yaml", spec.name


@pytest.mark.parametrize(("arm", "noisy"), [("lab", True), ("mock", True), ("servo", False)])
def test_no_noise_is_added_to_a_robots_poses(arm: str, noisy: bool, bundle: Path) -> None:
    specs = resolve(load_description(), {"bundle": str(bundle), "arm": arm, "arm_config": "x.yaml"})
    (source,) = [spec for spec in specs if spec.name == "pose_source"]
    assert source.parameters["noisy"] is noisy


def test_a_task_is_found_before_anything_starts(bundle: Path, tmp_path: Path) -> None:
    description = load_description()
    specs = resolve(description, {"bundle": str(bundle), "task": "roman"})
    assert {Path(spec.parameters["task"]) for spec in specs} == {task_folder("roman").resolve()}
    with pytest.raises(ConfigError, match="unknown task 'romulus': expected a folder with a task.yaml, or one of"):
        resolve(description, {"bundle": str(bundle), "task": "romulus"})
