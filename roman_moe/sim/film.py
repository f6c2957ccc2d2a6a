"""Film: moments of a run drawn for people: the scene from close by, and in a corner the gripper from the side."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.sim.render import Renderer
from roman_moe.sim.world import World

CLOSE = "close"
"""Name of the view that is chosen by where the task's objects are."""
OVERVIEW = "overview"  # camera of every scene, whose direction the close view has
ELEVATION = -28.0  # [deg] of the close view
LOWERED = 0.03  # of its distance, the point that it looks at, so that the time line hides nothing
SIDE_ELEVATION, SIDE_DISTANCE = -20.0, 0.32  # [deg], [m] of the view of the gripper
SIDE_DROP = 0.02  # [m] below the point between the fingertips, the middle of that view
INSET, EDGE, MARGIN = 0.34, 2, 22  # of the frame's height; [pixels] in a frame of 720 lines
FRAME = (235, 238, 242)
BEHIND = 0.03  # [m] in front of an object, from where on something hides it

TONES = ((0.93, 0.77, 0.76), (0.70, 0.80, 0.90), (0.78, 0.88, 0.74), (0.94, 0.84, 0.68))
"""Colours of furniture, by body; each is multiplied by the geom's own brightness."""
BRIGHT, GREY = 0.7, 0.08  # least channel and largest difference of channels of what takes a tone


@dataclass(frozen=True, slots=True, eq=False)
class HandMotion:
    """What the hand did in a run of T ticks.

    Attributes:
        speeds: of the point between the fingertips, (T,) [m/s].
        openings: distance between the pads, (T,) [m].
        distances: from that point to the nearest of the task's objects, (T,) [m].
    """

    speeds: NDArray[np.float64]
    openings: NDArray[np.float64]
    distances: NDArray[np.float64]


def hand_motion(world: World, physics_states: NDArray[np.float64]) -> HandMotion:
    """The hand's motion in recorded states, one a tick, (T, any); the world shows the last of them afterwards."""
    places, openings, distances = [], [], []
    for state in physics_states:
        world.set_physics_state(state)
        places.append(world.hand_position.copy())
        openings.append(world.arm.opening(world.data))
        offsets = world.object_positions - places[-1]
        distances.append(np.linalg.norm(offsets, axis=1).min(initial=np.inf))
    steps = np.linalg.norm(np.diff(places, axis=0, prepend=places[:1]), axis=1)
    return HandMotion(world.control_rate * steps, np.array(openings), np.array(distances))


class Film:
    """Draws recorded moments of a world that is its own from now on."""

    def __init__(self, world: World, width: int, height: int, camera: str = CLOSE) -> None:
        """Make it in the thread that uses it.

        Args:
            width: of the frames [pixels].
            height: likewise.
            camera: name of one of the scene's cameras, or `CLOSE`.

        Raises:
            ConfigError: if there is no such camera.
            MissingDependencyError: if no OpenGL library can be loaded.
        """
        buffer = world.model.vis.global_
        buffer.offwidth, buffer.offheight = max(buffer.offwidth, width), max(buffer.offheight, height)
        self._world, self._size = world, (width, height)
        self._unit = height / 720.0
        self._view = close_view(world) if camera == CLOSE else camera
        self._azimuth = _azimuth(world.model)
        side = round(INSET * height)
        self._main = Renderer(world, OVERVIEW if camera == CLOSE else camera, width, height)
        self._inset = Renderer(world, OVERVIEW, side, side, fast=True)
        for renderer in (self._main, self._inset):
            renderer.tint(furniture_tones(world))

    def frame(self, physics_state: NDArray[np.float64]) -> NDArray[np.uint8]:
        """(height, width, 3) RGB, the gripper in the upper right corner."""
        frame = self._main.frame(physics_state, self._view)
        self._world.set_physics_state(physics_state)
        inset = self._inset.frame(physics_state, self._side_view())
        edge, top = max(1, round(EDGE * self._unit)), round(MARGIN * self._unit)
        bottom, right = top + len(inset), self._size[0] - top
        left = right - len(inset)
        frame[top - edge : bottom + edge, left - edge : right + edge] = FRAME
        frame[top:bottom, left:right] = inset
        return frame

    def locate(self, physics_state: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Where the task's n objects are in the last frame, (n, 2) [pixels], and whether something hides each, (n,)."""
        world, scene = self._world, self._main.scene
        world.set_physics_state(physics_state)
        eye = np.mean([camera.pos for camera in scene.camera], axis=0)  # between two for stereo
        forward, up = scene.camera[0].forward, scene.camera[0].up
        offsets = world.object_positions - eye
        depths = np.maximum(offsets @ forward, 1e-6)
        half = scene.camera[0].frustum_top / scene.camera[0].frustum_near  # of the picture's height, at a depth of 1
        width, height = self._size
        across, upward = offsets @ np.cross(forward, up) / depths, offsets @ up / depths
        pixels = np.column_stack([0.5 * width + 0.5 * height * across / half, 0.5 * height * (1.0 - upward / half)])
        return pixels, np.array([self._hides(eye.astype(float), offset.astype(float)) for offset in offsets])

    def _hides(self, eye: NDArray[np.float64], offset: NDArray[np.float64]) -> bool:
        distance = float(np.linalg.norm(offset))
        hit = np.zeros(1, np.int32)
        met = mujoco.mj_ray(self._world.model, self._world.data, eye, offset / distance, None, True, -1, hit)
        return 0.0 <= met < distance - BEHIND

    def _side_view(self) -> mujoco.MjvCamera:
        view = mujoco.MjvCamera()
        view.lookat[:] = self._world.hand_position - [0.0, 0.0, SIDE_DROP]
        view.azimuth, view.elevation, view.distance = self._azimuth, SIDE_ELEVATION, SIDE_DISTANCE
        return view

    def close(self) -> None:
        self._main.close()
        self._inset.close()


def close_view(world: World) -> mujoco.MjvCamera:
    """A view from the overview's side that objects and home, as the model has them, fill."""
    model = world.model
    world.set_physics_state(model.qpos0)
    points = np.vstack([world.object_positions, world.task.spec.home.position])
    low, high = points.min(axis=0), points.max(axis=0)
    view = mujoco.MjvCamera()
    view.azimuth, view.elevation = _azimuth(model), ELEVATION
    view.distance = 0.5 * np.linalg.norm(high - low) / np.sin(0.5 * np.radians(model.vis.global_.fovy))
    view.lookat[:] = 0.5 * (low + high) - [0.0, 0.0, LOWERED * view.distance]
    return view


def _azimuth(model: mujoco.MjModel) -> float:
    """Direction in which the overview looks, about the vertical [deg]."""
    back = model.cam_mat0[model.camera(OVERVIEW).id].reshape(3, 3)[:, 2]
    return float(np.degrees(np.arctan2(-back[1], -back[0])))


def furniture_tones(world: World) -> dict[int, NDArray[np.float32]]:
    """RGB of each geom of furniture in a bright grey: a tone for each body, so that none looks like the arm."""
    model = world.model
    bodies: dict[int, int] = {}
    tones = {}
    for geom in np.flatnonzero((model.geom_bodyid > 0) & ~world.is_arm_geom).tolist():
        material = model.geom_matid[geom]
        own = (model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom])[:3]
        if own.min() >= BRIGHT and np.ptp(own) <= GREY:
            number = bodies.setdefault(int(model.body_rootid[model.geom_bodyid[geom]]), len(bodies))
            tones[geom] = (own.mean() * np.array(TONES[number % len(TONES)])).astype(np.float32)
    return tones
