"""How right a filter's poses are: errors of what it says is seen, and how often it says so of what is long hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.state import NANOSECONDS, ObjectPoses, SceneState

LONG = 1.0  # [s] after which what is hidden must not be reported as seen


class PoseTally:
    """One episode's.

    Attributes:
        errors: distances of valid poses from the true ones [m], a list for each object.
        hidden_valid: of each object, ticks at which it was valid, though hidden for long and not held, (n,).
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.errors: list[list[float]] = [[] for _ in names]
        self.hidden_valid = np.zeros(len(self.names), dtype=int)
        self.ticks = 0
        self._seen_ns = np.full(len(self.names), -1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "errors": self.errors,
            "hidden_valid": self.hidden_valid.tolist(),
            "ticks": self.ticks,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PoseTally:
        tally = cls(content["names"])
        tally.errors, tally.ticks = content["errors"], content["ticks"]
        tally.hidden_valid = np.array(content["hidden_valid"], dtype=int)
        return tally

    def add(self, truth: SceneState, poses: ObjectPoses, hidden: NDArray[np.bool_], held: str) -> None:
        """Count one tick.

        Args:
            poses: of the same stamp.
            hidden: which objects no pixel shows, (n,).
            held: the object that follows the hand; "" for none.
        """
        if not self.ticks:
            self._seen_ns[:] = truth.stamp_ns
        self._seen_ns[~hidden] = truth.stamp_ns
        free = np.array([name != held for name in self.names])
        self.hidden_valid += poses.valid & free & (truth.stamp_ns - self._seen_ns > LONG * NANOSECONDS)
        self.ticks += 1
        distances = np.linalg.norm(poses.positions - truth.object_positions, axis=1)
        for row in np.flatnonzero(poses.valid).tolist():
            self.errors[row].append(float(distances[row]))


def summarize_poses(tallies: Iterable[PoseTally]) -> dict[str, Any]:
    """What a report says of all episodes' poses: errors [m], and shares of ticks; None for what was never seen."""
    tallies = list(tallies)
    ticks = sum(each.ticks for each in tallies)
    objects = {}
    for row, name in enumerate(tallies[0].names):
        errors = [error for each in tallies for error in each.errors[row]]
        share = sum(int(each.hidden_valid[row]) for each in tallies) / ticks
        objects[name] = {**quantiles(errors), "hidden_valid_share": share}
    everything = [error for each in tallies for errors in each.errors for error in errors]
    return {**quantiles(everything), "objects": objects}


def quantiles(errors: Sequence[float]) -> dict[str, float | None]:
    """Median and 95th percentile of errors [m]; None if there is none."""
    if not errors:
        return {"median_m": None, "p95_m": None}
    median, high = np.percentile(errors, (50.0, 95.0)).tolist()
    return {"median_m": median, "p95_m": high}
