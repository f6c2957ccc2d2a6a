"""Estimates of what a robot does not report: the hand's velocity, and whether its fingers hold something."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from roman_moe.arms.clock import STEP_BACK_NS
from roman_moe.arms.kept_orientation import HandPose
from roman_moe.core.rotation import inverse, product, rotation_vector
from roman_moe.core.state import NANOSECONDS

STILL = 0.0005  # [m] by which fingers that stand still may move
HELD_APART = 0.003  # [m] at least between what fingers were told and where they stand, when they hold something


class VelocityEstimate:
    """Velocities of the hand as slopes of straight lines through its last poses (least squares)."""

    def __init__(self, window: float) -> None:
        """`window`: age of the oldest pose that counts [s]; the estimate lags by half of it."""
        self._window_ns = round(window * NANOSECONDS)
        self._samples: deque[tuple[int, HandPose]] = deque()

    def add(self, stamp_ns: int, pose: HandPose) -> bool:
        """A pose, and whether it counts.

        One that comes again, or that was overtaken, does not. One from well before the last begins anew: the clock was
        set back.
        """
        if self._samples and stamp_ns <= self._samples[-1][0]:
            if stamp_ns >= self._samples[-1][0] - STEP_BACK_NS:
                return False
            self._samples.clear()
        self._samples.append((stamp_ns, pose))
        # two at least: a robot that tells its pose less often than the window has a velocity, too
        while len(self._samples) > 2 and stamp_ns - self._samples[0][0] > self._window_ns:
            self._samples.popleft()
        return True

    def velocity(self) -> NDArray[np.float64]:
        """(3,) [m/s]; zero as long as there is one pose alone."""
        return self._slope([pose.position for _, pose in self._samples])

    def angular_velocity(self) -> NDArray[np.float64]:
        """About the base frame's axes, (3,) [rad/s]; zero as long as there is one pose alone."""
        newest = inverse(self._samples[-1][1].orientation) if self._samples else np.zeros(4)
        return self._slope([rotation_vector(product(pose.orientation, newest)) for _, pose in self._samples])

    def _slope(self, values: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        if len(values) < 2:
            return np.zeros(3)
        newest = self._samples[-1][0]
        times = np.array([(stamp - newest) / NANOSECONDS for stamp, _ in self._samples])
        times -= times.mean()
        slope: NDArray[np.float64] = times @ np.array(values) / (times @ times)
        return slope


class StallEstimate:
    """Forces on the fingers of a gripper that measures none.

    Fingers that were told to close, and stand still apart, hold something: the forces are then such as saturate what
    networks see of them, else zero.
    """

    def __init__(self, stall_time: float, widest: float = math.inf, held_force: float = 1.0) -> None:
        """`stall_time`: for which the fingers must have stood still, and have been told to close [s].

        `widest`: that they open to [m]: fingers that have not closed from there hold nothing.
        `held_force`: that fingers that hold something are said to feel [N].
        """
        self._time, self._widest, self._held_force = stall_time, widest, held_force
        self._told: float | None = None
        self._told_at = 0.0
        self._seen: deque[tuple[float, float]] = deque()

    def tell(self, opening: float | None, now: float) -> None:
        """The gripper is commanded to open so far [m] at `now` [s], a steady clock; None: it is stopped on its way."""
        if opening != self._told:
            self._told, self._told_at = opening, now

    def see(self, opening: float, now: float) -> None:
        """The fingers are open so far [m] at `now` [s]."""
        self._seen.append((now, opening))
        while len(self._seen) > 1 and now - self._seen[1][0] >= self._time:
            self._seen.popleft()

    def forces(self) -> NDArray[np.float64]:
        """On the left and right pad, (2,) [N]."""
        return np.full(2, self._held_force if self._holds() else 0.0)

    def standing(self) -> float | None:
        """Where the fingers have stood still, for `stall_time` and since they were told [m]; None if they move."""
        if self._told is None or not self._seen:
            return None
        (oldest, _), (newest, opening) = self._seen[0], self._seen[-1]
        if min(newest - oldest, newest - self._told_at) < self._time:
            return None
        openings = [seen for _, seen in self._seen]
        return opening if max(openings) - min(openings) <= STILL else None

    def _holds(self) -> bool:
        standing = self.standing()
        return standing is not None and self._told is not None and holds(standing, self._told, self._widest)


def holds(standing: float, told: float, widest: float) -> bool:
    """Whether fingers that stand still hold something, from where they stand and were told to go [m].

    Fingers that stand as wide open as they go, `widest` [m], have closed on nothing: they have not moved yet.
    """
    return told + HELD_APART <= standing <= widest - HELD_APART
