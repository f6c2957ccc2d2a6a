"""The controller's promises: nothing that is not finite reaches the arm, and ticks follow from stamps alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import write_loose_limits, write_tiny_bundle
from scenes import scene_at
from specs import GRIPPER_CLOSED, GRIPPER_OPEN, LAYOUT, OBJECTS, ROMAN, TURN_KEY

from roman_moe.control.blend import blend
from roman_moe.control.bundle import Bundle, load_bundle
from roman_moe.control.controller import Controller
from roman_moe.control.guard import GuardStatus
from roman_moe.control.limits import Limits, load_limits
from roman_moe.core.spec import TaskSpec, read_spec
from roman_moe.core.state import SceneState, upright

TICK_NS = 50_000_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path_factory.mktemp("bundle")))


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Limits:
    return load_limits(write_loose_limits(tmp_path_factory.mktemp("limits")))


def scene(tick: int = 0, seed: int = 0) -> SceneState:
    rng = np.random.default_rng([seed, tick])
    return scene_at(
        tick * TICK_NS,
        hand_position=rng.normal(size=3),
        hand_velocity=rng.normal(size=3),
        finger_opening=0.05,
        finger_forces=rng.random(2),
        object_positions=rng.normal(size=(len(OBJECTS), 3)),
    )


def test_a_step_is_the_parts_put_together(bundle: Bundle, loose: Limits):
    state = scene()
    step = Controller(bundle, loose).step(state)
    features = LAYOUT.vector(state)
    actions = np.array([expert(features) for expert in bundle.experts])
    np.testing.assert_array_equal(step.weights, bundle.gate(features))
    np.testing.assert_array_equal(step.expert_actions, actions)
    np.testing.assert_array_equal(step.action, blend(step.weights, actions))
    np.testing.assert_array_equal(step.command.linear_velocity, step.action[:3] * ROMAN.action.top_speed)
    assert step.command.stamp_ns == state.stamp_ns
    assert step.fault == ""


def test_the_gate_answers_every_second_tick_and_its_weights_hold_in_between(bundle: Bundle):
    controller = Controller(bundle)
    weights = [controller.step(scene(tick)).weights for tick in range(4)]
    np.testing.assert_array_equal(weights[1], weights[0])
    np.testing.assert_array_equal(weights[3], weights[2])
    assert not np.array_equal(weights[2], weights[0])


def test_an_expert_whose_weight_is_0_is_not_run(loose: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sparse = load_bundle(write_tiny_bundle(tmp_path, k=2))
    controller, ran = Controller(sparse, loose), np.zeros(len(sparse.skills), dtype=int)
    for i, expert in enumerate(sparse.experts):
        monkeypatch.setattr(expert, "run", partial(count_run, ran, i, expert.run))
    chosen = set()
    for tick in range(20):
        before, state = ran.copy(), scene(tick)
        step = controller.step(state)
        running = step.weights > 0.0
        assert running.sum() == 2
        np.testing.assert_array_equal(ran - before, running)
        np.testing.assert_array_equal(step.expert_actions[~running], 0.0)
        every = np.array([expert(LAYOUT.vector(state)) for expert in sparse.experts])
        np.testing.assert_array_equal(step.action, blend(step.weights, every))
        chosen.add(tuple(running))
        ran[:] = before + running
    assert len(chosen) > 2  # experts that had idled took over


def count_run(ran: np.ndarray, expert: int, run: Callable[[], None]) -> None:
    ran[expert] += 1
    run()


def test_starting_between_gate_ticks_the_gate_answers_at_once(bundle: Bundle):
    state = scene(tick=7)
    step = Controller(bundle).step(state)
    np.testing.assert_array_equal(step.weights, bundle.gate(LAYOUT.vector(state)))


def test_reset_forgets_the_episode(bundle: Bundle):
    controller = Controller(bundle)
    fresh = controller.step(scene(1))
    for tick in range(2, 6):
        controller.step(scene(tick))
    controller.reset()
    again = controller.step(scene(1))
    np.testing.assert_array_equal(again.action, fresh.action)
    assert again.command.gripper_opening == fresh.command.gripper_opening


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["hand_position", "hand_velocity", "finger_forces", "object_positions"])
def test_a_scene_that_is_not_finite_holds_the_arm(bundle: Bundle, field: str, bad: float):
    controller = Controller(bundle)
    before = controller.step(scene(0))
    state = scene(1)
    values = getattr(state, field).copy()
    values.flat[-1] = bad
    step = controller.step(replace(state, **{field: values}))
    np.testing.assert_array_equal(step.command.linear_velocity, np.zeros(3))
    assert step.command.gripper_opening == before.command.gripper_opening
    assert step.command.stamp_ns == TICK_NS
    assert step.fault == "scene is not finite"
    assert np.isfinite(step.weights).all()
    assert controller.faults == 1
    assert controller.step(scene(2)).fault == ""


@pytest.mark.parametrize(("force", "opening"), [(0.0, GRIPPER_OPEN), (1.0, GRIPPER_CLOSED), (np.nan, GRIPPER_OPEN)])
def test_a_bad_first_scene_holds_what_the_gripper_holds(bundle: Bundle, force: float, opening: float):
    controller = Controller(bundle)
    bad = replace(scene(0), hand_position=np.full(3, np.nan), finger_forces=np.full(2, force))
    step = controller.step(bad)
    assert step.command.gripper_opening == opening
    np.testing.assert_array_equal(step.weights, np.zeros(len(bundle.skills)))
    assert controller.step(scene(1)).weights.sum() == pytest.approx(1.0, abs=1e-6)


def let_answer(bundle: Bundle, expert: int, action: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one expert's network give this action, whatever it is fed."""
    network = bundle.experts[expert]
    monkeypatch.setattr(network, "run", lambda: network.output.__setitem__(slice(None), action))


