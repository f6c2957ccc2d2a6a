"""Guards with a past, and random wishes to try them on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from specs import GRIPPER_OPEN, ROMAN

from roman_moe.control.guard import Guard, GuardStatus
from roman_moe.control.limits import Limits, load_limits
from roman_moe.core.action import Command

RATE = 20.0
ROUNDING = 1e-9
"""Far below what an arm could tell, far above what sums of floats are off by."""
MIDDLE = np.array([0.45, 0.0, 0.25])
SHIPPED = load_limits()
SLUGGISH = replace(SHIPPED, speed=0.3, acceleration=2.0, jerk=15.0)
"""Where every limit binds within a few periods."""
ROUGH = replace(SLUGGISH, jerk=1e3)
"""Where the acceleration binds before the jerk does."""
AMPLE = replace(SHIPPED, workspace_low=(-1e3,) * 3, workspace_high=(1e3,) * 3, slow_down=1.0)
"""The shipped limits, far from any face."""


def command(velocity: object, stamp_ns: int = 0, opening: float = GRIPPER_OPEN) -> Command:
    return Command(stamp_ns, np.array(velocity, dtype=np.float64), opening)


def guard_of(limits: Limits, rate: float = RATE) -> Guard:
    return Guard(limits, 1.0 / rate, ROMAN.gripper)


def wishes(rng: np.random.Generator, ticks: int, top: float = 1.0) -> Iterator[np.ndarray]:
    """Velocities as a broken sender may have them: steps, noise, rest, reversals and long ways into a corner [m/s]."""
    wish, drift = np.zeros(3), np.zeros(3)
    for _ in range(ticks):
        if rng.integers(50) == 0:
            drift = rng.uniform(-top, top, 3)
        kind = rng.integers(6)
        if kind == 0:
            wish = rng.uniform(-top, top, 3)
        elif kind == 1:
            wish = -wish
        elif kind == 2:
            wish = np.zeros(3)
        elif kind == 3:
            wish = np.clip(wish + rng.normal(0.0, 0.1 * top, 3), -top, top)
        yield wish + drift


def answer(
    guard: Guard, wanted: Command, position: np.ndarray, rng: np.random.Generator, faults: bool = False
) -> Command:
    """What a guard makes of a command; with `faults`, now and then of a stop, a halt or a command that is none."""
    kind = rng.integers(40) if faults else -1
    if kind == 0:
        guard.stop()
    elif kind in (1, 2):
        guard.rearm()
    elif kind in (3, 4):
        return guard.halt(0, GuardStatus.HALT_EXPERTS_SILENT)
    elif kind == 5:
        nan = np.full(3, np.nan)
        wanted = replace(wanted, linear_velocity=nan, angular_velocity=nan)
    return guard.allow(wanted, position)


def ready(limits: Limits = AMPLE, rate: float = RATE) -> Guard:
    """A guard whose ramp has passed, of an arm at rest."""
    guard = guard_of(limits, rate)
    while True:
        guard.allow(command([limits.speed, 0.0, 0.0]), MIDDLE)
        if guard.status is GuardStatus.NO_WARNING:
            break
    while guard.halt(0, GuardStatus.HALT_COMMAND_STALE).linear_velocity.any():
        pass
    guard.allow(command([0.0, 0.0, 0.0]), MIDDLE)
    return guard


def moving(velocity: object, limits: Limits = AMPLE, rate: float = RATE) -> Guard:
    """A guard whose arm moves at this velocity, which the limits let through."""
    guard = ready(limits, rate)
    while (guard.allow(command(velocity), MIDDLE).linear_velocity != np.array(velocity)).any():
        pass
    guard.allow(command(velocity), MIDDLE)
    assert guard.status is GuardStatus.NO_WARNING
    return guard
