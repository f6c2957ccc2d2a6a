"""An arm's description: the shipped ones are whole, and every mistake is named."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from specs import GRIPPER_CLOSED, GRIPPER_OPEN, ROMAN

from roman_moe.arms.config import load_arm_config
from roman_moe.arms.convert import finger_opening, gripper_position
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path


@pytest.mark.parametrize("name", ["franka", "ur"])
def test_the_shipped_ones_are_found_from_any_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_arm_config(f"config/arms/{name}.yaml", ROMAN)
    assert config.twist.topic == "/servo_node/delta_twist_cmds"
    assert set(config.flags) == {"button_pressed"}


@pytest.mark.parametrize("name", ["franka", "ur"])
def test_their_grippers_measure_what_they_are_told(name: str) -> None:
    config = load_arm_config(config_path(f"arms/{name}.yaml"), ROMAN)
    for opening in (GRIPPER_CLOSED, 0.03, GRIPPER_OPEN):
        told = gripper_position(opening, config.gripper)
        seen = finger_opening(dict.fromkeys(config.fingers.joints, told), config.fingers)
        assert seen == pytest.approx(min(opening, config.gripper.largest_opening), abs=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "  topic: /servo_node/delta",
            "  topik: /servo_node/delta",
            "twist: unknown key 'topik': did you mean 'topic'",
        ),
        ("command_in_type: speed_units", "command_in_type: m/s", "'m/s': expected 'speed_units' or 'unitless'"),
        ("rate: 40.0", "rate: 5.0", "twist: rate is 5.0: expected 20 or more"),
        ("rate: 40.0", "rate: .nan", "twist: rate is nan: expected 20 or more"),
        ("halt_messages: 4", "halt_messages: 0", "twist: halt_messages is 0: expected 1 or more"),
        ("tool_offset: [0.0, 0.0, 0.0]", "tool_offset: [0.0, 0.0]", "pose: tool_offset is .*: expected 3 numbers"),
        ("rotational_scale: 0.8", "rotational_scale: -1.0", "twist: rotational_scale is -1.0: expected more than 0"),
        ("tip_offset: [0.0, 0.0, 0.0]", "tip_offset: [0.0]", "twist: tip_offset is .*: expected 3 numbers"),
        (
            "orientation: [0.0, 0.0, 0.0, 1.0]",
            "orientation: [0.0, 0.0, 0.0, 2.0]",
            "tool_orientation .*: expected a u",
        ),
        ("max_age: 0.1", "max_age: 0.0", "pose: max_age is 0.0: expected more than 0"),
        ("forces: stall", "forces: guess", "fingers: forces is 'guess': expected 'effort' or 'stall'"),
        ("scale: 0.5", "scale: 0.0", "gripper: scale is 0: expected another number"),
        ("joints: [fr3_finger_joint1, fr3_finger_joint2]", "joints: []", "gripper: joints is empty"),
        (
            "action_type: GripperCommand",
            "action_type: Grip",
            "gripper: action_type is 'Grip': expected 'Gripper",
        ),
        (
            "action_type: GripperCommand",
            "action_type: ParallelGripperCommand",
            "gripper: joints: 2 names: expected one",
        ),
        ("largest_opening: 0.078", "largest_opening: 0.0", "gripper: largest_opening is 0.0: expected more than 0"),
        ("largest_opening: 0.078", "largest_opening: .nan", "gripper: largest_opening is nan: expected more than 0"),
        ("max_effort: 20.0", "answer_timeout: 0.0", "gripper: answer_timeout is 0.0: expected more than 0"),
        ("button_pressed: /button", "door_open: /button", "flags: name 'door_open': task 'roman' has button_pressed"),
    ],
)
def test_every_mistake_is_named_with_its_file(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = config_path("arms/franka.yaml").read_text()
    assert old in text
    file = tmp_path / "arm.yaml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=complaint) as raised:
        load_arm_config(file, ROMAN)
    assert str(file) in str(raised.value)


def test_a_gripper_needs_a_way_to_it(tmp_path: Path) -> None:
    file = tmp_path / "arm.yaml"
    file.write_text("pose: {topic: /pose}\nfingers: {joints: {finger: 1.0}}\ngripper: {joints: [finger]}\n")
    with pytest.raises(ConfigError, match="gripper: neither action nor topic"):
        load_arm_config(file, ROMAN)


def test_what_is_not_said_is_as_servo_has_it(tmp_path: Path) -> None:
    file = tmp_path / "arm.yaml"
    file.write_text("pose: {topic: /p}\nfingers: {joints: {f: 1.0}}\ngripper: {joints: [f], topic: /g}\n")
    config = load_arm_config(file, ROMAN)
    assert (config.twist.command_in_type, config.twist.scale) == ("speed_units", 0.4)
    assert config.status.topic == "/servo_node/status"
    assert math.isclose(config.twist.rate, 40.0)
