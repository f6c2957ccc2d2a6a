"""Stamps: which are due, and which may be believed."""

from __future__ import annotations

from roman_moe.core.state import NANOSECONDS

STEP_BACK_NS = NANOSECONDS // 2
"""[ns] by which a clock must be set back for stamps to begin anew; after less, they wait until it has caught up."""


class StampGrid:
    """Stamps at whole multiples of a period: each is given once, in order, however unevenly it is asked for.

    Attributes:
        skipped: stamps that nobody asked for in time.
    """

    def __init__(self, period_ns: int) -> None:
        self._period = period_ns
        self._last: int | None = None
        self.skipped = 0

    def due(self, now_ns: int) -> int | None:
        """The latest stamp not after `now_ns`, if it has not been given yet [ns]."""
        stamp = now_ns - now_ns % self._period
        if self._last is not None and stamp - self._last >= -STEP_BACK_NS:
            if stamp <= self._last:
                return None
            self.skipped += (stamp - self._last) // self._period - 1
        self._last = stamp
        return stamp


class Freshness:
    """Whether what a robot sent last may still be used: by its stamp, and by a steady clock since it came.

    Two clocks, since either alone can be fooled: a stamp by a clock that was set, a receipt by a message that was late.

    Args:
        max_age: of either [s].
        tolerance: by how much a stamp may be ahead [s]; one from farther in the future is no better than an old one.
    """

    def __init__(self, max_age: float, tolerance: float) -> None:
        self._max_age, self._tolerance = max_age, tolerance
        self._stamp_ns: int | None = None
        self._received = 0.0

    def fault(self, stamp_ns: int, now_ns: int) -> str:
        """Why a message of this stamp is not to be taken at `now_ns` [ns]; empty if it is."""
        age = (now_ns - stamp_ns) / NANOSECONDS
        if age < -self._tolerance:
            return f"is stamped {-age:.3f} s in the future: are the machines' clocks synchronised?"
        if age > self._max_age:
            return f"is {age:.3f} s old: expected at most {self._max_age} s: are the machines' clocks synchronised?"
        return ""

    def note(self, stamp_ns: int, received: float) -> None:
        """Such a message came at `received` [s], a steady clock."""
        self._stamp_ns, self._received = stamp_ns, received

    def fresh(self, now_ns: int, now: float) -> bool:
        """Whether the last one may be used at `now_ns` [ns] and `now` [s], the steady clock."""
        if self._stamp_ns is None or now - self._received > self._max_age:
            return False
        return not self.fault(self._stamp_ns, now_ns)
