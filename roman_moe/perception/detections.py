"""What one frame set shows, the images of all cameras at one moment: the answer of the learned estimator and of markers
alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sighting:
    """Where one camera sees an object, or one of its markers.

    Attributes:
        marker: its number; -1 for the object itself.
        pixel: (2,).
    """

    camera: str
    name: str
    marker: int
    pixel: Array


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
        sightings: what each camera saw of them.
        conflicts: objects on which the cameras that see them contradict each other.
        problems: what else is wrong with what the images show, one line each.
    """

    stamp_ns: int
    seen: NDArray[np.bool_]
    positions: Array
    covariances: Array
    orientations: Array
    yaw_sigmas: Array
    sightings: tuple[Sighting, ...] = ()
    conflicts: frozenset[str] = field(default_factory=frozenset)
    problems: tuple[str, ...] = ()

    def shared(self) -> frozenset[str]:
        """Objects that two cameras or more see."""
        seen_by: dict[str, set[str]] = {}
        for each in self.sightings:
            seen_by.setdefault(each.name, set()).add(each.camera)
        return frozenset(name for name, cameras in seen_by.items() if len(cameras) > 1)
