"""Rotations as unit quaternions x, y, z, w, and as rotation vectors: their angle long, along their axis."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Quaternion = NDArray[np.float64]
"""(4,)"""

UNIT_TOLERANCE = 1e-2
"""By which a measured quaternion's norm may differ from 1."""


def unit(quaternion: Quaternion) -> Quaternion:
    """A measured quaternion, scaled to length 1.

    Raises:
        ValueError: if it is far from that.
    """
    norm = float(np.sqrt(quaternion @ quaternion))
    if not abs(norm - 1.0) <= UNIT_TOLERANCE:
        raise ValueError(f"quaternion of norm {norm:.3g}: expected 1")
    return quaternion / norm


def product(a: Quaternion, b: Quaternion) -> Quaternion:
    """The rotation b, then a."""
    ax, ay, az, aw = a.tolist()
    bx, by, bz, bw = b.tolist()
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def inverse(q: Quaternion) -> Quaternion:
    """The rotation back."""
    return q * (-1.0, -1.0, -1.0, 1.0)


def rotate(q: Quaternion, vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """A vector, (3,), after the rotation.

    .. math:: v + 2 u \\times (u \\times v + w v), \\quad q = (u, w)
    """
    axis, w = q[:3], q[3]
    return vector + 2.0 * np.cross(axis, np.cross(axis, vector) + w * vector)


def rotation_vector(q: Quaternion) -> NDArray[np.float64]:
    """The rotation's vector, (3,) [rad], its angle at most pi."""
    if q[3] < 0.0:
        q = -q
    sine = math.hypot(*q[:3].tolist())
    if sine < 1e-12:
        return 2.0 * q[:3]
    return (2.0 * math.atan2(sine, float(q[3])) / sine) * q[:3]


def turn_about(q: Quaternion, axis: int) -> Quaternion:
    """The turn t about one of the frame's axes (0, 1, 2) in `q` = s t, where s turns about a perpendicular axis.

    Known as swing-twist decomposition. Where `q` turns the axis to its opposite, there is no such turn: none is given.
    """
    turn = np.zeros(4)
    turn[axis], turn[3] = q[axis], q[3]
    norm = math.hypot(turn[axis], turn[3])
    return turn / norm if norm > 1e-9 else np.array([0.0, 0.0, 0.0, 1.0])
