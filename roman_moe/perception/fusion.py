"""From what each camera says of an object to its position: weighted least squares over all views.

A view gives the pixel at which it sees the object and the height at which it takes it to be. Two views from different
sides say where an object is by their rays alone; with one view, the height closes the gap. Each number comes with its
standard deviation, so the covariance of the position is that of the least squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.perception.camera import Camera

Array = NDArray[np.float64]

ITERATIONS = 4
"""Of Gauss-Newton: from rays that end at a believable height it converges in two or three."""

LEAST_SLOPE = 0.05
"""Of a ray that is taken to end at a height: its drop over its length. Flatter rays say nothing of where."""

UP = np.array([0.0, 0.0, 1.0])

DISAGREEMENT = 30.0
"""Sum of squared residuals, in standard deviations, above which two views do not show the same thing."""
DOUBT = 12.0
"""Likewise, above which two views' rays count alone. What an image says of a height is a guess, which fails for a thing
that is held up; rays that meet are no guess."""


@dataclass(frozen=True, eq=False)
class Views:
    """What c cameras say of n objects in images of one moment.

    Attributes:
        seen: whether a camera sees an object, (c, n).
        pixels: where, (c, n, 2) [pixels].
        pixel_sigmas: standard deviation along each of the two, (c, n) [pixels].
        heights: z in the base frame, (c, n) [m].
        height_sigmas: (c, n) [m].
    """

    seen: NDArray[np.bool_]
    pixels: Array
    pixel_sigmas: Array
    heights: Array
    height_sigmas: Array


def fuse(cameras: Sequence[Camera], views: Views) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Positions, (n, 3) [m], and their covariances, (n, 3, 3) [m^2], of objects that a camera sees; of others NaN.

    And of which objects the views contradict each other, (n,).

    Where rays meet at another height than the views take the object to be at, the rays count alone. Where they do not
    meet either, the view that is surest of its pixel is taken alone.

    Args:
        cameras: c of them, without distortion.
    """
    weights = np.where(views.seen, views.pixel_sigmas**-2.0, 0.0)
    positions, covariances, residuals = _least_squares(cameras, views, weights)
    torn = (residuals > DOUBT) & (views.seen.sum(axis=0) > 1)
    if torn.any():
        rays = _least_squares(cameras, views, weights, by_heights=False)
        meet = torn & (rays[2] <= DOUBT)
        torn = (residuals > DISAGREEMENT) & torn & ~meet
        alone = _least_squares(cameras, views, np.where(weights == weights.max(axis=0), weights, 0.0))
        for which, (better, spread, _) in ((meet, rays), (torn, alone)):
            positions[which], covariances[which] = better[which], spread[which]
    return positions, covariances, torn


def _least_squares(
    cameras: Sequence[Camera], views: Views, weights: Array, by_heights: bool = True
) -> tuple[Array, Array, Array]:
    """Positions, covariances and sums of squared residuals, (n,), under weights of the pixels, (c, n).

    Without heights, only those are right that two views show.
    """
    height_weights = np.where(weights > 0.0, views.height_sigmas**-2.0, 0.0) if by_heights else np.zeros(weights.shape)
    found = (weights > 0.0).any(axis=0)
    positions = _where_rays_end(cameras, views, weights)
    for _ in range(ITERATIONS):
        offsets = views.heights - positions[:, 2]
        information = np.einsum("n,i,j->nij", height_weights.sum(axis=0), UP, UP)
        gradient = np.einsum("n,i->ni", (height_weights * offsets).sum(axis=0), UP)
        residuals = (height_weights * offsets**2).sum(axis=0)
        for camera, pixels, weight in zip(cameras, views.pixels, weights, strict=True):
            projected, slopes = camera.linearized(positions)
            missed = pixels - projected
            information += np.einsum("n,nai,naj->nij", weight, slopes, slopes)
            gradient += np.einsum("n,nai,na->ni", weight, slopes, missed)
            residuals += weight * (missed**2).sum(axis=1)
        information[~found if by_heights else (weights > 0.0).sum(axis=0) < 2] = np.eye(3)
        covariances = np.linalg.inv(information)
        positions = positions + np.einsum("nij,nj->ni", covariances, gradient)
    positions[~found] = covariances[~found] = np.nan
    return positions, covariances, residuals


def _where_rays_end(cameras: Sequence[Camera], views: Views, weights: Array) -> Array:
    """Mean over the views of where each ray reaches the view's height, (n, 3) [m]; 0 of what nobody sees."""
    ends = np.empty((*weights.shape, 3))
    for i, camera in enumerate(cameras):
        rays = camera.rays(views.pixels[i])
        lengths = (views.heights[i] - camera.position[2]) / np.minimum(rays[:, 2], -LEAST_SLOPE)
        ends[i] = camera.position + lengths[:, None] * rays
    total = weights.sum(axis=0)
    return np.einsum("cn,cni->ni", weights, ends) / np.where(total > 0.0, total, 1.0)[:, None]
