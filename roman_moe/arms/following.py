"""Whether the hand goes where it is sent: a robot may take commands, complain about nothing, and not move."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

WINDOW = 0.4  # [s] over which ways are compared
LAGS = (0.0, 0.05, 0.1, 0.15, 0.2)
"""[s] by which the hand may be late. The hand follows if it fits one of them. Steps of 0.1 s are too coarse: with
erratic commands, a hand that is 0.05 s late would count as a fault after a reversal."""
LEAST = 0.025
"""[m] commanded within the window, below which nothing is judged. Contact stands behind less: at most 19 mm in 12
episodes of the shipped bundle, which pushes, presses and inserts."""
SHARE = 0.2  # of the commanded way that the hand has to go; near a singularity Servo slows down by more than half
REST = 0.5  # [s] before the next attempt
PROBE = 0.08  # [m/s] until the hand is seen to follow: whoever switches Servo on meanwhile starts no fast motion
LONGEST_STEP = 0.1  # [s] for which one command counts: Servo's incoming_command_timeout


class Following:
    """Compares the way that was commanded with the way that the hand went.

    Args:
        speed: highest speed that may be commanded [m/s].
        ramp: from rest to that speed [s], once the hand follows.

    Attributes:
        fault: in words why the arm has to rest, for `REST`; empty if it need not.
        doubted: whether it did not follow last time, and has not done so since.
    """

    def __init__(self, speed: float, ramp: float) -> None:
        self._speed, self._ramp = speed, ramp
        self.reset()

    def reset(self) -> None:
        """Nothing is known of the robot."""
        self.fault, self.doubted = "", False
        self._proven: float | None = None  # [s] since when it follows
        self._rest_until = 0.0  # [s]
        self._forget()

    def _forget(self) -> None:
        self._way = np.zeros(3)  # commanded [m]
        self._last: float | None = None  # [s]
        self._history: deque[tuple[float, NDArray[np.float64], NDArray[np.float64]]] = deque()

    def note(self, velocity: NDArray[np.float64], position: NDArray[np.float64] | None, now: float) -> None:
        """What has been commanded since the last call, and where the hand is.

        Args:
            velocity: (3,) [m/s]; zero if nothing was sent.
            position: (3,) [m]; None if it is not known.
            now: a steady clock [s].
        """
        if self.fault and now >= self._rest_until:
            self.fault = ""
            self._forget()
        if position is None or self.fault:
            self._forget()
            return
        if self._last is not None:
            self._way = self._way + velocity * min(now - self._last, LONGEST_STEP)
        self._last = now
        self._history.append((now, position, self._way))
        while len(self._history) > 2 and now - self._history[1][0] > WINDOW + LAGS[-1]:
            self._history.popleft()
        self._judge(now)

    def most(self, now: float) -> float:
        """Highest speed that may be commanded now [m/s]."""
        if self._proven is None:
            return PROBE
        return PROBE + self._speed * (now - self._proven) / self._ramp

    def _judge(self, now: float) -> None:
        times = np.array([sample[0] for sample in self._history])
        positions = np.array([sample[1] for sample in self._history])
        ways = np.array([sample[2] for sample in self._history])
        went = _between(times, positions, now - WINDOW, now)
        shares = []
        for lag in LAGS:
            sent = _between(times, ways, now - lag - WINDOW, now - lag)
            length = float(np.linalg.norm(sent))
            if length >= LEAST:
                shares.append(float(went @ sent) / length**2)
        if shares and max(shares) >= SHARE:
            self.doubted = False
            if self._proven is None:
                self._proven = now
        elif len(shares) == len(LAGS):
            self.fault = f"the hand does not follow: it went {100.0 * max(shares):.0f} % of the commanded way"
            self.doubted, self._proven = True, None
            self._rest_until = now + REST


def _between(times: NDArray[np.float64], values: NDArray[np.float64], begin: float, end: float) -> NDArray[np.float64]:
    """Change of values, (n, 3), from one moment [s] to another; between samples in proportion."""
    return np.array([float(np.diff(np.interp((begin, end), times, column))[0]) for column in values.T])
