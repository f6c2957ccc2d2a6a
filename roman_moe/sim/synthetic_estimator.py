"""A stand-in for a pose estimator: it reads the true poses, but only of what its cameras show, and with errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.state import rotated
from roman_moe.perception.detections import Detections
from roman_moe.perception.image_set import VISIBLE_PIXELS
from roman_moe.sim.visibility import Visibility
from roman_moe.sim.world import World

DEPTH = 2.0
"""How many times as wrong a position is along the view of the only camera that shows it."""
TURN_ARM = 0.1  # [m] at whose end an orientation is as wrong as a position


class SyntheticEstimator:
    """Finds a world's objects; looks at the world's present state instead of at images.

    Args:
        visibility: of its objects, counted before each frame set.
        sigma: of a position along each axis [m].
    """

    def __init__(self, world: World, visibility: Visibility, sigma: float, rng: np.random.Generator) -> None:
        self._world, self._visibility, self._sigma, self._rng = world, visibility, sigma, rng

    def detect(self, stamp_ns: int, images: Mapping[str, NDArray[np.uint8]]) -> Detections:
        """What is visible; `images` are of no use to it."""
        state, rng, sigma = self._world.state, self._rng, self._sigma
        count = len(state.object_positions)
        views = np.asarray(self._visibility.pixels >= VISIBLE_PIXELS)
        covariances = np.tile(np.eye(3) * sigma**2, (count, 1, 1))
        for row in np.flatnonzero(views.sum(axis=0) == 1).tolist():
            along = state.object_positions[row] - self._visibility.cameras[int(views[:, row].argmax())].position
            along /= np.linalg.norm(along)
            covariances[row] += (DEPTH**2 - 1.0) * sigma**2 * np.outer(along, along)
        errors = np.einsum("nij,nj->ni", np.linalg.cholesky(covariances), rng.standard_normal((count, 3)))
        turns = rng.standard_normal(count) * sigma / TURN_ARM
        return Detections(
            stamp_ns=stamp_ns,
            seen=np.asarray(views.any(axis=0)),
            positions=state.object_positions + errors,
            covariances=covariances,
            orientations=np.array(
                [
                    rotated(orientation, np.array([0.0, 0.0, turn]))
                    for orientation, turn in zip(state.object_orientations, turns, strict=True)
                ]
            ),
            yaw_sigmas=np.full(count, sigma / TURN_ARM),
        )
