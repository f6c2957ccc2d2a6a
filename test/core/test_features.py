"""What a network sees and says: names, order and scale, by which every shipped network was trained."""

from pathlib import Path

import numpy as np
import pytest
from specs import FEATURES, FLAGS, LAYOUT, OBJECTS, OBSERVATIONS, ROMAN, SKILLS, TURN_KEY

from roman_moe.core.action import to_command
from roman_moe.core.features import feature_layout, orientation_values
from roman_moe.core.spec import TaskSpec, read_spec
from roman_moe.core.state import POINTING_DOWN, SceneState, rotated, upright, yaw

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


@pytest.fixture(scope="module")
def turn_key(tmp_path_factory: pytest.TempPathFactory) -> TaskSpec:
    file: Path = tmp_path_factory.mktemp("turn_key") / "task.yaml"
    file.write_text(TURN_KEY)
    return read_spec(file)


def turned(spec: TaskSpec, orientations: np.ndarray, **changes) -> SceneState:
    values = {
        "spec": spec,
        "stamp_ns": 0,
        "hand_position": np.array([0.1, 0.2, 0.3]),
        "hand_velocity": np.zeros(3),
        "finger_opening": 0.05,
        "finger_forces": np.array([2.5, 7.0]),
        "object_positions": np.arange(1.0, 13.0).reshape(4, 3),
        "object_orientations": orientations,
        "flags": np.array([True, False]),
    }
    return SceneState(**{**values, **changes})


def about(axis: int, angle: float) -> np.ndarray:
    return rotated(np.array([0.0, 0.0, 0.0, 1.0]), angle * np.eye(3)[axis])


