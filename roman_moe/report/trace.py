"""Trace: what a run leaves to be drawn, and the skills that led it, in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.spec import TaskSpec

FLICKER = 0.3  # [s] a lead shorter than this is no skill of its own


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Weights and physics states of a run, a row a tick, T ticks.

    Attributes:
        skills: names of the weights, n of them.
        times: time of each tick since the start, (T,) [s].
        weights: the gate's weights that were in force, (T, n).
        physics_states: the simulation's state at each tick, enough to draw it, (T, any).
        end_s: when the run ended [s], after the last tick.
        events: time [s] and name of what happened from outside.
    """

    spec: TaskSpec
    skills: tuple[str, ...]
    times: NDArray[np.float64]
    weights: NDArray[np.float64]
    physics_states: NDArray[np.float64]
    end_s: float
    events: tuple[tuple[float, str], ...] = ()

    def __post_init__(self) -> None:
        ticks = len(self.times)
        if ticks == 0 or self.weights.shape != (ticks, len(self.skills)) or len(self.physics_states) != ticks:
            raise ValueError(
                f"trace of {ticks} ticks, weights {self.weights.shape}, {len(self.physics_states)} physics states: "
                f"expected one row a tick and {len(self.skills)} weights"
            )


@dataclass(frozen=True, slots=True)
class Segment:
    """A time in which one skill led, [start_s, end_s)."""

    name: str
    start_s: float
    end_s: float


def leading_segments(trace: Trace, flicker: float = FLICKER) -> list[Segment]:
    """The skills that led, in order and without gaps, from the first weights on.

    A lead shorter than `flicker` [s] counts to the one before it.
    """
    weighed = np.flatnonzero(trace.weights.any(axis=1))
    if not len(weighed):
        return []
    leaders, first = trace.weights.argmax(axis=1), int(weighed[0])
    changes = [first, *(np.flatnonzero(np.diff(leaders[first:])) + first + 1).tolist()]
    ends = [*(float(trace.times[index]) for index in changes[1:]), trace.end_s]
    segments: list[Segment] = []
    for index, end in zip(changes, ends, strict=True):
        name, start = trace.skills[leaders[index]], float(trace.times[index])
        last = segments[-1] if segments else None
        if last and (last.name == name or end - start < flicker):
            segments[-1] = Segment(last.name, last.start_s, end)
        elif last and len(segments) == 1 and last.end_s - last.start_s < flicker:
            segments[-1] = Segment(name, last.start_s, end)  # nothing before the first lead to count it to
        else:
            segments.append(Segment(name, start, end))
    return segments
