"""Bring-up: starts the graph that config/graph.yaml describes, runs it, and ends it without leaving anything behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roman_moe.nodes.record import EpisodeRecord


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """What one control tick decided, as `run_episode` reports it.

    Attributes:
        stamp_ns: of the tick's scene [ns] since the episode's start.
        skills: that the weights are of, in the controller's order.
        weights: that the gate gave, (len(skills),).
        leading: skill of the largest weight.
        missed_ticks: so far.
    """

    stamp_ns: int
    skills: tuple[str, ...]
    weights: NDArray[np.float64]
    leading: str
    missed_ticks: int


def run_episode(
    controller: str | Path,
    start: str,
    *,
    seed: int = 0,
    noise_bound: float = 0.005,
    separate: bool = False,
    lockstep: bool = False,
    speed: float = 1.0,
    viewer: bool = False,
    on_tick: Callable[[Tick], None] | None = None,
) -> EpisodeRecord:
    """Run one episode through the real graph and return its record; call it from the main thread.

    Args:
        controller: folder of the controller bundle.
        start: a skill's name, or a scenario's number as text ("6").
        seed: of the start (`default_rng([seed, 0])`) and of the poses' noise (`default_rng([seed, 1])`).
        noise_bound: clip bound of the poses' noise [m].
        separate: one process a node instead of all in this one.
        lockstep: the lab waits for every command: reproducible, as fast as the machine allows.
        speed: simulated seconds per second when not in lockstep.
        viewer: open MuJoCo's viewer.
        on_tick: called in this thread after every tick; must return quickly.

    Raises:
        RomanError: if the bundle, the start or the graph cannot be used, or a node dies.
        KeyboardInterrupt: on Ctrl-C, after everything has ended.
    """
    raise NotImplementedError
