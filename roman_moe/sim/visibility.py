"""Visibility of each object in a camera: pixels, counted by rays instead of by drawing an image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.perception.camera import Camera
from roman_moe.sim.randomisation import geoms_of
from roman_moe.sim.world import World

DRAWN = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)
"""Groups of geoms that a renderer draws."""
MOST_RAYS = 144
"""For one object and camera; where it covers more pixels, every second or third of a row and column stands for all."""
FARTHEST = 10.0  # [m]
ALONE = 5
"""A group that no renderer draws, for geoms that are looked at alone."""
_CORNERS = np.array(list(product((-1.0, 1.0), repeat=3)))
_NORMALS = {"normal": None} if "normal: " in (mujoco.mj_multiRay.__doc__ or "") else {}  # not in older releases


class Visibility:
    """Counts the pixels of a world's objects.

    Attributes:
        cameras: c of them.
        pixels: by which each camera showed each object when they were last counted, (c, n).
    """

    def __init__(self, world: World, cameras: Sequence[Camera]) -> None:
        self._world, self.cameras = world, cameras
        self.pixels: NDArray[np.int64] = np.zeros((len(cameras), len(world.task.spec.objects)), dtype=np.int64)
        self._geoms = [geoms_of(world.model, name) for name in world.task.spec.objects]

    def count(self) -> NDArray[np.int64]:
        """Count them in the world's present state, (c, n)."""
        self.pixels = np.array([self._by(camera) for camera in self.cameras])
        return self.pixels

    def _by(self, camera: Camera) -> NDArray[np.int64]:
        model, data = self._world.model, self._world.data
        grids = [_grid(model, data, geoms, camera) for geoms in self._geoms]
        hit = _hit(model, data, camera, np.concatenate([pixels for pixels, _ in grids]), DRAWN)
        hits = np.split(hit, np.cumsum([len(pixels) for pixels, _ in grids])[:-1])
        shown = [np.isin(part, geoms).sum() for part, geoms in zip(hits, self._geoms, strict=True)]
        return np.array([count * step * step for count, (_, step) in zip(shown, grids, strict=True)])


def shown_share(model: mujoco.MjModel, data: mujoco.MjData, geoms: NDArray[np.intp], camera: Camera) -> float:
    """Of the pixels that some geoms would cover if nothing hid them, the share that shows them; 0 if none would."""
    pixels, _ = _grid(model, data, geoms, camera)
    groups = model.geom_group.copy()
    drawn = geoms[DRAWN[groups[geoms]] > 0]
    model.geom_group[drawn] = ALONE
    try:
        covered = np.isin(_hit(model, data, camera, pixels, np.eye(6, dtype=np.uint8)[ALONE]), drawn)
    finally:
        model.geom_group[:] = groups
    shown = np.isin(_hit(model, data, camera, pixels[covered], DRAWN), drawn)
    return float(shown.mean()) if covered.any() else 0.0


def _hit(
    model: mujoco.MjModel, data: mujoco.MjData, camera: Camera, pixels: NDArray[np.float64], groups: NDArray[np.uint8]
) -> NDArray[np.int32]:
    """The geom of these groups that each pixel, (k, 2), shows, (k,); -1 for none."""
    hit, distances = np.full(len(pixels), -1, dtype=np.int32), np.empty(len(pixels))
    if len(pixels):
        mujoco.mj_multiRay(
            *(model, data, camera.position, camera.rays(pixels).ravel()),
            geomgroup=groups, flg_static=True, bodyexclude=-1, geomid=hit, dist=distances, nray=len(pixels),
            cutoff=FARTHEST, **_NORMALS,
        )  # fmt: skip
    return hit


def _grid(
    model: mujoco.MjModel, data: mujoco.MjData, geoms: NDArray[np.intp], camera: Camera
) -> tuple[NDArray[np.float64], int]:
    """Pixels of the image in the box around some geoms, (k, 2), and how far apart they are."""
    boxes = model.geom_aabb[geoms]
    corners = boxes[:, None, :3] + _CORNERS * boxes[:, None, 3:]
    turned = np.einsum("gij,gcj->gci", data.geom_xmat[geoms].reshape(-1, 3, 3), corners)
    pixels, depths = camera.project((turned + data.geom_xpos[geoms][:, None]).reshape(-1, 3))
    if not (depths > 0.0).all():
        return np.empty((0, 2)), 1
    low = np.maximum(np.ceil(pixels.min(axis=0)), 0.0)
    high = np.minimum(np.floor(pixels.max(axis=0)), (camera.width - 1.0, camera.height - 1.0))
    step = max(1, int(np.ceil(np.sqrt(np.prod(np.maximum(high - low + 1.0, 0.0)) / MOST_RAYS))))
    columns, rows = (np.arange(first, last + 1.0, step) for first, last in zip(low, high, strict=True))
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2), step
