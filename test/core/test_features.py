"""What a network sees and says: names, order and scale, by which every shipped network was trained."""

import numpy as np
import pytest
from specs import FEATURES, FLAGS, LAYOUT, OBJECTS, OBSERVATIONS, ROMAN, SKILLS

from roman_moe.core.action import to_command
from roman_moe.core.state import SceneState

ORDER = """
hand_position.x hand_position.y hand_position.z hand_velocity.x hand_velocity.y hand_velocity.z
finger_force.left finger_force.right finger_opening
drawer_handle.x drawer_handle.y drawer_handle.z cover.x cover.y cover.z drop_zone.x drop_zone.y drop_zone.z
door_handle.x door_handle.y door_handle.z rack.x rack.y rack.z rack_target.x rack_target.y rack_target.z
vial.x vial.y vial.z conveyor_end.x conveyor_end.y conveyor_end.z button.x button.y button.z
button_pressed home_distance
""".split()  # noqa: SIM905 (a list of 38 lines reads no better)

HAND = ORDER[:8]
SEEN = {
    "pull": ("drawer_handle",),
    "pick_and_drop": ("cover", "drop_zone"),
    "rotate_open": ("door_handle",),
    "pick_and_place": ("rack", "rack_target"),
    "pick_and_insert": ("vial", "rack"),
    "push": ("rack", "conveyor_end"),
    "button": ("button", "button_pressed"),
    "monolithic": (*OBJECTS, "button_pressed"),
    "gate": ("drawer_handle", "cover", "door_handle", "rack", "vial", "button", "button_pressed"),
}
WIDTHS = {"pull": 12, "rotate_open": 12, "button": 13, "gate": 28, "monolithic": 37}
"""ROMAN's dimensions of its networks (public code); our monolithic network's."""


def state(**changes) -> SceneState:
    """A scene of numbers that are all different."""
    values = {
        "spec": ROMAN,
        "stamp_ns": 0,
        "hand_position": np.array([0.1, 0.2, 0.3]),
        "hand_velocity": np.array([0.01, 0.02, 0.03]),
        "finger_opening": 0.05,
        "finger_forces": np.array([0.25, 0.75]),
        "object_positions": np.arange(1.0, 28.0).reshape(9, 3),
        "flags": np.array([True]),
    }
    return SceneState(**{**values, **changes})


def test_features_have_their_names_order_and_units():
    assert list(FEATURES) == ORDER
    distance = np.sqrt(0.36**2 + 0.2**2 + 0.01**2)  # from home, (0.46, 0, 0.31)
    expected = [0.1, 0.2, 0.3, 0.01, 0.02, 0.03, 0.25, 0.75, 0.05, *range(1, 28), 1.0, distance]
    np.testing.assert_allclose(LAYOUT.vector(state()), expected, rtol=1e-15)
    np.testing.assert_array_equal(ROMAN.home.position, [0.46, 0.0, 0.31])
    assert tuple(dict.fromkeys(name.split(".")[0] for name in ORDER[9:36])) == OBJECTS
    assert FLAGS == ("button_pressed",)


def test_finger_forces_saturate_at_one_newton_and_flags_are_numbers():
    vector = LAYOUT.vector(state(finger_forces=np.array([0.999, 30.0]), flags=np.array([False])))
    np.testing.assert_array_equal(vector[[6, 7, 36]], [0.999, 1.0, 0.0])


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_each_network_sees_what_romans_does_in_its_order(name):
    objects = [feature for thing in SEEN[name] for feature in ORDER if feature.split(".")[0] == thing]
    assert list(OBSERVATIONS[name]) == [*HAND, *objects, "home_distance"]
    assert len(OBSERVATIONS[name]) == WIDTHS.get(name, 15)
    assert [FEATURES[i] for i in LAYOUT.indices(OBSERVATIONS[name])] == list(OBSERVATIONS[name])


def test_every_network_is_here():
    assert set(OBSERVATIONS) == set(SEEN) == {*SKILLS, "gate", "monolithic"}


def test_skills_have_their_order():
    assert SKILLS == ("pull", "pick_and_drop", "rotate_open", "pick_and_place", "pick_and_insert", "push", "button")


def test_an_action_of_one_is_the_top_speed_and_more_is_not():
    command = to_command(ROMAN, 7, np.array([1.0, -0.5, 1.001, 0.0]), 0.03)
    np.testing.assert_allclose(command.linear_velocity, [0.20, -0.10, 0.20], rtol=1e-15)
    assert (command.stamp_ns, command.gripper_opening) == (7, 0.03)


@pytest.mark.parametrize(
    ("action", "opening"), [(1, 0.08), (0.501, 0.08), (0.499, 0.03), (-0.499, 0.03), (-0.501, 0.0)]
)
def test_the_gripper_opens_and_closes_beyond_half_an_action(action, opening):
    assert to_command(ROMAN, 0, np.array([0.0, 0.0, 0.0, action]), 0.03).gripper_opening == opening
