"""Ticks of the guarded blend: what is wrong halts the arm or is masked, and never opens a gripper that holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bundles import write_loose_limits
from scenes import scene_at
from specs import GRIPPER_CLOSED, GRIPPER_OPEN, OBJECTS, ROMAN

from roman_moe.control.blend import blend
from roman_moe.control.guard import GuardStatus
from roman_moe.control.guarded_blend import GRASP_FORCE, GuardedBlend, told_opening
from roman_moe.control.limits import Limits, load_limits
from roman_moe.core.errors import ConfigError
from roman_moe.core.state import SceneState

RATE = 20.0
WEIGHTS = np.array([0.7, 0.2, 0.1])
ACTIONS = np.array([[0.5, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0]])
NO_ANSWER = np.full(4, np.nan)


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Limits:
    return load_limits(write_loose_limits(tmp_path_factory.mktemp("limits")))


@pytest.fixture
def guarded_blend(loose: Limits) -> GuardedBlend:
    return GuardedBlend(ROMAN, loose, RATE)


def scene(tick: int = 0, opening: float = GRIPPER_OPEN, force: float = 0.0) -> SceneState:
    hand = np.array([0.45, 0.0, 0.25])
    return scene_at(tick * 50_000_000, hand_position=hand, finger_opening=opening, finger_forces=np.array([0.0, force]))


def without(*experts: int) -> np.ndarray:
    actions = ACTIONS.copy()
    actions[list(experts)] = np.nan
    return actions


def assert_halted(guarded_blend: GuardedBlend, decision: object, status: GuardStatus, fault: str) -> None:
    assert guarded_blend.guard.status is status
    assert fault in decision.fault
    np.testing.assert_array_equal(decision.action, np.zeros(4))
    np.testing.assert_array_equal(decision.command.linear_velocity, np.zeros(3))


@pytest.mark.parametrize(
    ("opening", "force", "told"),
    [
        (GRIPPER_OPEN, 0.0, GRIPPER_OPEN),
        (0.041, 0.49, GRIPPER_OPEN),
        (0.04, 0.0, GRIPPER_CLOSED),
        (0.0, 0.0, GRIPPER_CLOSED),
        (0.06, GRASP_FORCE, GRIPPER_CLOSED),  # a wide rack, held
        (GRIPPER_OPEN, 5.0, GRIPPER_CLOSED),
    ],
)
def test_what_the_gripper_must_have_been_told(opening: float, force: float, told: float):
    assert told_opening(scene(opening=opening, force=force)) == told
    left = replace(scene(opening=opening), finger_forces=np.array([force, 0.0]))
    assert told_opening(left) == told


def test_with_all_there_the_command_is_the_blend_to_the_last_bit(guarded_blend: GuardedBlend):
    rng = np.random.default_rng(0)
    for tick in range(50):
        weights, actions = rng.dirichlet(np.ones(3)), rng.uniform(-1.0, 1.0, (3, 4))
        decision = guarded_blend.decide(scene(tick), weights, actions)
        np.testing.assert_array_equal(decision.action, blend(weights, actions))
        np.testing.assert_array_equal(decision.command.linear_velocity, decision.action[:3] * ROMAN.action.top_speed)
        assert decision.command.stamp_ns == tick * 50_000_000
        assert decision.fault == ""
        assert guarded_blend.guard.status is GuardStatus.NO_WARNING


@pytest.mark.parametrize("held", [False, True])
def test_an_arm_taken_up_in_motion_keeps_what_it_holds(guarded_blend: GuardedBlend, held: bool):
    first = scene(opening=0.03 if held else GRIPPER_OPEN, force=2.0 if held else 0.0)
    decision = guarded_blend.decide(first, WEIGHTS, ACTIONS)  # whose gripper actions are within the threshold
    assert decision.command.gripper_opening == (GRIPPER_CLOSED if held else GRIPPER_OPEN)


def test_a_first_scene_of_no_use_keeps_what_it_shows_the_gripper_to_hold(guarded_blend: GuardedBlend):
    bad = replace(scene(opening=0.03, force=2.0), hand_position=np.full(3, np.nan))
    decision = guarded_blend.decide(bad, WEIGHTS, ACTIONS)
    assert_halted(guarded_blend, decision, GuardStatus.HALT_SCENE_NOT_FINITE, "scene is not finite")
    assert decision.command.gripper_opening == GRIPPER_CLOSED


def test_a_halt_that_answers_the_first_scene_keeps_what_it_shows_the_gripper_to_hold(guarded_blend: GuardedBlend):
    command = guarded_blend.halt(scene(opening=0.03, force=2.0), GuardStatus.HALT_OBSERVER_SILENT)
    assert command.gripper_opening == GRIPPER_CLOSED
    assert not command.moves


def test_only_the_first_scene_tells_the_gripper(guarded_blend: GuardedBlend):
    """Later it is the policy's: fingers still on their way say nothing about what they were told."""
    guarded_blend.decide(scene(0), WEIGHTS, ACTIONS)
    assert guarded_blend.decide(scene(1, opening=0.01), WEIGHTS, ACTIONS).command.gripper_opening == GRIPPER_OPEN
    guarded_blend.reset()
    assert guarded_blend.decide(scene(2, opening=0.01), WEIGHTS, ACTIONS).command.gripper_opening == GRIPPER_CLOSED


