"""A scene's cameras as an estimator needs them: their calibration, and their images drawn fast."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.rotation import from_matrix
from roman_moe.core.spec_parts import CameraSpec
from roman_moe.perception.camera import Camera
from roman_moe.sim.render import Renderer
from roman_moe.sim.world import World

OPTICAL = np.diag([1.0, -1.0, -1.0])
"""From the optical frame (z forward, y down) to that of MuJoCo's cameras (z backward, y up)."""


def camera_of(model: mujoco.MjModel, data: mujoco.MjData, name: str, width: int, height: int) -> Camera:
    """A scene's camera as it is calibrated where `data` has it; its images have this size [pixels]."""
    there, number = data.camera(name), model.camera(name).id
    size, focal, offset = np.array([width, height]), np.zeros(2), np.zeros(2)
    sensor = model.cam_sensorsize[number].astype(float)
    if sensor[1] > 0.0:  # lens and sensor are given [m]; the image is the whole sensor
        focal, offset = np.split(model.cam_intrinsic[number] * np.tile(size / sensor, 2), 2)
    else:
        focal[:] = 0.5 * height / np.tan(np.radians(0.5 * model.cam_fovy[number]))
    return Camera(
        name=name,
        width=width,
        height=height,
        focal=focal,
        centre=0.5 * (size - 1.0) - offset,  # the principal point is given from the middle, x left and y up
        position=there.xpos.copy(),
        orientation=from_matrix(there.xmat.reshape(3, 3) @ OPTICAL),
    )


class SceneCameras:
    """A task's cameras in a world: one renderer for each size of image, used by the thread that made it."""

    def __init__(self, world: World, cameras: Mapping[str, CameraSpec] | None = None) -> None:
        """Raises as `Renderer` does.

        Args:
            cameras: sizes of images by name; the task's own if None.
        """
        specs = world.task.spec.cameras if cameras is None else cameras
        self._world = world
        self._sizes = {name: (spec.width, spec.height) for name, spec in specs.items()}
        one_of_each = {size: name for name, size in self._sizes.items()}
        self._renderers = {size: Renderer(world, name, *size, fast=True) for size, name in one_of_each.items()}

    @property
    def cameras(self) -> dict[str, Camera]:
        """By name, where they are in the world's present state."""
        world = self._world
        world.update_kinematics()
        mujoco.mj_camlight(world.model, world.data)
        return {name: camera_of(world.model, world.data, name, *size) for name, size in self._sizes.items()}

    def images(self, physics_state: NDArray[np.float64] | None = None) -> dict[str, NDArray[np.uint8]]:
        """RGB images, (height, width, 3), of a state from `World.physics_state`; the present one if not given."""
        state = self._world.data.qpos if physics_state is None else physics_state
        return {name: self._renderers[size].frame(state, name) for name, size in self._sizes.items()}

    def close(self) -> None:
        for renderer in self._renderers.values():
            renderer.close()
