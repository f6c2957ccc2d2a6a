"""Stamps: which are due, and which may be believed."""

from __future__ import annotations

from roman_moe.core.state import EPISODE_GAP_NS, NANOSECONDS

FUTURE_TOLERANCE_NS = NANOSECONDS // 10
"""[ns] by which a stamp may be ahead of the receiver's clock: clocks of two machines are never quite the same."""

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


class TickStamps:
    """Stamps of an arm that keeps a time of its own, such as the lab, on one time base that never goes back.

    A stamp is the arm's own time and an offset. The offset is a multiple of the gate's period, so that the gate runs at
    the same ticks of every episode, whenever that begins.
    """

    def __init__(self, gate_period_ns: int) -> None:
        self._step = gate_period_ns
        self._offset: int | None = None
        self._last = 0

    def begin(self, now_ns: int, follow_clock: bool = True) -> int:
        """The arm's own time begins at 0 again; its stamp: not before `now_ns`, and a gap after the last one [ns].

        `follow_clock`: whether stamps go back, too, where the clock itself was set back.
        """
        set_back = follow_clock and now_ns < self._last - STEP_BACK_NS
        earliest = now_ns if self._offset is None or set_back else max(now_ns, self._last + EPISODE_GAP_NS)
        self._offset = self._last = -(-earliest // self._step) * self._step
        return self._offset

    def stamp(self, own_ns: int) -> int:
        """Of the arm's own time since the episode's start [ns]."""
        assert self._offset is not None, "asked for after begin"
        stamp = self._offset + own_ns
        self._last = max(self._last, stamp)
        return stamp

    def restamp(self, own_ns: int, now_ns: int) -> int:
        """The newest stamp that `own_ns` can have at `now_ns`, of an arm whose time has stood still [ns]."""
        return self._move(own_ns, (now_ns - self.stamp(own_ns)) // self._step)

    def postpone(self, own_ns: int, now_ns: int) -> int:
        """The next stamp from `now_ns` on that `own_ns` can have, of an arm that is late [ns]."""
        return self._move(own_ns, -((self.stamp(own_ns) - now_ns) // self._step))

    def _move(self, own_ns: int, steps: int) -> int:
        assert self._offset is not None
        self._offset += max(0, steps) * self._step
        return self.stamp(own_ns)


class PacedClock:
    """Time of an arm that runs at a given speed: begins at a wall clock's and goes on by a steady one, never back.

    Args:
        now_ns: of the wall clock [ns].
        now: of the steady one [s].
        speed: simulated seconds per second.
    """

    def __init__(self, now_ns: int, now: float, speed: float = 1.0) -> None:
        self._began_ns, self._began, self._speed = now_ns, now, speed

    def now_ns(self, now: float) -> int:
        """The arm's time [ns] at `now` [s] of the steady clock."""
        return self._began_ns + round((now - self._began) * self._speed * NANOSECONDS)


class MonotonicClock:
    """Time that never goes back, of a clock that may be set back, as a simulation's is by its reset."""

    def __init__(self) -> None:
        self._last, self._lost = 0.0, 0.0

    def at(self, now: float) -> float:
        """The time [s] at `now` [s] of the clock."""
        self._lost += max(0.0, self._last - now)
        self._last = now
        return now + self._lost


def misfit(stamp_ns: int, earliest_ns: int, latest_ns: int) -> str:
    """Why a command of this stamp is not for the present tick; empty if it is."""
    if stamp_ns < earliest_ns:
        return f"is {(earliest_ns - stamp_ns) / NANOSECONDS:.3f} s older than the state that it should answer"
    if stamp_ns > latest_ns:
        return f"is stamped {(stamp_ns - latest_ns) / NANOSECONDS:.3f} s too far in the future"
    return ""


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