@pytest.mark.parametrize("silent", [1, 2])
def test_an_expert_without_an_answer_is_masked_and_the_others_make_up_for_it(guarded_blend: GuardedBlend, silent: int):
    decision = guarded_blend.decide(scene(), WEIGHTS, without(silent))
    assert guarded_blend.guard.status is GuardStatus.EXPERTS_MASKED
    assert decision.fault == ""
    kept = np.arange(3) != silent
    np.testing.assert_allclose(decision.action, WEIGHTS[kept] @ ACTIONS[kept] / WEIGHTS[kept].sum(), rtol=1e-12)


def test_half_of_an_answer_is_none(guarded_blend: GuardedBlend):
    """A row with one number that is not finite must not act with its other numbers."""
    actions = ACTIONS.copy()
    actions[1, 3] = np.inf
    decision = guarded_blend.decide(scene(), WEIGHTS, actions)
    assert decision.action[1] == 0.0
    assert guarded_blend.guard.status is GuardStatus.EXPERTS_MASKED


def test_nobody_misses_an_expert_of_no_weight(guarded_blend: GuardedBlend):
    weights = np.array([0.7, 0.3, 0.0])
    with_it = GuardedBlend(ROMAN, guarded_blend.guard.limits, RATE).decide(scene(), weights, ACTIONS)
    decision = guarded_blend.decide(scene(), weights, without(2))
    assert guarded_blend.guard.status is GuardStatus.NO_WARNING
    np.testing.assert_array_equal(decision.action, with_it.action)


def test_below_half_of_the_weight_the_arm_rests(guarded_blend: GuardedBlend):
    assert guarded_blend.decide(scene(0), np.array([0.5, 0.5, 0.0]), without(0)).fault == ""
    decision = guarded_blend.decide(scene(1), np.array([0.51, 0.49, 0.0]), without(0))
    assert_halted(guarded_blend, decision, GuardStatus.HALT_EXPERTS_SILENT, "only 0.49 of the weight")
    decision = guarded_blend.decide(scene(2), WEIGHTS, without(0, 1, 2))
    assert_halted(guarded_blend, decision, GuardStatus.HALT_EXPERTS_SILENT, "only 0.00 of the weight")


def test_silence_with_objects_that_are_stale_is_told_as_that(guarded_blend: GuardedBlend):
    stale = replace(scene(), object_ages=np.full(len(OBJECTS), 1e3))
    decision = guarded_blend.decide(stale, WEIGHTS, without(0))
    assert_halted(guarded_blend, decision, GuardStatus.HALT_OBJECTS_STALE, "invalid or too old")


