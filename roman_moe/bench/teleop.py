"""How soon an operator's keys reach the arm, and what taking over and handing back does to its commands.

`roman-moe teleop` runs at a pseudo-terminal, graph, keyboard and mock arm in one process as for a person. This process
presses the keys and receives the commands, so that its own reception counts as well. Keys fall anywhere in a tick.
"""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.control.guard import GuardStatus
from roman_moe.control.limits import Limits, load_limits
from roman_moe.control.manifest import load_manifest
from roman_moe.testing.keyboard_session import Session
from roman_moe.wire.codec import BlenderTick

SHORT, LONG = 0.3, 0.6  # [s] for which either drives before the other takes over
JERKY = {status for status in GuardStatus if status.halts} | {GuardStatus.SLOWED_AT_WORKSPACE_EDGE}
KEYS = "wsadec"  # there and back, so that the hand stays where it can move


def measure(bundle_path: str | Path, takeovers: int = 200, keys: int = 100, seed: int = 0) -> dict[str, Any]:
    """Take over and hand back so often, then press so many keys and stop so often.

    Returns:
        {"key_to_command_ms": {"p50", "p99"}, "stop_to_halt_ms": {the same}, "takeover_step_ratio", "takeovers",
        "in_motion", "keys"}: from a key to the first command that moves, and from the stop key to the first that is
        halted; the commands' largest speed, acceleration or jerk, linear or angular, over the guard's limit on it; the
        share of take-overs and hand-backs at which the arm moved.

    Raises:
        RomanError: if the graph does not run or a key has no effect.
    """
    path, rng, limits = Path(bundle_path).resolve(), np.random.default_rng(seed), load_limits()
    period = 1.0 / load_manifest(path).rates.control_rate
    with ExitStack() as stack:
        session = Session(path, stack)
        moving = 0
        for key in itertools.islice(itertools.cycle(KEYS), takeovers):
            session.hold("", rng.uniform(SHORT, LONG))
            session.spin_until(lambda: session.last.command.moves, timeout=SHORT)  # a policy may rest
            moving += session.last.command.moves
            session.press("t" + key)
            session.spin_until(lambda: session.last.drove, key)
            session.hold(key, rng.uniform(SHORT, LONG))
            session.spin_until(lambda: session.last.command.moves, key)
            moving += session.last.command.moves
            session.press("h")
            session.spin_until(lambda: not session.last.drove)
        session.hold("", LONG)
        ratio = _largest_ratio(session.ticks, limits, period)
        session.press("t")
        delays = []
        for key in itertools.islice(itertools.cycle(KEYS), keys):
            session.spin_until(lambda: session.last.drove and not session.last.command.moves)
            session.hold("", rng.uniform(0.0, 2.0 * period))
            delays.append(session.delay(session.press(key), lambda tick: tick.command.moves, key))
        stops = []
        for key in itertools.islice(itertools.cycle(KEYS), keys):
            session.spin_until(lambda: session.last.command.moves, key)
            session.hold(key, rng.uniform(0.0, 2.0 * period))
            stops.append(session.delay(session.press(" "), _stopped))
            session.press("R")
            session.spin_until(lambda: not _stopped(session.last))
    return {
        "key_to_command_ms": _percentiles(delays),
        "stop_to_halt_ms": _percentiles(stops),
        "takeover_step_ratio": round(ratio, 4),
        "takeovers": takeovers,
        "in_motion": round(moving / (2 * takeovers), 3),
        "keys": keys,
    }


def _stopped(tick: BlenderTick) -> bool:
    return tick.guard == GuardStatus.STOPPED


def _largest_ratio(ticks: list[BlenderTick], limits: Limits, period: float) -> float:
    """Of the commands' speed, acceleration and jerk, linear and angular, to the guard's limit on it.

    The guard lets a halt and the workspace's edge win over the jerk: there, the jerk does not count.
    """
    twists = np.array([tick.command.twist for tick in ticks]).reshape(-1, 2, 3)
    smooth = np.array([tick.guard not in JERKY for tick in ticks])
    accelerations = np.diff(twists, axis=0) / period
    jerks = (np.diff(accelerations, axis=0) / period)[smooth[1:-1] & smooth[2:]]
    ratios = (
        np.linalg.norm(twists, axis=2) / [limits.speed, limits.angular_speed],
        np.linalg.norm(accelerations, axis=2) / [limits.acceleration, limits.angular_acceleration],
        np.linalg.norm(jerks, axis=2) / [limits.jerk, limits.angular_jerk],
    )
    return float(np.concatenate(ratios).max())


def _percentiles(times: list[float]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(times, share)), 1) for share in (50, 99)}
