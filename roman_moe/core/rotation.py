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


def matrix(q: Quaternion) -> NDArray[np.float64]:
    """The rotation as a matrix, (3, 3)."""
    x, y, z, w = q.tolist()
    return np.array(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
            [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
            [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
        ]
    )


def from_matrix(rotation: NDArray[np.float64]) -> Quaternion:
    """The quaternion of a rotation matrix, (3, 3), w not negative.

    Of the four ways to solve for it, the one that divides by the largest number (Shepperd 1978).
    """
    m = rotation
    squares = np.array([m[0, 0], m[1, 1], m[2, 2], np.trace(m)])
    largest = int(np.argmax(squares))
    if largest == 3:
        q = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1.0 + squares[3]])
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        q = np.empty(4)
        q[i] = 1.0 + m[i, i] - m[j, j] - m[k, k]
        q[j] = m[j, i] + m[i, j]
        q[k] = m[k, i] + m[i, k]
        q[3] = m[k, j] - m[j, k]
    q /= np.linalg.norm(q)
    return -q if q[3] < 0.0 else q


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
