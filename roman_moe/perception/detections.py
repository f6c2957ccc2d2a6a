"""What one look through the cameras says: the answer of the learned estimator and of markers alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detections:
    """A task's n objects as images of one moment show them.

    Attributes:
        stamp_ns: of the images [ns].
        seen: whether each object was found, (n,); what is not found has no meaningful numbers.
        positions: in the base frame, (n, 3) [m].
        covariances: of the positions, (n, 3, 3) [m^2].
        orientations: quaternions x, y, z, w, (n, 4); upright where nothing of the orientation matters.
        yaw_sigmas: standard deviation of the angle about the vertical, (n,) [rad].
    """

    stamp_ns: int
    seen: NDArray[np.bool_]
    positions: Array
    covariances: Array
    orientations: Array
    yaw_sigmas: Array
