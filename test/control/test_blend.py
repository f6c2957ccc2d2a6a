"""Blending: convex, and never scaled up from experts that the gate did not choose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from roman_moe.control.blend import blend
from roman_moe.control.rates import Rates

ALL = np.ones(3, dtype=bool)


@given(
    arrays(np.float64, 7, elements=st.floats(1e-3, 1.0)),
    arrays(np.float64, (7, 4), elements=st.floats(-1.0, 1.0)),
)
def test_a_mixture_of_actions_stays_within_them(raw: np.ndarray, actions: np.ndarray):
    action = blend(raw / raw.sum(), actions)
    assert (action <= actions.max(axis=0) + 1e-12).all()
    assert (action >= actions.min(axis=0) - 1e-12).all()


def test_with_all_answers_the_mask_changes_nothing_at_all():
    rng = np.random.default_rng(0)
    weights, actions = rng.dirichlet(np.ones(3)), rng.uniform(-1, 1, (3, 4))
    np.testing.assert_array_equal(blend(weights, actions, ALL), blend(weights, actions))


def test_late_experts_are_left_out_and_the_rest_renormalised():
    weights = np.array([0.6, 0.2, 0.2])
    actions = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [np.nan] * 4])
    action = blend(weights, actions, np.array([True, True, False]))
    np.testing.assert_allclose(action, [0.75, 0.25, 0, 0])


def test_when_the_leading_expert_is_late_there_is_no_answer():
    with pytest.raises(ValueError, match=r"only 0\.40 of the weight has answered"):
        blend(np.array([0.6, 0.2, 0.2]), np.zeros((3, 4)), np.array([False, True, True]))


@pytest.mark.parametrize(
    ("weights", "actions"),
    [
        (np.array([1.0, np.nan, 0.0]), np.zeros((3, 4))),
        (np.array([1.0, 0.0, 0.0]), np.full((3, 4), np.inf)),
        (np.array([1.0, 0.0, 0.0]), np.zeros((2, 4))),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_bad_numbers_and_shapes_are_refused(weights: np.ndarray, actions: np.ndarray):
    with pytest.raises(ValueError, match=r"finite|shape"):
        blend(weights, actions)


@given(st.integers(0, 10**6), st.sampled_from([0, 1_700_000_000_000_000_000]))
def test_jitter_of_a_stamp_does_not_move_its_tick(tick: int, epoch: int):
    rates = Rates()
    stamp = epoch + tick * 50_000_000
    assert rates.tick(stamp + 10_000_000) - rates.tick(epoch) == tick
    assert rates.gate_due(stamp - 10_000_000) == (tick % 2 == 0)


@pytest.mark.parametrize(("control", "gate"), [(20.0, 15.0), (10.0, 20.0), (0.0, 0.0), (20.0, -10.0)])
def test_rates_that_do_not_fit_are_refused(control: float, gate: float):
    with pytest.raises(ValueError, match="Hz"):
        Rates(control, gate)


def test_paper_rates_need_a_divider_of_five_halves_and_are_refused():
    with pytest.raises(ValueError, match="no whole multiple"):
        Rates(control_rate=25.0, gate_rate=10.0)
