"""Who drives, for which scene; and how the policy's actions follow on the operator's."""

from __future__ import annotations

import numpy as np
import pytest

from roman_moe.control.operator import LIMIT, Operator

ACTION = np.array([0.5, 0.0, -0.5, 1.0])
OTHER = np.array([-0.5, 0.2, 0.0, -1.0])
BACK = np.full(4, np.nan)
TICK = 50_000_000


@pytest.fixture
def operator() -> Operator:
    return Operator(ramp=0.2)


def test_nobody_drives_until_the_operator_answers_a_scene(operator: Operator) -> None:
    operator.begin(TICK)
    assert not operator.drives_at(TICK)
    operator.add(TICK, ACTION, weights=False)
    assert operator.drives_at(TICK)
    np.testing.assert_array_equal(operator.action(TICK), ACTION)
    assert operator.weights(TICK) is None


def test_whoever_has_taken_over_is_waited_for_until_the_hand_back(operator: Operator) -> None:
    operator.begin(TICK)
    operator.add(TICK, ACTION, weights=False)
    operator.begin(2 * TICK)
    assert operator.drives_at(2 * TICK)
    assert operator.action(2 * TICK) is None
    operator.add(2 * TICK, BACK, weights=False)
    assert not operator.drives_at(2 * TICK)
    operator.begin(3 * TICK)
    assert not operator.drives_at(3 * TICK)


def test_a_hand_back_between_two_scenes_counts_from_the_next(operator: Operator) -> None:
    operator.begin(TICK)
    operator.add(TICK, ACTION, weights=False)
    operator.add(TICK + 1, BACK, weights=False)
    assert operator.drives_at(TICK)
    operator.begin(2 * TICK)
    assert not operator.drives_at(2 * TICK)


def test_weights_are_weights_and_either_answer_hands_back(operator: Operator) -> None:
    weights = np.array([1.0, 0.0, 0.0])
    operator.add(TICK, weights, weights=True)
    operator.begin(TICK)
    np.testing.assert_array_equal(operator.weights(TICK), weights)
    assert operator.action(TICK) is None
    operator.add(2 * TICK, BACK, weights=False)
    operator.begin(2 * TICK)
    assert not operator.drives_at(2 * TICK)


def test_an_answer_that_comes_twice_must_be_the_same(operator: Operator) -> None:
    assert operator.add(TICK, ACTION, weights=False)
    assert operator.add(TICK, ACTION.copy(), weights=False)
    assert not operator.add(TICK, OTHER, weights=False)
    assert not operator.add(TICK, ACTION, weights=True)
    np.testing.assert_array_equal(operator.action(TICK), ACTION)
    assert operator.add(2 * TICK, BACK, weights=False)
    assert operator.add(2 * TICK, BACK.copy(), weights=False)


def test_a_flood_of_stamps_is_not_kept(operator: Operator) -> None:
    for tick in range(10 * LIMIT):
        operator.add(tick * TICK, ACTION, weights=False)
    assert sum(operator.action(tick * TICK) is not None for tick in range(10 * LIMIT)) == LIMIT


def test_a_new_episode_forgets_answers_and_not_who_drives(operator: Operator) -> None:
    operator.add(100 * TICK, ACTION, weights=False)
    operator.begin(101 * TICK)
    operator.clear()
    operator.begin(0)
    assert operator.drives_at(0)


def test_after_a_hand_back_the_first_action_is_the_operators_and_the_last_the_policys_own(operator: Operator) -> None:
    np.testing.assert_array_equal(operator.after_hand_back(0, OTHER), OTHER)
    operator.drove(ACTION)
    changed = [operator.after_hand_back(tick * TICK, OTHER) for tick in range(1, 7)]
    np.testing.assert_allclose(changed[0], ACTION, atol=1e-12)
    np.testing.assert_array_equal(changed[-1], OTHER)
    steps = np.abs(np.diff(changed, axis=0))
    assert (steps <= np.abs(ACTION - OTHER) * 0.25 + 1e-12).all(), "a quarter of the way a tick"
