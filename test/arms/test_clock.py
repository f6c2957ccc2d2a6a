"""Stamps: an exact grid however unevenly time goes by, and no belief in what is old or from the future."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from roman_moe.arms.clock import STEP_BACK_NS, Freshness, StampGrid
from roman_moe.control.rates import Rates

PERIOD = 50_000_000
NOON = 1_795_000_000_012_345_678  # [ns] a time of day


@given(st.lists(st.integers(0, 120_000_000), max_size=60))
def test_stamps_are_on_the_grid_and_no_tick_comes_twice(gaps: list[int]) -> None:
    grid, rates, now, ticks = StampGrid(PERIOD), Rates(20.0), NOON, []
    for gap in gaps:
        now += gap
        stamp = grid.due(now)
        if stamp is not None:
            assert stamp % PERIOD == 0
            assert 0 <= now - stamp < PERIOD
            ticks.append(rates.tick(stamp))
    assert all(later > earlier for earlier, later in itertools.pairwise(ticks))
    if ticks:
        assert ticks[-1] - ticks[0] + 1 == len(ticks) + grid.skipped


def test_jitter_about_the_grid_neither_skips_nor_doubles() -> None:
    grid, given_ = StampGrid(PERIOD), []
    start = NOON - NOON % PERIOD
    for i in range(1, 200):
        early, late = start + i * PERIOD - 3_000_000, start + i * PERIOD + 4_000_000
        given_ += [stamp for stamp in (grid.due(early), grid.due(late)) if stamp is not None]
    assert [b - a for a, b in itertools.pairwise(given_)] == [PERIOD] * (len(given_) - 1)
    assert grid.skipped == 0


def test_a_clock_that_is_set_back_a_little_is_waited_for_and_by_much_begins_anew() -> None:
    grid = StampGrid(PERIOD)
    first = grid.due(NOON)
    assert first is not None
    assert grid.due(NOON - 2 * PERIOD) is None
    assert grid.due(NOON + PERIOD) == first + PERIOD
    back = NOON - STEP_BACK_NS - 10 * PERIOD
    assert grid.due(back) == back - back % PERIOD


def test_what_is_fresh_is_fresh_by_both_clocks() -> None:
    pose = Freshness(max_age=0.1, tolerance=0.01)
    assert not pose.fresh(NOON, 5.0)  # nothing came yet
    pose.note(NOON, 5.0)
    assert pose.fresh(NOON + 90_000_000, 5.09)
    assert not pose.fresh(NOON + 110_000_000, 5.0)  # old by its stamp
    assert not pose.fresh(NOON, 5.11)  # old by the steady clock, whatever the other says
    assert not pose.fresh(NOON - 20_000_000, 5.0)  # the clock was set back


def test_stamps_from_the_future_are_no_better_than_old_ones() -> None:
    pose = Freshness(max_age=0.1, tolerance=0.01)
    assert pose.fault(NOON, NOON) == ""
    assert pose.fault(NOON + 9_000_000, NOON) == ""
    assert "0.011 s in the future" in pose.fault(NOON + 11_000_000, NOON)
    assert "0.200 s old: expected at most 0.1 s" in pose.fault(NOON - 200_000_000, NOON)
