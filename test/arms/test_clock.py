"""Stamps: an exact grid however unevenly time goes by, and no belief in what is old or from the future."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roman_moe.arms.clock import STEP_BACK_NS, Freshness, MonotonicClock, PacedClock, StampGrid, TickStamps, misfit
from roman_moe.control.rates import Rates
from roman_moe.core.state import EPISODE_GAP_NS, NANOSECONDS, begins_anew

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


GATE_NS = 2 * PERIOD


@pytest.mark.parametrize("now", [0, 1, GATE_NS, NOON + 7_000_000])
def test_an_episode_begins_on_the_gates_grid_and_not_before_now(now: int) -> None:
    began = TickStamps(GATE_NS).begin(now)
    assert began % GATE_NS == 0
    assert 0 <= began - now < GATE_NS


@pytest.mark.parametrize("late", [0, 10 * NANOSECONDS])
def test_stamps_of_the_next_episode_come_after_those_of_the_last(late: int) -> None:
    stamps = TickStamps(GATE_NS)
    stamps.begin(NOON)
    last = stamps.stamp(3 * PERIOD)
    again = stamps.begin(NOON + late)
    assert again >= max(last + EPISODE_GAP_NS, NOON + late)
    assert again % GATE_NS == 0
    assert begins_anew(again, last)
    assert stamps.stamp(PERIOD) == again + PERIOD


def test_stamps_follow_a_clock_that_was_set_back_where_they_are_the_clocks() -> None:
    for follow in (True, False):
        stamps = TickStamps(GATE_NS)
        stamps.begin(NOON)
        assert (stamps.begin(NOON - 3600 * NANOSECONDS, follow) < NOON) == follow


def test_an_arm_that_is_late_goes_on_with_a_later_stamp_of_the_same_gate_phase() -> None:
    stamps = TickStamps(GATE_NS)
    began = stamps.begin(NOON)
    own, now = 5 * PERIOD, NOON + 9 * PERIOD
    due = stamps.postpone(own, now)
    assert 0 <= due - now < GATE_NS
    assert (due - began - own) % GATE_NS == 0
    assert stamps.postpone(own, now) == due  # not late any more


def test_an_arm_that_waits_shows_its_state_with_the_newest_stamp_that_is_not_ahead() -> None:
    stamps = TickStamps(GATE_NS)
    stamps.begin(NOON)
    now = NOON + 3 * PERIOD
    stamp = stamps.restamp(0, now)
    assert 0 <= now - stamp < GATE_NS
    assert stamps.restamp(0, now - PERIOD) == stamp  # never back


@pytest.mark.parametrize("speed", [1.0, 10.0, 0.1])
def test_the_pace_is_that_of_a_steady_clock(speed: float) -> None:
    pace = PacedClock(NOON, 100.0, speed)
    assert pace.now_ns(100.0) == NOON
    assert pace.now_ns(102.0) == NOON + round(2.0 * speed * NANOSECONDS)


def test_a_clock_that_is_set_back_goes_on_from_where_it_was() -> None:
    forward = MonotonicClock()
    assert [forward.at(now) for now in (60.0, 61.0, 1.0, 1.5, 0.5, 2.0)] == [60.0, 61.0, 61.0, 61.5, 61.5, 63.0]


def test_a_stamp_that_does_not_fit_is_told_with_the_amount() -> None:
    assert misfit(NOON, NOON, NOON) == ""
    assert misfit(NOON - PERIOD, NOON, NOON) == "is 0.050 s older than the state that it should answer"
    assert misfit(NOON + 3 * NANOSECONDS, NOON, NOON) == "is stamped 3.000 s too far in the future"