@pytest.mark.parametrize(
    "weights",
    [
        None,
        [np.nan, 0.5, 0.5],
        [np.inf, 0.0, 0.0],
        [1.5, -0.5, 0.0],
        [0.0, 0.0, 0.0],
        [7.0, 2.0, 1.0],
        [0.3, 0.3, 0.3],
        [1e308, 1e308, 1e308],
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_without_weights_that_are_weights_the_arm_rests(guarded_blend: GuardedBlend, weights: list[float] | None):
    """A negative weight would turn an expert's motion around, and a large sum make any motion full speed."""
    guarded_blend.decide(scene(0), WEIGHTS, ACTIONS)
    decision = guarded_blend.decide(scene(1), None if weights is None else np.array(weights), ACTIONS)
    assert_halted(guarded_blend, decision, GuardStatus.HALT_GATE_SILENT, "weights")
    assert guarded_blend.decide(scene(2), WEIGHTS, ACTIONS).fault == ""


def test_float32_weights_pass(guarded_blend: GuardedBlend):
    rng = np.random.default_rng(0)
    for tick in range(100):
        weights = rng.dirichlet(np.full(3, 0.1)).astype(np.float32).astype(np.float64)
        assert guarded_blend.decide(scene(tick), weights, ACTIONS).fault == ""


def test_a_share_of_one_changes_no_bit(guarded_blend: GuardedBlend):
    other = GuardedBlend(ROMAN, guarded_blend.guard.limits, RATE)
    rng = np.random.default_rng(0)
    for tick in range(50):
        weights, actions = rng.dirichlet(np.ones(3)), rng.uniform(-1.0, 1.0, (3, 4))
        with_share = guarded_blend.decide(scene(tick), weights, actions, np.ones(3))
        np.testing.assert_array_equal(with_share.action, other.decide(scene(tick), weights, actions).action)


def test_the_others_make_up_for_an_expert_that_is_taken_out(guarded_blend: GuardedBlend):
    for left in (0.75, 0.5, 0.0):
        decision = guarded_blend.decide(scene(), WEIGHTS, ACTIONS, np.array([1.0, left, 1.0]))
        reduced = WEIGHTS * [1.0, left, 1.0]
        np.testing.assert_allclose(decision.action, reduced @ ACTIONS / reduced.sum(), rtol=1e-12)
        assert guarded_blend.guard.status is GuardStatus.NO_WARNING


def test_nobody_waits_for_an_expert_that_is_taken_out(guarded_blend: GuardedBlend):
    out = np.array([1.0, 0.0, 1.0])
    decision = guarded_blend.decide(scene(), WEIGHTS, without(1), out)
    np.testing.assert_allclose(decision.action, WEIGHTS[[0, 2]] @ ACTIONS[[0, 2]] / 0.8, rtol=1e-12)
    assert guarded_blend.guard.status is GuardStatus.NO_WARNING


def test_taken_out_and_silent_count_together(guarded_blend: GuardedBlend):
    weights = np.array([0.45, 0.3, 0.25])
    out = np.array([1.0, 0.0, 1.0])
    decision = guarded_blend.decide(scene(0), weights, without(1), out)
    assert decision.fault == ""
    decision = guarded_blend.decide(scene(1), weights, without(2), out)  # 0.45 of what there was
    assert_halted(guarded_blend, decision, GuardStatus.HALT_EXPERTS_SILENT, "only 0.45 of the weight")


def test_with_the_leading_expert_taken_out_the_arm_rests(guarded_blend: GuardedBlend):
    decision = guarded_blend.decide(scene(), WEIGHTS, ACTIONS, np.array([0.0, 1.0, 1.0]))
    assert_halted(guarded_blend, decision, GuardStatus.HALT_EXPERTS_SILENT, "only 0.30 of the weight")


def test_no_tick_of_a_thousand_broken_ones_raises_or_gives_what_is_not_finite():
    guarded_blend = GuardedBlend(ROMAN, load_limits(), RATE)
    rng = np.random.default_rng(0)
    statuses = set()
    for tick in range(2000):
        weights = None if rng.random() < 0.05 else rng.dirichlet(np.full(3, 0.3))
        if weights is not None and rng.random() < 0.05:
            weights[rng.integers(3)] = rng.choice([np.nan, np.inf, -1.0, 0.0])
        actions = rng.uniform(-1.0, 1.0, (3, 4))
        if rng.random() < 0.2:
            actions[rng.integers(3), rng.integers(4)] = rng.choice([np.nan, np.inf, -np.inf])
        state = replace(scene(tick), hand_position=rng.normal(0.3, 0.3, 3), object_ages=rng.random(len(OBJECTS)))
        if rng.random() < 0.05:
            state.hand_position[rng.integers(3)] = np.nan
        share = None if rng.random() < 0.5 else rng.integers(0, 2, 3).astype(float)
        if rng.random() < 0.02:
            guarded_blend.guard.stop()
        elif rng.random() < 0.1:
            guarded_blend.guard.rearm()
        elif rng.random() < 0.02:
            guarded_blend.reset()
        decision = guarded_blend.decide(state, weights, actions, share)
        statuses.add(guarded_blend.guard.status)
        assert decision.command.is_finite()
        assert np.isfinite(decision.action).all()
        assert np.linalg.norm(decision.command.linear_velocity) <= load_limits().speed + 1e-9
        assert decision.command.gripper_opening in (GRIPPER_OPEN, GRIPPER_CLOSED)
        if decision.fault:
            assert guarded_blend.guard.status.halts
    assert len(statuses) > 8


def test_a_stopped_guard_is_no_fault_of_the_tick(guarded_blend: GuardedBlend):
    guarded_blend.guard.stop()
    decision = guarded_blend.decide(scene(), WEIGHTS, ACTIONS)
    assert decision.fault == ""
    assert guarded_blend.guard.status is GuardStatus.STOPPED
    np.testing.assert_array_equal(decision.command.linear_velocity, np.zeros(3))


@pytest.mark.parametrize("rate", [10.0, 14.0])
def test_a_controller_too_slow_for_its_limits_is_one_line(rate: float):
    with pytest.raises(ConfigError, match=f"max_command_age 0.1 s: a controller of {rate:g} Hz needs .* s or more"):
        GuardedBlend(ROMAN, load_limits(), rate)
    GuardedBlend(ROMAN, replace(load_limits(), max_command_age=1.5 / rate), rate)
