"""A scene's cameras: what is said of them is what they draw."""

from __future__ import annotations

from contextlib import closing

import mujoco
import numpy as np
import pytest
from worlds import TASK

from roman_moe.core.errors import MissingDependencyError
from roman_moe.sim.cameras import SceneCameras, camera_of
from roman_moe.sim.render import Renderer
from roman_moe.sim.world import World

SCENE = """
<mujoco>
  <visual><headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/><map znear="0.01"/></visual>
  <worldbody>
    <camera name="turned" pos="0.3 0.2 1" fovy="50" euler="10 20 30"/>
    <camera name="near" pos="0 0.05 0.5" fovy="75" euler="15 -18 60"/>
    <camera name="off_centre" pos="0 0 1" resolution="320 240" sensorsize="0.0032 0.0024" focal="0.003 0.0032"
            principal="0.0002 -0.0001"/>
    <geom type="sphere" size="0.008" pos="0.05 0.1 0" rgba="1 1 1 1"/>
  </worldbody>
</mujoco>
"""
SPHERE = np.array([[0.05, 0.1, 0.0]])


class _Scene:
    """As much of a world as a renderer needs."""

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(SCENE)
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)


def _renderer(world, *arguments, **options):
    try:
        return Renderer(world, *arguments, **options)
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (200, 300)])
@pytest.mark.parametrize("name", ["turned", "near", "off_centre"])
def test_a_sphere_is_drawn_where_it_projects_to(name, size):
    """To 0.1 pixel. Drawn at five times the size: without smooth edges a small disc's centroid is no better."""
    scene = _Scene()
    drawn = tuple(5 * each for each in size)
    scene.model.vis.global_.offwidth, scene.model.vis.global_.offheight = drawn
    with closing(_renderer(scene, name, *drawn, fast=True)) as renderer:
        v, u = np.nonzero(renderer.frame(scene.data.qpos)[:, :, 1] > 100)
    centroid = (np.array([u.mean(), v.mean()]) + 0.5) / 5 - 0.5
    camera = camera_of(scene.model, scene.data, name, *size)
    pixels, depths = camera.project(SPHERE)
    assert pixels[0] == pytest.approx(centroid, abs=0.1)
    assert depths[0] > 0.0


def test_a_tasks_cameras_draw_the_present_state_at_their_own_sizes():
    world = World(TASK)
    world.reset(TASK.start(2), np.random.default_rng(0))
    try:
        cameras = SceneCameras(world)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with closing(cameras):
        images = cameras.images()
        assert list(images) == list(cameras.cameras) == list(TASK.spec.cameras)
        for name, camera in cameras.cameras.items():
            assert images[name].shape == (camera.height, camera.width, 3)
            assert images[name].std() > 10.0
    assert world.model.vis.quality.offsamples == 4  # a video's edges are as smooth as before