def test_an_expert_that_answers_nan_is_masked_and_the_others_go_on(
    bundle: Bundle, loose: Limits, monkeypatch: pytest.MonkeyPatch
):
    controller = Controller(bundle, loose)
    controller.step(scene(0))
    least = int(np.argmin(controller.step(scene(1)).weights))
    let_answer(bundle, least, [0.0, np.nan, 0.0, 0.0], monkeypatch)
    step = controller.step(scene(2))
    answered = np.arange(len(bundle.skills)) != least
    assert step.fault == ""
    assert controller.guard.status is GuardStatus.EXPERTS_MASKED
    np.testing.assert_array_equal(step.action, blend(step.weights, step.expert_actions, answered))


def test_a_leading_expert_that_answers_nan_holds_the_arm(
    bundle: Bundle, loose: Limits, monkeypatch: pytest.MonkeyPatch
):
    controller = Controller(bundle, loose)
    leading = int(np.argmax(controller.step(scene(0)).weights))
    let_answer(bundle, leading, [0.0, np.nan, 0.0, 0.0], monkeypatch)
    step = controller.step(scene(1))
    assert "of the weight has answered" in step.fault
    assert controller.guard.status is GuardStatus.HALT_EXPERTS_SILENT
    np.testing.assert_array_equal(step.command.linear_velocity, np.zeros(3))


@pytest.mark.parametrize("field", ["object_valid", "object_ages"])
def test_the_leading_expert_does_not_act_on_an_object_that_is_lost_or_long_unseen(bundle: Bundle, field: str):
    controller = Controller(bundle)
    leading = int(np.argmax(controller.step(scene(0)).weights))
    for name in OBJECTS:
        value = np.zeros(len(OBJECTS)) if field == "object_ages" else np.ones(len(OBJECTS), dtype=bool)
        value[OBJECTS.index(name)] = 0.31 if field == "object_ages" else False
        step = controller.step(replace(scene(1), **{field: value}))  # at which the gate's weights are held
        stale = name in observed(bundle.experts[leading])
        assert bool(step.fault) == stale
        assert (controller.guard.status is GuardStatus.HALT_OBJECTS_STALE) == stale


def observed(network: Any) -> set[str]:
    return {name.partition(".")[0] for name in network.features} & set(OBJECTS)


