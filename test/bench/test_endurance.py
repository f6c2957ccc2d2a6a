"""The endurance bench's promises, on a small scale: what is brought up is gone after it is shut down."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from roman_moe.bench import endurance
from roman_moe.core.paths import find_shipped


def test_nothing_is_left_of_a_graph_that_is_shut_down():
    figures = endurance._bring_up_and_down(find_shipped("models/roman"), 3, separate=False)
    assert figures["bringups"] == 3
    assert figures["failures"] == 0
    for kind in ("processes", "threads", "python_threads", "files"):
        assert figures[f"leaked_{kind}"] == 0, kind


@pytest.mark.slow
def test_a_graph_that_runs_for_long_does_not_grow():
    figures = endurance._run_for_long(find_shipped("models/roman"), minutes=5.0)
    assert figures["simulated_minutes"] >= 5.0
    assert figures["memory_growth"] < 0.01
