"""Film: the scene from close by with the gripper in its corner, where its objects are, and furniture in tones."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from worlds import TASK, roman_world

from roman_moe.core.errors import ConfigError, MissingDependencyError
from roman_moe.sim.film import Film, furniture_tones, hand_motion
from roman_moe.sim.render import Renderer

WIDTH, HEIGHT = 320, 176


@pytest.fixture(scope="module")
def state():
    lab = roman_world()
    lab.reset(TASK.start("pull"), np.random.default_rng(0))
    return lab.physics_state()


def film(camera: str = "close") -> Film:
    try:
        return Film(roman_world(), WIDTH, HEIGHT, camera)
    except MissingDependencyError as error:
        pytest.skip(str(error))


def test_every_object_lies_in_the_close_view_where_it_is_said_to_be(state):
    lab = roman_world()
    with closing(film()) as close:
        close.frame(state)
        places, hidden = close.locate(state)
        assert ((places > 0) & (places < [WIDTH, HEIGHT])).all()
        index = list(TASK.spec.objects).index("button")
        across, down = np.rint(places[index]).astype(int)
        red, green, blue = close.frame(state)[down, across].astype(int)
    assert red > 2 * max(green, blue)
    inside = {name for name, behind in zip(TASK.spec.objects, hidden, strict=True) if behind}
    assert {"rack", "vial"} <= inside
    assert not inside & {"drop_zone", "door_handle", "drawer_handle", "button", "rack_target", "conveyor_end"}
    np.testing.assert_array_equal(lab.model.qpos0, roman_world().model.qpos0)


def test_the_corner_follows_the_hand(state):
    lab = roman_world()
    lab.set_physics_state(state)
    moved = state.copy()
    moved[lab.arm.joints.start] += 0.8
    with closing(film("left")) as side:
        one, other = side.frame(state).astype(int), side.frame(moved).astype(int)
    middle = (slice(12, 30), slice(WIDTH - 44, WIDTH - 26))  # of the corner, where the fingers are
    fingers = [(image[middle].max(axis=-1) < 90).mean() for image in (one, other)]
    assert min(fingers) > 0.1


def test_furniture_has_tones_of_its_own_and_what_cameras_see_has_not(state):
    lab = roman_world()
    before = lab.model.mat_rgba.copy(), lab.model.geom_rgba.copy()
    tones = furniture_tones(lab)
    roots = {int(lab.model.body_rootid[lab.model.geom_bodyid[geom]]) for geom in tones}
    assert roots == {lab.model.body(name).id for name in ("drawer_unit", "cabinet", "pedestal")}
    assert not any(lab.is_arm_geom[geom] for geom in tones)
    with closing(film("left")) as tinted, closing(Renderer(roman_world(), "left", WIDTH, HEIGHT)) as plain:
        image, own = tinted.frame(state).astype(int), plain.frame(state).astype(int)
    assert (np.abs(image - own).max(axis=2) > 20)[:, : WIDTH // 2].mean() > 0.01
    for array, now in zip(before, (lab.model.mat_rgba, lab.model.geom_rgba), strict=True):
        np.testing.assert_array_equal(array, now)


def test_the_hands_motion_is_read_from_recorded_states(state):
    lab = roman_world()
    lab.set_physics_state(state)
    moved = state.copy()
    moved[lab.arm.fingers] += 0.01
    motion = hand_motion(lab, np.array([state, moved, state]))
    assert motion.speeds == pytest.approx(0.0, abs=1e-9)
    assert motion.openings[1] == pytest.approx(motion.openings[0] + 0.02)
    assert motion.distances == pytest.approx(
        np.linalg.norm(lab.object_positions - lab.hand_position, axis=1).min(), abs=1e-9
    )


def test_an_unknown_camera_is_refused():
    with pytest.raises(ConfigError, match="unknown camera 'top'"):
        film("top")