def matrix(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix by the sandwich product, which no code of ours uses."""
    x, y, z, w = quaternion
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + 2.0 * w * skew + 2.0 * skew @ skew


def test_what_turns_has_features_of_its_own_behind_the_positions(turn_key: TaskSpec):
    layout = feature_layout(turn_key)
    behind = layout.names[layout.index["lock.z"] + 1 :]
    assert behind == (
        *("key.yaw_sin", "key.yaw_cos", "peg.yaw_sin", "peg.yaw_cos"),
        *(f"lid.{column}.{axis}" for column in ("x_axis", "y_axis") for axis in "xyz"),
        *("hand.yaw_sin", "hand.yaw_cos", "hand_angular_velocity.z", "locked", "lit", "home_distance"),
    )
    assert layout.observations["turn"] == (
        *layout.names[:8],
        *("hand.yaw_sin", "hand.yaw_cos", "hand_angular_velocity.z"),
        *("key.x", "key.y", "key.z", "key.yaw_sin", "key.yaw_cos", "locked", "home_distance"),
    )
    assert layout.units["hand_angular_velocity.z"] == "rad/s"
    assert layout.units["finger_force.left"] == "5N"
    assert list(layout.objects_of(["key.yaw_sin", "lid.x_axis.x", "locked"])) == [0, 2]


def test_every_feature_has_its_value_in_its_place(turn_key: TaskSpec):
    orientations = upright(4)
    orientations[0], orientations[1], orientations[2] = about(2, 0.3), about(2, 0.2), about(0, 0.7)
    hand = rotated(POINTING_DOWN, np.array([0.0, 0.0, -0.4]))
    state = turned(turn_key, orientations, hand_orientation=hand, hand_angular_velocity=np.array([1.0, 2.0, 3.0]))
    layout = feature_layout(turn_key)
    vector = layout.vector(state)
    assert len(vector) == len(layout) == len(layout.names)
    expected = {
        "finger_force.left": 0.5,
        "finger_force.right": 1.0,
        "lock.z": 12.0,
        "key.yaw_sin": np.sin(0.3),
        "key.yaw_cos": np.cos(0.3),
        "peg.yaw_sin": np.sin(0.8),
        "peg.yaw_cos": np.cos(0.8),  # four of its turns count once
        "lid.x_axis.x": 1.0,
        "lid.x_axis.y": 0.0,
        "lid.y_axis.y": np.cos(0.7),
        "lid.y_axis.z": np.sin(0.7),
        "hand.yaw_sin": np.sin(-0.4),
        "hand.yaw_cos": np.cos(-0.4),
        "hand_angular_velocity.z": 3.0,
        "locked": 1.0,
        "lit": 0.0,
    }
    for name, value in expected.items():
        assert vector[layout.index[name]] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("tilt", [0.0, 0.3])
@pytest.mark.parametrize(("kind", "symmetry"), [("yaw", 1), ("yaw", 2), ("yaw", 4), ("full", 1)])
def test_a_full_turn_has_no_jump_and_the_same_numbers_for_the_same_look(kind: str, symmetry: int, tilt: float):
    """Whatever the sign of the quaternion: q and -q are one orientation."""
    step = 2.0 * np.pi / 1000
    values = []
    for i in range(1001):
        quaternion = rotated(about(0, tilt), np.array([0.0, 0.0, i * step]))
        values.append(orientation_values(quaternion, kind, symmetry))
        np.testing.assert_allclose(orientation_values(-quaternion, kind, symmetry), values[-1], atol=1e-12)
    jumps = np.abs(np.diff(np.array(values), axis=0)).max()
    assert jumps <= symmetry * step * 1.2  # a tilted axis' heading runs unevenly
    np.testing.assert_allclose(values[-1], values[0], atol=1e-9)
    if tilt == 0.0 and symmetry > 1:
        np.testing.assert_allclose(values[1000 // symmetry], values[0], atol=1e-9)
        assert np.abs(np.subtract(values[500 // symmetry], values[0])).max() > 1.0


def test_a_full_orientation_is_two_columns_of_its_rotation_matrix():
    rng = np.random.default_rng(0)
    for quaternion in rng.normal(size=(50, 4)):
        quaternion = quaternion / np.linalg.norm(quaternion)
        columns = np.array(orientation_values(quaternion, "full")).reshape(2, 3)
        np.testing.assert_allclose(columns, matrix(quaternion)[:, :2].T, atol=1e-12)


def test_rotating_a_quaternion_is_rotating_its_matrix():
    rng = np.random.default_rng(1)
    for quaternion, axis in zip(rng.normal(size=(50, 4)), rng.normal(size=(50, 3)), strict=True):
        quaternion, angle = quaternion / np.linalg.norm(quaternion), np.linalg.norm(axis)
        half = np.append(np.sin(angle / 2.0) * axis / angle, np.cos(angle / 2.0))
        expected = matrix(half) @ matrix(quaternion)
        np.testing.assert_allclose(matrix(rotated(quaternion, axis)), expected, atol=1e-12)
    still = np.array([0.0, 0.0, 0.0, 1.0])
    assert rotated(still, np.zeros(3)) is still


def test_a_hand_that_points_down_is_turned_by_what_its_twist_says():
    turning = POINTING_DOWN
    for _ in range(10):
        turning = rotated(turning, np.array([0.0, 0.0, 0.05]))
    assert yaw(turning) - yaw(POINTING_DOWN) == pytest.approx(0.5, abs=1e-12)


def test_angular_actions_are_shares_of_the_top_angular_speed(turn_key: TaskSpec):
    command = to_command(turn_key, 7, np.array([1.0, -0.5, 0.0, -0.25, 1.0]), 0.03)
    np.testing.assert_allclose(command.linear_velocity, [0.1, -0.05, 0.0])
    np.testing.assert_allclose(command.angular_velocity, [0.0, 0.0, -0.5])
    np.testing.assert_array_equal(command.twist, [*command.linear_velocity, *command.angular_velocity])
    assert command.gripper_opening == 0.06
    assert command.moves
    with pytest.raises(ValueError, match=r"shape \(4,\): expected \(5,\)"):
        to_command(turn_key, 7, np.zeros(4), 0.03)
    assert not to_command(ROMAN, 7, np.array([1.0, 0.0, 0.0, 0.0]), 0.03).angular_velocity.any()
