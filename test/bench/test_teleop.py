"""What `bench teleop` measures at a pseudo-terminal."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import write_tiny_bundle
from specs import SKILLS

from roman_moe.bench import teleop
from roman_moe.control.guard import GuardStatus
from roman_moe.control.limits import load_limits
from roman_moe.core.action import Command
from roman_moe.wire.codec import BlenderTick

LIMITS, PERIOD = load_limits(), 0.05
ACCELERATING = PERIOD * LIMITS.acceleration  # [m/s] in one period


@pytest.mark.parametrize(
    ("speeds", "turns", "guard", "ratio"),
    [
        ([0.3] * 4, 0.0, 0, 0.3 / LIMITS.speed),
        ([-0.3, 0.1, 0.1, 0.1], 0.0, GuardStatus.STOPPED, 0.4 / ACCELERATING),
        ([0.0, 0.1, 0.0, 0.0], 0.0, 0, 0.2 / PERIOD**2 / LIMITS.jerk),
        ([0.0, 0.1, 0.0, 0.0], 0.0, GuardStatus.STOPPED, 0.1 / LIMITS.speed),
        ([0.0] * 4, 0.5, 0, 1.0 / PERIOD**2 / LIMITS.angular_jerk),
    ],
    ids=["speed", "acceleration", "jerk", "jerk of a halt", "turning"],
)
def test_the_ratio_is_of_what_is_largest_over_its_limit(
    speeds: list[float], turns: float, guard: int, ratio: float
) -> None:
    angular = np.array([turns, 0.0, 0.0])
    commands = [Command(0, np.array([speed, 0.0, 0.0]), 0.08, i % 2 * angular) for i, speed in enumerate(speeds)]
    ticks = [BlenderTick(SKILLS, np.zeros(7), command, guard) for command in commands]
    assert teleop._largest_ratio(ticks, LIMITS, PERIOD) == pytest.approx(ratio)


@pytest.mark.slow
def test_keys_stops_and_take_overs_are_measured(tmp_path) -> None:
    figures = teleop.measure(write_tiny_bundle(tmp_path / "tiny"), takeovers=2, keys=2)
    assert figures["takeover_step_ratio"] <= 1.0
    for name in ("key_to_command_ms", "stop_to_halt_ms"):
        assert 0.0 < figures[name]["p50"] <= figures[name]["p99"]
