"""The swap bench's promises: real swaps of the shipped networks in motion, nothing missed, no step of its own."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from roman_moe.bench import swap
from roman_moe.core.paths import find_shipped


def test_networks_are_replaced_in_motion_without_a_missed_tick_or_a_jump():
    figures = swap.measure(find_shipped("models/roman"), swaps=12)
    assert figures["swaps"] == 12
    assert figures["mean_difference"] > 0.001  # two controllers, not one
    assert figures["seam_ratio"] <= 1.0
    assert figures["largest_seam_excess"] <= 0.2  # a tenth of the largest difference that there can be
    assert 0.0 < figures["p50_ms"] <= figures["p99_ms"]
