"""Markers in the scene: seen where they are, decoded, and without any effect on physics."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from roman_moe.bench.markers import measure
from roman_moe.core.action import Command
from roman_moe.core.errors import MissingDependencyError
from roman_moe.core.rotation import matrix
from roman_moe.perception.markers import IMAGE, MarkerEstimator
from roman_moe.sim.cameras import SceneCameras
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.world import World
from roman_moe.tasks.roman.layout import put_vial
from roman_moe.tasks.roman.pick_and_insert import HOLE

TASKS = ("roman", "kitting")


def estimated(name, start, seed):
    """The world, its cameras and their images."""
    world = World(load_sim_task(name), markers=True)
    state = world.reset(world.task.start(start), np.random.default_rng(seed))
    try:
        cameras = SceneCameras(world, dict.fromkeys(world.task.spec.cameras, IMAGE))
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with contextlib.closing(cameras):
        return state, MarkerEstimator(world.task.spec, cameras.cameras), cameras.images()


@pytest.mark.parametrize("name", TASKS)
def test_markers_change_nothing_of_physics(name):
    """To the last bit: with contacts, since things come to rest and the hand moves."""
    task = load_sim_task(name)
    worlds = [World(task, markers=markers) for markers in (False, True)]
    states = [world.reset(task.start(0), np.random.default_rng(0)) for world in worlds]
    assert worlds[1].model.ngeom > worlds[0].model.ngeom
    for tick in range(40):
        command = Command(states[0].stamp_ns, np.array([0.1, 0.05, -0.1]) * (tick < 30), 0.0)
        states = [world.step(command) for world in worlds]
        np.testing.assert_array_equal(worlds[0].data.qpos, worlds[1].data.qpos)
        np.testing.assert_array_equal(worlds[0].data.qvel, worlds[1].data.qvel)


@pytest.mark.parametrize("name", TASKS)
def test_decoded_corners_are_where_the_markers_project_to(name):
    """Within half a pixel in the middle, and two at most: at the edge of an image's contrast."""
    state, finder, images = estimated(name, 2 if name == "roman" else 0, 0)
    away, decoded = [], set()
    for camera, image in images.items():
        for view in finder.views(camera, image):
            row = state.spec.object_index[view.owner]
            pose = state.object_positions[row], state.object_orientations[row]
            pixels, _ = view.camera.project(placed(view.points, *pose))
            away.append(np.linalg.norm(view.pixels - pixels, axis=1))
            decoded.add(view.owner)
    assert np.median(away) < 0.5
    assert np.percentile(away, 95) < 2.0
    assert len(decoded) >= len(state.spec.objects) - 1


@pytest.mark.parametrize(("name", "starts"), [("roman", 3), ("kitting", 2)])
def test_poses_are_within_3_mm_of_the_truth(name, starts):
    try:
        figures = measure(name, starts)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    assert figures["median_mm"] < 3.0
    assert figures["p95_mm"] < 10.0
    assert figures["inside"] > 0.85
    assert sum(each["seen"] > 0.0 for each in figures["objects"].values()) >= len(figures["objects"]) - 3


def test_markers_of_the_rack_and_of_the_vial_in_it_do_not_hide_each_other():
    """In the hole that is filled: with the hand above it, one flag of the vial is all that is seen of it."""
    world = World(load_sim_task("roman"), markers=True)
    world.reset(world.task.start("push"), np.random.default_rng(0))
    rack, hole = world.site("rack"), world.site("hole_6")
    np.testing.assert_allclose((hole - rack)[:2], HOLE, atol=1e-3)
    put_vial(world, "hole_6")
    try:
        cameras = SceneCameras(world, dict.fromkeys(world.task.spec.cameras, IMAGE))
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with contextlib.closing(cameras):
        finder = MarkerEstimator(world.task.spec, cameras.cameras)
        views = [view for name, image in cameras.images().items() for view in finder.views(name, image)]
    seen = {(view.camera.name, view.marker) for view in views}
    assert {("left", 26), ("right", 26), ("left", 15), ("right", 15)} <= seen


def placed(points, position, orientation):
    return points @ matrix(orientation).T + position