@pytest.mark.parametrize(
    ("field", "bad"), [("object_valid", False), ("object_ages", 0.31), ("object_ages", -0.01), ("object_ages", np.nan)]
)
def test_the_gate_does_not_choose_by_an_object_that_is_lost_or_long_unseen(bundle: Bundle, field: str, bad: float):
    for name in OBJECTS:
        value = np.ones(len(OBJECTS), dtype=bool) if field == "object_valid" else np.zeros(len(OBJECTS))
        value[OBJECTS.index(name)] = bad
        controller = Controller(bundle)
        step = controller.step(replace(scene(0), **{field: value}))
        halted = name in observed(bundle.gate)
        assert (controller.guard.status is GuardStatus.HALT_OBJECTS_STALE) == halted
        if halted:
            assert step.fault == "the gate has no answer (objects are invalid or too old)"
            np.testing.assert_array_equal(step.command.linear_velocity, np.zeros(3))
        assert controller.step(scene(1)).fault == ""  # asked again at once, between its own ticks, too


@pytest.mark.parametrize(
    ("age", "position", "remembered"),
    [(0.31, 0.1, True), (5.0, 0.1, True), (5.1, 0.1, False), (0.0, 0.1, False), (0.2, 0.1, False), (-1.0, 0.1, False),
     (np.inf, 0.1, False), (np.nan, 0.1, False), (1.0, np.nan, False), (1.0, 11.0, False)],
)  # fmt: skip
def test_a_hidden_object_is_gone_by_for_as_long_as_the_task_remembers_it(age: float, position: float, remembered: bool):
    """Invalid, but with a pose and an age; what is said to be seen, and is too old, is not hidden but late."""
    objects = {name: replace(each, memory=5.0 if name == "rack" else 0.0) for name, each in ROMAN.objects.items()}
    row = OBJECTS.index("rack")
    state = replace(scene(), spec=replace(ROMAN, objects=objects), object_ages=np.zeros(len(OBJECTS)))
    state.object_valid[row], state.object_ages[row], state.object_positions[row] = False, age, position
    expected = [True] * len(OBJECTS)
    expected[row] = remembered
    assert state.usable(0.3) == expected
    state.object_valid[row] = True
    assert state.usable(0.3)[row] == (0.0 <= age <= 0.3)


@pytest.mark.parametrize("wild", [np.nan, np.inf, 1e300, 0.0])
def test_the_numbers_of_an_invalid_object_do_not_matter(bundle: Bundle, wild: float):
    """rack_target is observed by one expert alone; what is in its place changes nothing of any tick."""
    seen, other = Controller(bundle), Controller(bundle)
    for tick in range(4):
        state = scene(tick)
        valid = np.array([name != "rack_target" for name in OBJECTS])
        positions, ages = state.object_positions.copy(), np.zeros(len(OBJECTS))
        positions[~valid], ages[~valid] = wild, wild
        mine = seen.step(replace(state, object_valid=valid))
        its = other.step(replace(state, object_valid=valid, object_positions=positions, object_ages=ages))
        for part in ("action", "weights", "expert_actions"):
            np.testing.assert_array_equal(getattr(its, part), getattr(mine, part), err_msg=part)
        np.testing.assert_array_equal(its.command.linear_velocity, mine.command.linear_velocity)
        assert its.fault == mine.fault
        assert other.guard.status is seen.guard.status


@pytest.mark.parametrize(
    ("field", "huge"),
    [
        ("hand_position", 1e3),
        ("hand_velocity", -1e3),
        ("finger_opening", 1e3),
        ("finger_forces", 1e5),
        ("object_positions", 1e300),
    ],
)
def test_a_scene_with_a_number_out_of_bounds_holds_the_arm(bundle: Bundle, field: str, huge: float):
    controller = Controller(bundle)
    controller.step(scene(0))
    step = controller.step(replace(scene(1), **{field: np.asarray(getattr(scene(1), field)) * 0.0 + huge}))
    assert controller.guard.status is GuardStatus.HALT_SCENE_NOT_FINITE
    np.testing.assert_array_equal(step.command.linear_velocity, np.zeros(3))
    assert controller.step(scene(2)).fault == ""


