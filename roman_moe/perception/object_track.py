"""One object's constant-position Kalman filter, with a gate for outliers and a way out for what somebody has moved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.rotation import inverse, matrix, product, rotation_vector
from roman_moe.core.spec import ObjectSpec
from roman_moe.core.state import NANOSECONDS, rotated, yaw

Array = NDArray[np.float64]

GATE = {3: 16.27, 4: 18.47, 6: 22.46}
"""Chi-square that 99.9 % of the innovations stay below, by degrees of freedom."""
RUN = 3
"""Detections that agree with each other, and not with the track, from which on they are the track."""
RUN_GAP = 0.5  # [s] between two of them, at most
RUN_SPEED, RUN_TURN = 0.15, 1.0  # [m/s], [rad/s] at which the object may go on moving meanwhile
DRIFT, TURN_DRIFT = 1e-6, 1e-4  # [m^2/s], [rad^2/s] by which the pose of an object at rest becomes less certain
TREND = 0.3
"""Share of the newest innovation in their running mean, by which the filter of what moves opens: else it would lag."""
LEAST_VARIANCE = 2.5e-7  # [m^2] that a detection may claim


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """A position, (3,) [m], and an orientation, a quaternion x, y, z, w, in some frame."""

    position: Array
    orientation: Array

    def __matmul__(self, other: Pose) -> Pose:
        """A pose given in this frame, in the frame that this one is given in."""
        position = self.position + matrix(self.orientation) @ other.position
        return Pose(position, product(self.orientation, other.orientation))

    def inverse(self) -> Pose:
        """The outer frame in this one."""
        back = inverse(self.orientation)
        return Pose(-matrix(back) @ self.position, back)


BASE = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What one frame set shows of one object; see `Detections`."""

    stamp_ns: int
    pose: Pose
    covariance: Array
    turn_variance: float


@dataclass(slots=True, eq=False)
class Track:
    """One object.

    Attributes:
        pose: in the base frame; while it is held, in the hand's.
        covariance: of its position along the base frame's axes, (3, 3) [m^2].
        turn_variance: of its angle about the vertical, or about each axis [rad^2].
        stamp_ns: of the last detection that it took in, or since when it is not held; -1 before the first one.
        grasped: whether the hand has held it.
    """

    spec: ObjectSpec
    pose: Pose
    covariance: Array = field(default_factory=lambda: np.full((3, 3), np.inf))
    turn_variance: float = math.inf
    stamp_ns: int = -1
    grasped: bool = False
    _attached_ns: int = -1  # since when `pose` is given in its present frame
    _trend: Array = field(default_factory=lambda: np.zeros(6))
    _run: list[Detection] = field(default_factory=list)

    @classmethod
    def of(cls, spec: ObjectSpec) -> Track:
        """An object that was never seen: where it usually is, if that is known."""
        return cls(spec, Pose(np.array(spec.position or [np.nan] * 3), BASE.orientation))

    def attach(self, frame: Pose, stamp_ns: int) -> None:
        """From now on its pose is given in another frame: in that in which `frame` gives the present one."""
        self.pose = frame @ self.pose
        self._attached_ns = stamp_ns
        self._run.clear()

    def take(self, detection: Detection, frame: Pose) -> None:
        """Take in a detection, or leave it out.

        Args:
            detection: newer than all before.
            frame: that `pose` is given in, at that time, in the base frame.
        """
        if detection.stamp_ns < self._attached_ns:
            return
        before = frame @ self.pose
        innovation, turn = self._between(before, detection.pose)
        since = (detection.stamp_ns - self.stamp_ns) / NANOSECONDS
        step, turn_step = self._trend[:3], self._trend[3:]
        covariance = self.covariance + DRIFT * since * np.eye(3) + np.outer(step, step)
        turn_variance = self.turn_variance + TURN_DRIFT * since + float(turn_step @ turn_step)
        spread, turn_spread = covariance + detection.covariance, turn_variance + detection.turn_variance
        if self.stamp_ns < 0 or not self._agree(innovation, turn, spread, turn_spread):
            self._leave_out(detection, frame)
            return
        gain, turn_gain = covariance @ np.linalg.inv(spread), turn_variance / turn_spread
        pose = Pose(before.position + gain @ innovation, rotated(before.orientation, turn_gain * turn))
        self.pose = frame.inverse() @ pose
        self.covariance = covariance - gain @ covariance
        self.turn_variance = turn_variance - turn_gain * turn_variance
        self._trend += TREND * (np.concatenate([innovation, turn]) - self._trend)
        self.stamp_ns = detection.stamp_ns
        self._run.clear()

    def _leave_out(self, detection: Detection, frame: Pose) -> None:
        """What does not fit is an outlier, unless others follow that agree with it: then the object is there."""
        run = self._run
        if run and not self._follows(run[-1], detection):
            run.clear()
        run.append(detection)
        if len(run) >= RUN:
            self.pose = frame.inverse() @ detection.pose
            self.covariance, self.turn_variance = detection.covariance, detection.turn_variance
            self.stamp_ns = detection.stamp_ns
            self._trend = np.zeros(6)
            run.clear()

    def _follows(self, last: Detection, new: Detection) -> bool:
        gap = (new.stamp_ns - last.stamp_ns) / NANOSECONDS
        way, turn = self._between(last.pose, new.pose)
        spread = last.covariance + new.covariance + (RUN_SPEED * gap) ** 2 * np.eye(3)
        turn_spread = last.turn_variance + new.turn_variance + (RUN_TURN * gap) ** 2
        return gap <= RUN_GAP and self._agree(way, turn, spread, turn_spread)

    def _between(self, first: Pose, second: Pose) -> tuple[Array, Array]:
        """Way and turn from one pose to another, (3,) [m] and (3,) [rad], as far as the orientation matters."""
        turn = np.zeros(3)
        if self.spec.orientation == "full":
            turn = rotation_vector(product(second.orientation, inverse(first.orientation)))
        elif self.spec.orientation == "yaw":
            turn[2] = wrapped(yaw(second.orientation) - yaw(first.orientation), self.spec.symmetry)
        return second.position - first.position, turn

    def _agree(self, way: Array, turn: Array, spread: Array, turn_spread: float) -> bool:
        """Whether a difference is one that chance may make."""
        freedom = 3 + {"none": 0, "yaw": 1, "full": 3}[self.spec.orientation]
        square = float(way @ np.linalg.solve(spread, way)) + float(turn @ turn) / turn_spread
        return square <= GATE[freedom]


def wrapped(angle: float, symmetry: int) -> float:
    """The smallest turn that looks like an angle's, of what looks the same after 1/symmetry of a turn [rad]."""
    period = 2.0 * math.pi / symmetry
    return (angle + 0.5 * period) % period - 0.5 * period
