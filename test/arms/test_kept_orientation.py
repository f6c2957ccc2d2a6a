"""Rotations, and that a hand is turned back about the axes that nobody commands, and about no other."""

from __future__ import annotations

import numpy as np
import pytest
from specs import ROMAN

from roman_moe.arms.kept_orientation import CORRECTION_SPEED, MOVED_ON_PURPOSE, KeptOrientation, top_turning_speed
from roman_moe.core.rotation import inverse, product, rotate, rotation_vector, turn_about, unit
from roman_moe.core.spec_parts import ActionSpec
from roman_moe.core.state import POINTING_DOWN, rotated

mujoco = pytest.importorskip("mujoco")
PERIOD = 0.05


def random_quaternion(rng: np.random.Generator) -> np.ndarray:
    return unit_of(rng.normal(size=4))


def unit_of(q: np.ndarray) -> np.ndarray:
    return np.asarray(q / np.linalg.norm(q))


def matrix(q: np.ndarray) -> np.ndarray:
    """MuJoCo's own, to compare with."""
    found = np.zeros(9)
    mujoco.mju_quat2Mat(found, q[[3, 0, 1, 2]])
    return found.reshape(3, 3)


def test_products_inverses_and_turned_vectors_are_those_of_matrices() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b, vector = random_quaternion(rng), random_quaternion(rng), rng.normal(size=3)
        np.testing.assert_allclose(matrix(product(a, b)), matrix(a) @ matrix(b), atol=1e-12)
        np.testing.assert_allclose(matrix(inverse(a)), matrix(a).T, atol=1e-12)
        np.testing.assert_allclose(rotate(a, vector), matrix(a) @ vector, atol=1e-12)


def test_a_rotation_vector_gives_the_rotation_back() -> None:
    rng = np.random.default_rng(1)
    for size in (0.0, 1e-14, 1e-6, 0.5, 3.1):
        axis = unit_of(rng.normal(size=3))
        q = rotated(np.array([0.0, 0.0, 0.0, 1.0]), size * axis)
        np.testing.assert_allclose(rotation_vector(q), size * axis, atol=1e-12)
        np.testing.assert_allclose(rotation_vector(-q), size * axis, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_rotation_is_a_turn_about_an_axis_and_one_about_a_perpendicular_axis(axis: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        q = random_quaternion(rng)
        turn = turn_about(q, axis)
        swing = product(q, inverse(turn))
        assert np.delete(turn[:3], axis) == pytest.approx([0.0, 0.0])
        assert rotation_vector(swing)[axis] == pytest.approx(0.0, abs=1e-12)
        np.testing.assert_allclose(matrix(product(swing, turn)), matrix(q), atol=1e-12)


def test_a_quaternion_that_is_none_is_refused() -> None:
    np.testing.assert_array_equal(unit(np.array([0.0, 0.0, 0.0, 1.005])), [0.0, 0.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="norm 0.5: expected 1"):
        unit(np.array([0.5, 0.0, 0.0, 0.0]))


@pytest.mark.parametrize("turns", [(), (0,), (1,), (2,), (0, 2), (1, 2), (0, 1)])
def test_a_hand_is_turned_back_about_the_axes_that_nobody_commands(turns: tuple[int, ...]) -> None:
    """Whatever the task turns meanwhile: what it has turned stays, what has drifted goes."""
    rng, kept = np.random.default_rng(3), KeptOrientation(turns)
    began = orientation = random_quaternion(rng)
    kept.resume(began)
    orientation = rotated(orientation, np.array([0.05, -0.04, 0.06]))
    commanded = np.zeros(3)
    commanded[list(turns)] = 0.3
    for tick in range(400):
        correction = kept.correction(orientation)
        assert not correction[list(turns)].any()
        orientation = rotated(orientation, PERIOD * (correction + commanded * (tick < 100)))
    error = kept._error(orientation)
    assert np.linalg.norm(error) < 1e-6
    turned = rotation_vector(product(orientation, inverse(began)))
    if not turns:
        np.testing.assert_allclose(turned, 0.0, atol=1e-6)
    elif len(turns) == 1:
        np.testing.assert_allclose(np.delete(turned, turns[0]), 0.0, atol=1e-6)
        assert turned[turns[0]] == pytest.approx(100 * PERIOD * 0.3, abs=0.15)
    else:
        assert np.linalg.norm(turned) > 1.0


def test_a_task_that_turns_about_every_axis_has_nothing_kept() -> None:
    kept = KeptOrientation((0, 1, 2))
    kept.resume(POINTING_DOWN)
    assert not kept.correction(rotated(POINTING_DOWN, np.array([0.1, 0.2, 0.3]))).any()


def test_it_turns_back_no_faster_than_every_servo_can() -> None:
    kept = KeptOrientation(())
    kept.resume(POINTING_DOWN)
    far = rotated(POINTING_DOWN, np.array([0.0, 2.0, 0.0]))
    np.testing.assert_allclose(kept.correction(far), [0.0, -CORRECTION_SPEED, 0.0], atol=1e-12)


def test_a_hand_that_was_moved_on_purpose_stays_as_it_is() -> None:
    kept = KeptOrientation(())
    assert not kept.correction(POINTING_DOWN).any()  # no commands have begun
    kept.resume(POINTING_DOWN)
    little = rotated(POINTING_DOWN, np.array([0.9 * MOVED_ON_PURPOSE, 0.0, 0.0]))
    kept.resume(little)
    assert kept.correction(little)[0] < 0.0
    far = rotated(POINTING_DOWN, np.array([1.1 * MOVED_ON_PURPOSE, 0.0, 0.0]))
    kept.resume(far)
    assert not kept.correction(far).any()


def test_a_hand_turns_as_fast_as_the_task_or_its_keeping_wants() -> None:
    assert top_turning_speed(ROMAN.action) == CORRECTION_SPEED
    fast = ActionSpec(top_speed=0.2, angular=("rx", "ry", "rz"), top_angular_speed=1.0)
    assert top_turning_speed(fast) == pytest.approx(3.0**0.5)
