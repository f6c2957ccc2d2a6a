"""Where things of the kitting station begin, and when they count as done. Sizes: assets/scene.xml. Metres, radians."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TABLE_TOP = -0.12
GAP = 0.0005  # above the surface on which a thing is put, so that it starts without overlap


@dataclass(frozen=True)
class Area:
    """A rectangle on the table."""

    x: tuple[float, float]
    y: tuple[float, float]

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """A random point just above it, (3,) [m]."""
        return np.array([rng.uniform(*self.x), rng.uniform(*self.y), TABLE_TOP + GAP])


HAND_RANGE = (0.12, 0.12, 0.06)  # start of the hand: home +- this along x, y, z
TRAY_AREA = Area((0.43, 0.50), (-0.08, -0.02))
TRAY_ANGLE = math.radians(25.0)
TILE_AREA = Area((0.38, 0.46), (0.20, 0.30))
TILE_ANGLE = math.radians(60.0)
PIN_AREA = Area((0.54, 0.61), (0.18, 0.30))
TILE_HALF_HEIGHT = 0.022
PIN_HALF_HEIGHT = 0.035
SLOT_FLOOR = -0.022 + GAP  # of slot and hole, from their mouths
LOCK_SHUT = math.radians(15.0)
LOCK_TURNED = math.radians(80.0)
