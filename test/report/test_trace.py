"""Segments: in order, without gaps, flickers merged."""

from __future__ import annotations

import numpy as np
import pytest
from specs import ROMAN, SKILLS

from roman_moe.report.trace import Segment, Trace, leading_segments


def trace_of(*leads: tuple[int, int]) -> Trace:
    """A trace at 20 Hz in which skill `index` leads for `ticks`, for each (index, ticks)."""
    weights = np.concatenate([np.tile(np.eye(len(SKILLS))[index], (ticks, 1)) for index, ticks in leads])
    count = len(weights)
    return Trace(ROMAN, SKILLS, np.arange(count) * 0.05, weights, np.zeros((count, 3)), count * 0.05)


def named(*segments: tuple[str, float, float]) -> list[Segment]:
    return [Segment(name, pytest.approx(start), pytest.approx(end)) for name, start, end in segments]


def test_skills_come_in_order_and_fill_the_run():
    segments = leading_segments(trace_of((0, 40), (3, 20), (6, 60)))
    assert segments == named(("pull", 0, 2), ("pick_and_place", 2, 3), ("button", 3, 6))


def test_a_flicker_counts_to_the_skill_before_it():
    assert leading_segments(trace_of((0, 40), (3, 5), (0, 20))) == named(("pull", 0, 3.25))
    assert leading_segments(trace_of((0, 40), (3, 5), (6, 20))) == named(("pull", 0, 2.25), ("button", 2.25, 3.25))
    assert leading_segments(trace_of((0, 40), (3, 2), (6, 2), (5, 20))) == named(("pull", 0, 2.2), ("push", 2.2, 3.2))


def test_a_flicker_at_the_start_counts_to_the_skill_after_it():
    assert leading_segments(trace_of((0, 2), (3, 40))) == named(("pick_and_place", 0, 2.1))


def test_a_lead_that_comes_back_is_listed_again():
    names = [segment.name for segment in leading_segments(trace_of((0, 20), (3, 20), (0, 20)))]
    assert names == ["pull", "pick_and_place", "pull"]


def test_a_run_shorter_than_a_flicker_still_has_its_skill():
    assert leading_segments(trace_of((4, 1))) == named(("pick_and_insert", 0, 0.05))


def test_nobody_leads_before_the_first_weights():
    trace = trace_of((0, 10), (3, 40))
    trace.weights[:10] = 0.0
    assert leading_segments(trace) == named(("pick_and_place", 0.5, 2.5))
    trace.weights[:] = 0.0
    assert leading_segments(trace) == []


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="one row a tick"):
        Trace(ROMAN, SKILLS, np.zeros(3), np.zeros((2, 7)), np.zeros((3, 1)), 1.0)