def test_an_expert_that_answers_out_of_range_is_masked(bundle: Bundle, loose: Limits, monkeypatch: pytest.MonkeyPatch):
    """It would be full speed: a huge action is no wish to go fast, it is a mistake."""
    controller = Controller(bundle, loose)
    least = int(np.argmin(controller.step(scene(0)).weights))
    let_answer(bundle, least, [1e30, 0.0, 0.0, 0.0], monkeypatch)
    step = controller.step(scene(1))
    assert step.fault == ""
    assert controller.guard.status is GuardStatus.EXPERTS_MASKED


def test_a_gate_that_answers_nan_holds_the_arm_and_is_asked_again(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    controller = Controller(bundle)
    with monkeypatch.context() as broken:
        broken.setattr(bundle.gate, "run", lambda: bundle.gate.output.fill(np.nan))
        step = controller.step(scene(0))
    assert step.fault == "the gate has no answer"
    assert controller.guard.status is GuardStatus.HALT_GATE_SILENT
    np.testing.assert_array_equal(step.command.linear_velocity, np.zeros(3))
    assert controller.step(scene(1)).fault == ""


@pytest.fixture(scope="module")
def turn_key(tmp_path_factory: pytest.TempPathFactory) -> TaskSpec:
    file = tmp_path_factory.mktemp("turn_key") / "task.yaml"
    file.write_text(TURN_KEY)
    return read_spec(file)


@pytest.fixture(scope="module")
def turning(turn_key: TaskSpec, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of another task, whose experts turn the hand."""
    return load_bundle(write_tiny_bundle(tmp_path_factory.mktemp("turning"), spec=turn_key))


def key_scene(spec: TaskSpec, tick: int = 0) -> SceneState:
    rng = np.random.default_rng([7, tick])
    return SceneState(
        spec=spec,
        stamp_ns=tick * TICK_NS,
        hand_position=rng.normal(size=3),
        hand_velocity=rng.normal(size=3),
        finger_opening=0.05,
        finger_forces=rng.random(2),
        object_positions=rng.normal(size=(4, 3)),
        object_orientations=upright(4),
        flags=np.array([True, False]),
    )


def test_an_experts_turn_reaches_the_command(turning: Bundle, loose: Limits):
    step = Controller(turning, loose).step(key_scene(turning.spec))
    assert step.fault == ""
    assert step.action.shape == (5,)
    np.testing.assert_array_equal(step.command.angular_velocity, [0.0, 0.0, step.action[3] * 2.0])
    assert step.command.angular_velocity[2] != 0.0


def test_a_hand_whose_orientation_is_none_holds_the_arm(turning: Bundle):
    controller = Controller(turning)
    for bad in (np.zeros(4), np.array([1.0, 1.0, 0.0, 0.0]), np.full(4, np.nan)):
        assert controller.step(replace(key_scene(turning.spec), hand_orientation=bad)).fault == "scene is not finite"
    fast = replace(key_scene(turning.spec), hand_angular_velocity=np.array([0.0, 1e3, 0.0]))
    assert controller.step(fast).fault == "scene is not finite"


def test_controllers_of_two_tasks_take_turns_in_one_process_as_each_does_alone(bundle: Bundle, turning: Bundle):
    alone = [[Controller(one).step(state) for state in states] for one, states in _scenes(bundle, turning)]
    (first, scenes), (second, others) = _scenes(bundle, turning)
    both = Controller(first), Controller(second)
    for tick, (mine, its) in enumerate(zip(scenes, others, strict=True)):
        for controller, state, expected in zip(both, (mine, its), alone, strict=True):
            controller.reset()
            np.testing.assert_array_equal(controller.step(state).action, expected[tick].action)


def _scenes(bundle: Bundle, turning: Bundle) -> list[tuple[Bundle, list[SceneState]]]:
    ticks = range(0, 20, 2)
    return [
        (bundle, [scene(tick) for tick in ticks]),
        (turning, [key_scene(turning.spec, tick) for tick in ticks]),
    ]
