"""Pictures of a world, drawn without a display from recorded states or the present one."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError, MissingDependencyError, one_line
from roman_moe.sim.world import World


class Renderer:
    """Draws cameras' views of a world.

    The world is only a source of the model here: drawing a recorded state never touches its own.
    """

    def __init__(self, world: World, camera: str, width: int, height: int, fast: bool = False) -> None:
        """Make it in the thread that uses it.

        Args:
            camera: whose view is drawn unless another one is named.
            width: of the pictures [pixels].
            height: likewise.
            fast: without shadows and smooth edges: a tenth of the time where no GPU helps.

        Raises:
            ConfigError: if there is no such camera.
            MissingDependencyError: if no OpenGL library can be loaded.
        """
        known = cameras(world)
        if camera not in known:
            raise ConfigError(f"unknown camera {camera!r}: expected one of {', '.join(known)}")
        self._model, self._data, self._camera = world.model, mujoco.MjData(world.model), camera
        with _drawn_fast(self._model, width, height) if fast else contextlib.nullcontext():
            self._renderer = open_renderer(self._model, width, height)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False  # one more drawing for a faint gleam
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] &= not fast
        self._tones: dict[int, NDArray[np.float32]] = {}

    def tint(self, tones: Mapping[int, NDArray[np.float32]]) -> None:
        """Draw geoms, by their ids, in other colours, RGB from 0 to 1; the model keeps its own."""
        self._tones = dict(tones)

    def frame(self, physics_state: NDArray[np.float64], camera: str | mujoco.MjvCamera = "") -> NDArray[np.uint8]:
        """Picture of a state from `World.physics_state`, (height, width, 3) RGB."""
        self._data.qpos[:] = physics_state
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)  # lights and cameras hang on these
        mujoco.mj_camlight(self._model, self._data)
        self._renderer.update_scene(self._data, camera=camera or self._camera)
        scene = self._renderer.scene
        for geom in scene.geoms[: scene.ngeom] if self._tones else ():
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and geom.objid in self._tones:
                geom.rgba[:3] = self._tones[geom.objid]
        picture: NDArray[np.uint8] = self._renderer.render()
        return picture

    @property
    def scene(self) -> mujoco.MjvScene:
        """What was drawn last, its camera included."""
        return self._renderer.scene

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()


def open_renderer(model: mujoco.MjModel, width: int, height: int) -> mujoco.Renderer:
    """MuJoCo's renderer of pictures of this size [pixels], for the thread that calls this.

    Raises:
        MissingDependencyError: if no OpenGL library can be loaded.
    """
    try:
        _draw_without_display()
        return mujoco.Renderer(model, height=height, width=width)
    except Exception as error:  # each of MuJoCo's GL backends raises its own kinds
        raise MissingDependencyError(
            f"no OpenGL for drawing ({type(error).__name__}: {one_line(error)}): install "
            "libegl1 and libgl1-mesa-dri (Debian, Ubuntu), or libosmesa6 and set MUJOCO_GL=osmesa"
        ) from error


def cameras(world: World) -> tuple[str, ...]:
    """Names of the scene's cameras; `overview` is for people."""
    return tuple(world.model.camera(i).name for i in range(world.model.ncam))


@contextlib.contextmanager
def _drawn_fast(model: mujoco.MjModel, width: int, height: int) -> Iterator[None]:
    """A model whose renderers, made meanwhile, neither smooth edges nor have room for shadows or larger pictures."""
    quality, picture = model.vis.quality, model.vis.global_
    before = quality.offsamples, quality.shadowsize, picture.offwidth, picture.offheight
    quality.offsamples, quality.shadowsize, picture.offwidth, picture.offheight = 0, 0, width, height
    try:
        yield
    finally:
        quality.offsamples, quality.shadowsize, picture.offwidth, picture.offheight = before


def _draw_without_display() -> None:
    """Let MuJoCo use EGL where nobody chose otherwise and there is no display, which its own default needs.

    MuJoCo reads the choice when it is imported. Choosing only here, where something is to be drawn, leaves machines
    without any GL library able to do all the rest.
    """
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("MUJOCO_GL"):
        return
    os.environ["MUJOCO_GL"] = "egl"
    for name in ("mujoco.rendering.classic.gl_context", "mujoco.gl_context"):  # MuJoCo 4, MuJoCo 3
        if name in sys.modules:
            importlib.reload(sys.modules[name])
