"""Statistics of an evaluation: intervals as in published tables, times of successes, failures by their cause."""

from __future__ import annotations

import pytest

from roman_moe.evaluation.statistics import mean_interval, summarize, t_quantile_95, wilson_interval
from roman_moe.sim.episode import EpisodeResult

KEYS = {"episodes", "successes", "rate", "ci95", "median_time_s", "p95_time_s", "failures", "seeds", "failed_seeds"}


# Newcombe, "Two-sided confidence intervals for the single proportion", 1998, Table I, method 3
@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_agrees_with_published_values(successes, episodes, low, high):
    assert wilson_interval(successes, episodes) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_is_exact_at_the_ends():
    assert wilson_interval(0, 7)[0] == 0.0
    assert wilson_interval(7, 7)[1] == 1.0
    with pytest.raises(ValueError, match="8 successes of 7"):
        wilson_interval(8, 7)


@pytest.mark.parametrize(("degrees", "expected"), [(1, 12.7062), (2, 4.3027), (5, 2.5706), (9, 2.2622), (30, 2.0423)])
def test_students_quantiles_are_those_of_the_tables(degrees, expected):
    assert t_quantile_95(degrees) == pytest.approx(expected, abs=5e-5)


def test_a_means_interval_widens_with_the_spread_and_is_given_for_each_column():
    mean, low, high = mean_interval([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    assert mean.tolist() == [2.0, 5.0]
    assert high[0] - 2.0 == pytest.approx(4.3027 / 3**0.5, abs=1e-4)
    assert (low + high).tolist() == pytest.approx([4.0, 10.0])
    assert high[1] == 5.0
    with pytest.raises(ValueError, match="expected 2 or more"):
        mean_interval([1.0])


def test_times_are_of_successes_and_failures_are_counted_by_cause():
    results = [EpisodeResult("push", seed, "success", time) for seed, time in enumerate([10.0, 30.0, 20.0])]
    results += [EpisodeResult("push", 3, "time_limit", 80.0), EpisodeResult("push", 4, "object_dropped", 5.0)]
    row = summarize(results)
    assert set(row) == KEYS
    assert (row["episodes"], row["successes"], row["rate"]) == (5, 3, 0.6)
    assert row["median_time_s"] == 20.0
    assert row["failures"] == {"object_dropped": 1, "time_limit": 1}
    assert row["seeds"] == [0, 1, 2, 3, 4]
    assert row["failed_seeds"] == [3, 4]


def test_disturbances_are_counted_by_kind_where_there_were_any():
    met = [("shove_rack", "success"), ("shove_rack", "time_limit"), ("knock_out", "success"), ("", "success")]
    row = summarize([EpisodeResult("push", seed, end, 9.0, kind) for seed, (kind, end) in enumerate(met)])
    assert set(row) == KEYS | {"disturbances"}
    assert row["disturbances"] == {
        "knock_out": {"episodes": 1, "successes": 1},
        "shove_rack": {"episodes": 2, "successes": 1},
    }


def test_without_a_success_there_is_no_time():
    row = summarize([EpisodeResult("push", 0, "time_limit", 80.0)])
    assert row["median_time_s"] is None
    assert row["p95_time_s"] is None
