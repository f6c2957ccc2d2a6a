"""Pictures: every camera shows the lab, and the two fixed ones between them every object."""

from contextlib import closing

import numpy as np
import pytest
from specs import OBJECTS
from worlds import TASK, roman_world

from roman_moe.core.errors import ConfigError, MissingDependencyError
from roman_moe.sim.render import Renderer


@pytest.fixture(scope="module")
def lab():
    lab = roman_world()
    lab.reset(TASK.start(2), np.random.default_rng(0))
    return lab


def renderer(lab, camera, width=160, height=120):
    try:
        return Renderer(lab, camera, width, height)
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("camera", ("overview", "left", "right"))
def test_a_camera_shows_the_recorded_moment_and_leaves_the_lab_alone(lab, camera):
    before = lab.physics_state()
    moved = before.copy()
    moved[:3] += 0.3
    with closing(renderer(lab, camera)) as drawing:
        one, other, again = (drawing.frame(state) for state in (before, moved, before))
    assert (one.shape, one.dtype) == ((120, 160, 3), np.uint8)
    assert one.std() > 10.0
    assert (one != other).mean() > 0.01
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(lab.physics_state(), before)


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_lies_in_the_picture_of_a_fixed_camera(lab, name):
    def in_picture(camera, aspect=4 / 3, margin=0.95):
        view = lab.data.camera(camera)
        right, up, back = view.xmat.reshape(3, 3).T
        offset = lab.state.position(name) - view.xpos
        depth = -offset @ back
        half = np.tan(np.radians(lab.model.camera(camera).fovy[0]) / 2)
        return (
            depth > 0
            and abs(offset @ up) < margin * half * depth
            and abs(offset @ right) < margin * half * aspect * depth
        )

    assert in_picture("left")
    assert in_picture("right")


def test_an_unknown_camera_is_refused_with_what_there_is(lab):
    with pytest.raises(ConfigError, match="unknown camera 'top'.*overview, left, right"):
        Renderer(lab, "top", 8, 8)
