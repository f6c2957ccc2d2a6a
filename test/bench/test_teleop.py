"""What `bench teleop` measures at a pseudo-terminal."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import write_tiny_bundle
from specs import SKILLS

from roman_moe.bench import teleop
from roman_moe.control.limits import load_limits
from roman_moe.core.action import Command
from roman_moe.wire.codec import BlenderTick


def test_the_largest_step_is_in_units_of_what_the_guard_allows() -> None:
    limits = load_limits()
    speeds = [0.0, 0.1, 0.1 + 0.05 * limits.acceleration, 0.1]
    ticks = [BlenderTick(SKILLS, np.zeros(7), Command(0, np.array([v, 0.0, 0.0]), 0.08), 0) for v in speeds]
    assert teleop._largest_step(ticks, limits, 0.05) == pytest.approx(1.0)


@pytest.mark.slow
def test_keys_stops_and_take_overs_are_measured(tmp_path) -> None:
    figures = teleop.measure(write_tiny_bundle(tmp_path / "tiny"), takeovers=2, keys=2)
    assert figures["takeover_step_ratio"] <= 1.0
    for name in ("key_to_command_ms", "stop_to_halt_ms"):
        assert 0.0 < figures[name]["p50"] <= figures[name]["p99"]
