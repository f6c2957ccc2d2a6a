"""Conditions and starts in task.yaml: what each of them says of a state, and every mistake in them with its line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roman_moe.core.conditions import completion_of, hold_in
from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec, read_spec
from roman_moe.core.state import SceneState, rotated, upright

YAML = """\
name: stack
home: {position: [0.4, 0.0, 0.3]}
gripper: {open: 0.08}
action: {top_speed: 0.2}
objects:
  block: {symmetry: 4}
  pad: {moves: false}
  handle: {position: [0.5, 0.2, 0.1]}
flags: [ready]
skills:
  stack:
    observes: [block, pad]
    success:
      - CONDITION
    sets:
      ready: [{on: {object: block, target: pad, height: 0.04}}]
    starts:
      block: {x: [0.3, 0.5], yaw: [-0.5, 0.5]}
    done:
      block: {at: pad, z: [0.04, 0.04]}
gate: {observes: [block, pad]}
scenarios: [{first: stack}]
"""


def spec_of(folder: Path, condition: str, old: str = "", new: str = "") -> TaskSpec:
    text = YAML.replace("CONDITION", condition)
    assert old in text
    (folder / "task.yaml").write_text(text.replace(old, new, 1) if old else text)
    return read_spec(folder / "task.yaml")


def state_of(spec: TaskSpec, flag: bool = False, force: float = 0.0, **poses: Any) -> SceneState:
    """A state with pad at (0.4, 0.1, 0) and all else at the origin, but for `poses`: position, rotation vector."""
    positions, orientations = np.zeros((3, 3)), upright(3)
    positions[1] = [0.4, 0.1, 0.0]
    positions[2] = [0.5, 0.2, 0.1]
    for name, (position, rotation) in poses.items():
        index = spec.object_index[name]
        positions[index], orientations[index] = position, rotated(orientations[index], np.array(rotation, dtype=float))
    return SceneState(
        spec=spec,
        stamp_ns=0,
        hand_position=np.array([0.4, 0.1, 0.05]),
        hand_velocity=np.zeros(3),
        finger_opening=0.04,
        finger_forces=np.array([force, force]),
        flags=np.array([flag]),
        object_positions=positions,
        object_orientations=orientations,
    )


NONE = (0.0, 0.0, 0.0)
UP = math.pi / 2


@pytest.mark.parametrize(
    ("condition", "holding", "missing"),
    [
        (
            "near: {object: block, target: pad, distance: 0.05}",
            {"block": ((0.4, 0.1, 0.049), NONE)},
            {"block": ((0.4, 0.1, 0.051), NONE)},
        ),
        (
            "on: {object: block, target: pad, height: 0.04, distance: 0.02}",
            {"block": ((0.419, 0.1, 0.036), NONE)},
            {"block": ((0.419, 0.1, 0.046), NONE)},
        ),
        (
            "on: {object: block, target: pad, height: 0.04, distance: 0.02}",
            {"block": ((0.4, 0.119, 0.04), NONE)},
            {"block": ((0.415, 0.115, 0.04), NONE)},
        ),
        (
            "within: {object: block, z: [0.1, 1.0]}",
            {"block": ((3.0, -3.0, 0.11), NONE)},
            {"block": ((0.4, 0.1, 0.09), NONE)},
        ),
        (
            "within: {object: block, target: pad, x: [0.0, 0.1], y: [-0.01, 0.01]}",
            {"block": ((0.4, 0.15, 0.5), NONE), "pad": ((0.4, 0.1, 0.0), (0.0, 0.0, UP))},
            {"block": ((0.45, 0.1, 0.5), NONE), "pad": ((0.4, 0.1, 0.0), (0.0, 0.0, UP))},
        ),
        (
            "open: {object: handle, distance: 0.1}",
            {"handle": ((0.5, 0.09, 0.1), NONE)},
            {"handle": ((0.5, 0.11, 0.1), NONE)},
        ),
        (
            "open: {object: block, distance: 0.1, closed: [0.4, 0.1, 0.0]}",
            {"block": ((0.29, 0.1, 0.0), NONE)},
            {"block": ((0.31, 0.1, 0.0), NONE)},
        ),
        (
            "pressed: {object: handle, depth: 0.004}",
            {"handle": ((0.5, 0.2, 0.0955), NONE)},
            {"handle": ((0.5, 0.2, 0.0965), NONE)},
        ),
        (
            "pressed: {object: block, depth: 0.004, released: 0.01}",
            {"block": ((0.0, 0.0, 0.005), NONE)},
            {"block": ((0.0, 0.0, 0.0065), NONE)},
        ),
        (
            "upright: {object: block, angle: 0.2}",
            {"block": (NONE, (0.1, 0.1, 0.0))},
            {"block": (NONE, (0.2, 0.1, 0.0))},
        ),
        (
            "turned_to: {object: block, angle: 0.1, yaw: 0.3}",
            {"block": (NONE, (0.0, 0.0, 0.39 - UP))},  # a quarter of a turn changes nothing
            {"block": (NONE, (0.0, 0.0, 0.41))},
        ),
        (
            "turned_to: {object: block, angle: 0.1, target: pad}",
            {"block": (NONE, (0.0, 0.0, 0.35)), "pad": ((0.4, 0.1, 0.0), (0.0, 0.0, 0.3))},
            {"block": (NONE, (0.0, 0.0, 0.15)), "pad": ((0.4, 0.1, 0.0), (0.0, 0.0, 0.3))},
        ),
        (
            "held: {object: block, force: 2.0}",
            {"force": 2.1, "block": ((0.4, 0.11, 0.05), NONE)},
            {"force": 1.9, "block": ((0.4, 0.11, 0.05), NONE)},
        ),
        (
            "held: {object: block}",
            {"force": 2.0, "block": ((0.4, 0.1, 0.035), NONE)},
            {"force": 2.0, "block": ((0.4, 0.1, 0.025), NONE)},
        ),
        ("flag: {name: ready}", {"flag": True}, {"flag": False}),
        ("flag: {name: ready, value: false}", {"flag": False}, {"flag": True}),
    ],
)
def test_a_condition_holds_up_to_its_bound_and_no_further(
    tmp_path: Path, condition: str, holding: dict[str, Any], missing: dict[str, Any]
):
    spec = spec_of(tmp_path, condition)
    success = spec.skills["stack"].success
    assert hold_in(success, state_of(spec, **holding))
    assert completion_of(success, state_of(spec, **holding)) == 1.0
    assert not hold_in(success, state_of(spec, **missing))
    assert 0.0 <= completion_of(success, state_of(spec, **missing)) < 1.0


@pytest.mark.parametrize(
    "both",
    [
        "near: {object: block, target: pad, distance: 0.1}\n        flag: {name: ready}",
        "near: {object: block, target: pad, distance: 0.1}\n      - flag: {name: ready}",
    ],
)
def test_all_conditions_have_to_hold(tmp_path: Path, both: str):
    spec = spec_of(tmp_path, both)
    success, there = spec.skills["stack"].success, {"block": ((0.4, 0.1, 0.0), NONE)}
    assert hold_in(success, state_of(spec, flag=True, **there))
    assert not hold_in(success, state_of(spec, flag=False, **there))
    assert not hold_in(success, state_of(spec, flag=True))
    assert completion_of(success, state_of(spec, **there)) == 0.5


def test_what_is_left_shrinks_on_the_way(tmp_path: Path):
    spec = spec_of(tmp_path, "near: {object: block, target: pad, distance: 0.01}")
    ways = [state_of(spec, block=((0.4, 0.1 + distance, 0.0), NONE)) for distance in (0.3, 0.2, 0.1, 0.005)]
    came = [completion_of(spec.skills["stack"].success, state) for state in ways]
    assert came == sorted(came)
    assert len(set(came)) == 4


NEAR = "near: {object: block, target: pad, distance: 0.05}"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("nar: {object: block}", "line 14: skills.stack: success[0]: unknown key 'nar': did you mean 'near'?"),
        ("near: {object: block, target: pad}", "line 14: skills.stack: success[0]: near: key 'distance' is missing"),
        (
            "near: {object: blok, target: pad, distance: 0.1}",
            "line 14: skills.stack.success[0].near: unknown object 'blok': did you mean 'block'?",
        ),
        (
            "near: {object: block, target: pad, distance: -0.1}",
            "line 14: skills.stack: success[0]: near: distance is -0.1: expected more than 0",
        ),
        ("on: {object: block, target: pad, height: .nan}", "success[0]: on: height is nan: expected a finite number"),
        ("held: {object: block, force: .inf}", "success[0]: held: force is inf: expected more than 0"),
        ("near: {object: block, target: pad, distance: far}", "distance is 'far': expected a number"),
        ("flag: {name: redy}", "skills.stack.success[0].flag: unknown flag 'redy': did you mean 'ready'?"),
        ("within: {object: block, x: [0.2, 0.1]}", "within: x [0.2, 0.1]: expected the lowest and the highest"),
        ("within: {object: block, x: [0.2]}", "within: x [0.2]: expected the lowest and the highest"),
        ("open: {object: block, distance: 0.1}", "open: closed is missing: expected it here, or a position of the ob"),
        ("pressed: {object: block, depth: 0.1}", "pressed: released is missing"),
        ("{}", "line 14: skills.stack: success[0]: expected a condition: one of near, on, within, held"),
        ("near:", "success[0]: near is empty: expected keys and values"),
        ("__import__('os').abort()", "success[0] is \"__import__('os').abort()\": expected keys and values"),
    ],
)
def test_a_mistake_in_a_condition_is_one_line_with_its_place(tmp_path: Path, condition: str, expected: str):
    with pytest.raises(ConfigError) as caught:
        spec_of(tmp_path, condition)
    assert str(caught.value).startswith(f"{tmp_path / 'task.yaml'}, line 14: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("x: [0.3, 0.5]", "x: [0.5, 0.3]", "line 18: skills.stack: starts.block: x [0.5, 0.3]: expected the lowest"),
        ("block: {x:", "blok: {x:", "line 18: skills.stack.starts.blok: unknown object 'blok': did you mean 'block'?"),
        ("at: pad", "at: pat", "line 20: skills.stack.done.block: unknown object 'pat': did you mean 'pad'?"),
        ("at: pad", "at: block", "line 20: skills.stack.done.block: unknown object 'block'"),
        ("at: pad", "joint: [0, 1]", "line 20: skills.stack: done.block: joint: excludes at, x, y, z and yaw"),
        ("ready: [", "reddy: [", "line 16: skills.stack.sets.reddy: unknown flag 'reddy': did you mean 'ready'?"),
    ],
)
def test_a_mistake_in_a_start_is_one_line_with_its_place(tmp_path: Path, old: str, new: str, expected: str):
    with pytest.raises(ConfigError) as caught:
        spec_of(tmp_path, NEAR, old, new)
    assert str(caught.value).startswith(f"{tmp_path / 'task.yaml'}, {expected}")


def test_every_mistake_is_found_at_once(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        spec_of(
            tmp_path,
            "near: {object: blok, target: pat, distance: 0.1}",
            "gate: {observes: [block",
            "gate: {observes: [blok",
        )
    first, *others = str(caught.value), *caught.value.others
    assert [line.partition(", line ")[2].partition(":")[0] for line in (first, *others)] == ["14", "14", "21"]
    with pytest.raises(ConfigError) as caught:
        spec_of(tmp_path, "near: {objct: block, target: pad, distance: far}", "open: 0.08", "opn: 0.08")
    first, *others = str(caught.value), *caught.value.others
    assert [line.partition(", line ")[2].partition(":")[0] for line in (first, *others)] == ["3", "14", "14"]


def test_conditions_are_of_the_task_and_starts_are_not(tmp_path: Path):
    spec = spec_of(tmp_path, NEAR)
    assert spec_of(tmp_path, NEAR, "x: [0.3, 0.5]", "x: [0.3, 0.6]") == spec
    assert spec_of(tmp_path, NEAR, "distance: 0.05", "distance: 0.06") != spec
    (tmp_path / "task.yaml").write_text(spec.to_yaml())
    again = read_spec(tmp_path / "task.yaml")
    assert again == spec
    assert again.skills == spec.skills
