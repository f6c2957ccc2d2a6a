"""Whether the hand moves and turns as commanded: a robot may take commands, report no fault, and not move."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from roman_moe.arms.kept_orientation import HandPose
from roman_moe.core.rotation import inverse, product, rotation_vector

WINDOW = 0.4  # [s] over which ways are compared
LAGS = (0.0, 0.05, 0.1, 0.15, 0.2)
"""[s] by which the hand may be late. The hand follows if it fits one of them. Steps of 0.1 s are too coarse: with
erratic commands, a hand that is 0.05 s late would count as a fault after a reversal."""
LEAST = 0.025
"""[m] commanded within the window, below which nothing is judged. Contact stands behind less: at most 19 mm in 12
episodes of the shipped bundle, which pushes, presses and inserts."""
LEAST_TURN = 0.1
"""[rad] likewise for turning: what keeps the orientation commands less, unless the hand is off by 0.25 rad."""
SHARE = 0.2  # of the commanded way that the hand has to go; near a singularity Servo slows down by more than half
RETRY_PERIOD = 0.5  # [s] before the next attempt
PROBE = 0.08  # [m/s] until the hand is seen to follow: whoever switches Servo on meanwhile starts no fast motion
PROBE_TURN = 0.34  # [rad/s] likewise for turning; fast enough to be judged
LONGEST_STEP = 0.1  # [s] for which one command counts: Servo's incoming_command_timeout


class MotionCheck:
    """Compares the way that was commanded with the way that the hand went, and the turn with the turn.

    Args:
        speed: highest speed that may be commanded [m/s].
        angular_speed: likewise for turning [rad/s].
        ramp: from rest to that speed [s], once the hand follows.

    Attributes:
        fault: in words why the arm is to be halted, for `RETRY_PERIOD`; empty if it is not.
        doubted: whether the hand did not follow last time, and has not followed since.
    """

    def __init__(self, speed: float, angular_speed: float, ramp: float) -> None:
        self._speed, self._angular_speed, self._ramp = speed, angular_speed, ramp
        self._ways = (
            _Displacement(LEAST, "it went {:.0f} % of the commanded way"),
            _Displacement(LEAST_TURN, "it turned {:.0f} % of the commanded turn"),
        )
        self.reset()

    def reset(self) -> None:
        """Nothing is known of the robot."""
        self.fault, self.doubted = "", False
        self._proven: float | None = None  # [s] since when it follows
        self._halted_until = 0.0  # [s]
        self._forget()

    def _forget(self) -> None:
        self._last: float | None = None  # [s]
        self._orientation: NDArray[np.float64] | None = None
        self._turned = np.zeros(3)  # [rad]
        for way in self._ways:
            way.reset()

    def note(self, twist: NDArray[np.float64], hand: HandPose | None, now: float) -> None:
        """What has been commanded since the last call, and where the hand is.

        Args:
            twist: (6,) [m/s, rad/s]; zero if nothing was sent.
            hand: None if it is not known.
            now: a steady clock [s].
        """
        if self.fault and now >= self._halted_until:
            self.fault = ""
            self._forget()
        if hand is None or self.fault:
            self._forget()
            return
        if self._orientation is not None:
            self._turned = self._turned + rotation_vector(product(hand.orientation, inverse(self._orientation)))
        step = 0.0 if self._last is None else min(now - self._last, LONGEST_STEP)
        self._last, self._orientation = now, hand.orientation
        for way, measured, velocity in zip(
            self._ways, (hand.position, self._turned), (twist[:3], twist[3:]), strict=True
        ):
            way.note(measured, velocity * step, now)
        self._judge(now)

    def speed_limits(self, now: float) -> tuple[float, float]:
        """Highest speeds that may be commanded now [m/s, rad/s]."""
        share = 0.0 if self._proven is None else (now - self._proven) / self._ramp
        return PROBE + self._speed * share, PROBE_TURN + self._angular_speed * share

    def _judge(self, now: float) -> None:
        verdicts = [verdict for way in self._ways if (verdict := way.verdict(now)) is not None]
        faults = [verdict for verdict in verdicts if verdict]
        if faults:
            self.fault = f"the hand does not follow: {', '.join(faults)}"
            self.doubted, self._proven = True, None
            self._halted_until = now + RETRY_PERIOD
        elif verdicts:
            self.doubted = False
            if self._proven is None:
                self._proven = now


class _Displacement:
    """A displacement or a turn, (3,), as commanded and as measured.

    Args:
        least: commanded within the window, below which it is not judged.
        fault: what to say of a hand that does not follow, given the share of the way that it went [%].
    """

    def __init__(self, least: float, fault: str) -> None:
        self._least, self._fault = least, fault
        self.reset()

    def reset(self) -> None:
        """Nothing has been commanded."""
        self._commanded = np.zeros(3)
        self._history: deque[tuple[float, NDArray[np.float64], NDArray[np.float64]]] = deque()

    def note(self, measured: NDArray[np.float64], commanded: NDArray[np.float64], now: float) -> None:
        """Where the hand is now [s], and by how much more it should have gone since."""
        self._commanded = self._commanded + commanded
        self._history.append((now, measured, self._commanded))
        while len(self._history) > 2 and now - self._history[1][0] > WINDOW + LAGS[-1]:
            self._history.popleft()

    def verdict(self, now: float) -> str | None:
        """Empty if the hand follows, in words what it does if it does not; None if that cannot be judged."""
        times = np.array([sample[0] for sample in self._history])
        measured = np.array([sample[1] for sample in self._history])
        commanded = np.array([sample[2] for sample in self._history])
        went = _between(times, measured, now - WINDOW, now)
        shares = []
        for lag in LAGS:
            sent = _between(times, commanded, now - lag - WINDOW, now - lag)
            length = float(np.linalg.norm(sent))
            if length >= self._least:
                shares.append(float(went @ sent) / length**2)
        if shares and max(shares) >= SHARE:
            return ""
        return self._fault.format(100.0 * max(shares)) if len(shares) == len(LAGS) else None


def _between(times: NDArray[np.float64], values: NDArray[np.float64], begin: float, end: float) -> NDArray[np.float64]:
    """Change of values, (n, 3), from one moment [s] to another; between samples in proportion."""
    return np.array([float(np.diff(np.interp((begin, end), times, column))[0]) for column in values.T])
