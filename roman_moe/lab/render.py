"""Pictures of the lab, drawn without a display from recorded states or the present one."""

from __future__ import annotations

import os
import sys

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError, MissingDependencyError
from roman_moe.lab.lab import Lab

CAMERAS = ("overview", "left", "right")
"""`left` and `right` are the fixed RGB cameras that between them see every object; `overview` is for people."""


class Renderer:
    """Draws one camera's view of a lab.

    The lab is only a source of the model here: drawing a recorded state never touches its own.
    """

    def __init__(self, lab: Lab, camera: str, width: int, height: int) -> None:
        """`width`, `height`: of the pictures [pixels].

        Raises:
            ConfigError: if there is no such camera.
            MissingDependencyError: if no OpenGL library can be loaded.
        """
        if camera not in CAMERAS:
            raise ConfigError(f"unknown camera {camera!r}: expected one of {', '.join(CAMERAS)}")
        if sys.platform == "linux" and not os.environ.get("DISPLAY"):
            os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo's own default needs a display
        self._model, self._data, self._camera = lab.model, mujoco.MjData(lab.model), camera
        try:
            self._renderer = mujoco.Renderer(self._model, height=height, width=width)
        except Exception as error:  # each of MuJoCo's GL backends raises its own kinds
            raise MissingDependencyError(
                f"no OpenGL for drawing ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}): install "
                "libegl1 and libgl1-mesa-dri (Debian, Ubuntu), or libosmesa6 and set MUJOCO_GL=osmesa"
            ) from error

    def frame(self, physics_state: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Picture of a state from `Lab.physics_state`, (height, width, 3) RGB."""
        self._data.qpos[:] = physics_state
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)  # lights and cameras hang on these
        mujoco.mj_camlight(self._model, self._data)
        self._renderer.update_scene(self._data, camera=self._camera)
        picture: NDArray[np.uint8] = self._renderer.render()
        return picture

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
