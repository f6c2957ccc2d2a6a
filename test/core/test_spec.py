"""A task.yaml: read in full, written again the same, hashed over what networks depend on, and refused by its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from specs import ROMAN, TURN_KEY

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec, read_spec


def read(folder: Path, text: str) -> TaskSpec:
    file = folder / "task.yaml"
    file.write_text(text)
    return read_spec(file)


def refusal(folder: Path, old: str, new: str) -> str:
    assert old in TURN_KEY
    with pytest.raises(ConfigError) as caught:
        read(folder, TURN_KEY.replace(old, new, 1))
    message = str(caught.value)
    assert message.startswith(f"{folder / 'task.yaml'}")
    assert "\n" not in message
    return message


def test_what_a_task_says_is_there(tmp_path: Path):
    spec = read(tmp_path, TURN_KEY)
    assert spec.object_names == ("key", "peg", "lid", "lock")
    assert spec.skill_names == ("insert", "turn")
    assert spec.networks == ("insert", "turn", "gate")
    assert dict(spec.object_index) == {"key": 0, "peg": 1, "lid": 2, "lock": 3}
    assert dict(spec.flag_index) == {"locked": 0, "lit": 1}
    assert spec.action.layout == ("x", "y", "z", "rz", "gripper")
    assert spec.action.angular_indices == (2,)
    assert spec.skills["turn"].time_limit == 60.0
    assert not spec.objects["lock"].moves


@pytest.mark.parametrize("spec", [ROMAN, None], ids=["roman", "turn_key"])
def test_a_task_survives_being_written(tmp_path: Path, spec: TaskSpec | None):
    spec = spec or read(tmp_path, TURN_KEY)
    again = read(tmp_path, spec.to_yaml())
    assert again == spec
    assert again.to_dict() == spec.to_dict()
    assert hash(again) == hash(spec)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: A key turned in its lock\n", ""),
        ("label: Insert", "label: Put in"),
        ('"#123456"', '"#654321"'),
        (", position: [0.5, 0.1, 0.02]", ", markers: [{id: 3, size: 0.04}], memory: 9.0, size: [0.1, 0.1, 0.1]"),
        (", position: [0.5, 0.1, 0.02]", ", carried_by: peg"),
        ("flags:", "cameras: {left: {width: 640, height: 480}}\nflags:"),
    ],
)
def test_what_is_for_people_and_cameras_makes_no_other_task(tmp_path: Path, old: str, new: str):
    assert old in TURN_KEY
    assert read(tmp_path, TURN_KEY.replace(old, new)) == read(tmp_path, TURN_KEY)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: turn_key", "name: turn_keys"),
        ("position: [0.4, 0.0, 0.3]", "position: [0.4, 0.0, 0.31]"),
        ("force_scale: 5.0", "force_scale: 4.0"),
        ("top_angular_speed: 2.0", "top_angular_speed: 2.5"),
        ("symmetry: 4", "symmetry: 2"),
        ("moves: false", "moves: true"),
        ("flags: [locked, lit]", "flags: [lit, locked]"),
        ("observes: [key, lock]", "observes: [lock, key]"),
        ("time_limit: 20.0", "time_limit: 21.0"),
        ("first: turn", "first: insert"),
        ("gate: {observes: [key, lock, locked]}", "gate: {observes: [key, lock]}"),
    ],
)
def test_what_networks_or_judges_depend_on_makes_another_task(tmp_path: Path, old: str, new: str):
    assert old in TURN_KEY
    assert read(tmp_path, TURN_KEY.replace(old, new)) != read(tmp_path, TURN_KEY)


@pytest.mark.parametrize("kind", ["objects", "skills"])
def test_the_order_of_objects_and_skills_is_part_of_the_task(tmp_path: Path, kind: str):
    peg, turn = "  peg: {orientation: yaw, symmetry: 4}\n", "  turn: {observes: [key, locked]}\n"
    first = peg if kind == "objects" else turn
    moved = TURN_KEY.replace(first, "").replace(f"{kind}:\n", f"{kind}:\n{first}")
    assert read(tmp_path, moved) != read(tmp_path, TURN_KEY)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: turn_key", "name: Turn-Key", "name: 'Turn-Key': expected lower-case letters, digits and _"),
        ("  insert: {", "  gate: {", "skills.gate: 'gate' means something in every task"),
        ("  key: {orientation", "  hand: {orientation", "objects.hand: 'hand' means something in every task"),
        (
            "  key: {orientation",
            "  hand_position: {orientation",
            "objects.hand_position: 'hand_position' means something in every task",
        ),
        ("flags: [locked, lit]", "flags: [locked, key]", "flags[1]: 'key' is given twice, or an object"),
        ("flags: [locked, lit]", "flags: [locked, locked]", "flags[1]: 'locked' is given twice"),
        ("observes: [key, lock]", "observes: [key, locker]", "skills.insert.observes[1]: 'locker' is neither"),
        ("observes: [key, lock]", "observes: [key, key]", "skills.insert.observes[1]: 'key' is given twice"),
        ("gate: {observes: [key, lock, locked]}", "gate: {observes: [keys]}", "gate.observes[0]: 'keys' is neither"),
        ("first: turn", "first: burn", "scenarios[0]: unknown skill 'burn': did you mean 'turn'?"),
        ("angular: [rz]", "angular: [rz, rx]", "angular ['rz', 'rx']: expected some of rx, ry, rz, in this order"),
        ("angular: [rz]", "angular: [yaw]", "angular ['yaw']"),
        ("top_speed: 0.1", "top_speed: -0.1", "top_speed is -0.1: expected more than 0"),
        ("orientation: full", "orientation: pitch", "orientation 'pitch': expected none, yaw, full"),
        ("orientation: full", "orientation: full, symmetry: 2", "symmetry 2: expected 1 or more, and 1 where"),
        (
            "position: [0.4, 0.0, 0.3]",
            "position: [0.4, 0.3]",
            "position is [0.4, 0.3]: expected 3 numbers",
        ),
        ("[0.4, 0.0, 0.3]", "[0.4, 0.0, 0.3], orientation: [1, 1, 0, 0]", "expected a unit quaternion x, y, z, w"),
        ("closed: 0.01", "closed: 0.07", "open 0.06, closed 0.07: expected 0 <= closed < open"),
        ("min_time: 1.0", "min_time: 61.0", "time_limit 60.0, min_time 61.0"),
        ('"#123456"', "blue", "color 'blue': expected #rrggbb"),
        ("symmetry: 4", "symetry: 4", "unknown key 'symetry': did you mean 'symmetry'?"),
        ("scenarios:\n", "scenarios: []\nrest:\n", "unknown key 'rest'"),
        ("  peg: {", "  key: {", "key 'key' is given twice"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, old: str, new: str, expected: str):
    message = refusal(tmp_path, old, new)
    assert expected in message
    assert ", line " in message


@pytest.mark.parametrize(
    ("old", "new", "item"),
    [
        ("observes: [key, lock]", "observes:\n      [key,\n      locker]", "locker"),
        ("flags: [locked, lit]", "flags:\n  - locked\n  - Lit", "Lit"),
        ("flags: [locked, lit]", "flags:\n  - locked\n  - 5", "5"),
    ],
)
def test_a_wrong_item_of_a_list_is_told_with_its_own_line(tmp_path: Path, old: str, new: str, item: str):
    lines = TURN_KEY.replace(old, new, 1).splitlines()
    (line,) = (i for i, text in enumerate(lines, 1) if text.strip("- ]").startswith(item))
    assert f"task.yaml, line {line}: " in refusal(tmp_path, old, new)


def test_without_objects_skills_or_scenarios_there_is_no_task(tmp_path: Path):
    for old, expected in (("scenarios:", "scenarios: expected one at least, such as {first: turn}"),):
        text = TURN_KEY[: TURN_KEY.index(old)] + f"{old} []\n"
        with pytest.raises(ConfigError) as caught:
            read(tmp_path, text)
        assert expected in str(caught.value)
    lines = [line for line in TURN_KEY.splitlines() if not line.startswith("  ") or "first" in line]
    text = "\n".join(lines).replace("objects:", "objects: {}").replace("skills:", "skills: {}")
    with pytest.raises(ConfigError, match="objects, skills: expected one of each at least"):
        read(tmp_path, text)


def test_a_task_is_frozen():
    with pytest.raises(AttributeError):
        ROMAN.name = "other"  # type: ignore[misc]
