"""A stand-in for a pose estimator: it reads the true poses, but only of what its cameras show, and with errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.state import rotated
from roman_moe.perception.camera import Camera
from roman_moe.perception.detections import Detections
from roman_moe.perception.image_set import VISIBLE_PIXELS
from roman_moe.sim.visibility import Visibility
from roman_moe.sim.world import World

TURN_ARM = 0.1  # [m] at whose end an orientation is as wrong as a position


@dataclass(frozen=True)
class SyntheticErrors:
    """Of a synthetic estimator.

    Attributes:
        sigma: of a position along each axis across the view [m].
        depth: how many times as large it is along the view of what one camera alone sees.
    """

    sigma: float = 0.003
    depth: float = 2.0


class SyntheticEstimator:
    """Detects a world's objects; looks at the world's present state instead of images."""

    def __init__(
        self, world: World, cameras: Mapping[str, Camera], errors: SyntheticErrors, rng: np.random.Generator
    ) -> None:
        self._world, self._cameras, self._errors, self._rng = world, tuple(cameras.values()), errors, rng
        self._visibility = Visibility(world)

    def detect(self, stamp_ns: int, images: Mapping[str, NDArray[np.uint8]]) -> Detections:
        """What is visible; `images` are of no use to it."""
        errors, rng, state = self._errors, self._rng, self._world.state
        self.pixels = np.array([self._visibility.pixels(camera) for camera in self._cameras])
        views: NDArray[np.bool_] = self.pixels >= VISIBLE_PIXELS
        covariances = np.tile(np.eye(3) * errors.sigma**2, (len(state.object_positions), 1, 1))
        for i in np.flatnonzero(views.sum(axis=0) == 1):
            camera = self._cameras[int(views[:, i].argmax())]
            along = state.object_positions[i] - camera.position
            along /= np.linalg.norm(along)
            covariances[i] += (errors.depth**2 - 1.0) * errors.sigma**2 * np.outer(along, along)
        noise = np.einsum("nij,nj->ni", np.linalg.cholesky(covariances), rng.standard_normal((len(covariances), 3)))
        turns = rng.standard_normal(len(covariances)) * errors.sigma / TURN_ARM
        orientations = [
            rotated(orientation, np.array([0.0, 0.0, turn]))
            for orientation, turn in zip(state.object_orientations, turns, strict=True)
        ]
        return Detections(
            stamp_ns=stamp_ns,
            seen=np.asarray(views.any(axis=0)),
            positions=state.object_positions + noise,
            covariances=covariances,
            orientations=np.array(orientations),
            yaw_sigmas=np.full(len(covariances), errors.sigma / TURN_ARM),
        )
