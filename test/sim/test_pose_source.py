"""The source "truth": ROMAN's noise, whose level is the clip bound, and errors that are constant over an episode."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import OBJECTS, ROMAN

from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState, upright, yaw
from roman_moe.sim.pose_source import NOISE_ARM, TruthPoses, TruthSensor
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.streams import Streams
from roman_moe.sim.world import World

KITTING = load_sim_task("kitting").spec


def scene(spec=ROMAN):
    rng = np.random.default_rng(1)
    return SceneState(
        spec=spec,
        stamp_ns=50_000_000,
        hand_position=rng.random(3),
        hand_velocity=rng.random(3),
        finger_opening=0.03,
        finger_forces=rng.random(2),
        object_positions=rng.random((len(spec.objects), 3)),
        flags=np.zeros(len(spec.flags), bool),
    )


def draws(poses, count=4000, seed=0):
    state, sensor = scene(), TruthSensor(poses, ROMAN, Streams.of_seed(seed))
    return np.array([sensor.measure(state).object_positions - state.object_positions for _ in range(count)])


@given(bound=st.floats(0.0, 0.05), seed=st.integers(0, 2**32 - 1))
def test_clipped_noise_never_passes_its_bound(bound, seed):
    assert np.abs(draws(TruthPoses(bound), 20, seed)).max() <= bound + 1e-12


def test_sigma_is_a_third_of_the_level_and_white():
    noise = draws(TruthPoses(0.006))
    assert noise.std() == pytest.approx(0.002, rel=0.02)
    assert abs(noise.mean()) < 1e-4
    flat = noise.reshape(len(noise), -1)
    correlation = np.corrcoef(flat.T) - np.eye(flat.shape[1])
    assert np.abs(correlation).max() < 0.1
    assert abs(np.corrcoef(flat[:-1, 0], flat[1:, 0])[0, 1]) < 0.06


def test_gaussian_noise_has_tails_that_clipped_noise_has_not():
    assert np.abs(draws(TruthPoses(0.006, "gaussian"))).max() > 0.006


def test_only_object_positions_change():
    state = scene()
    noisy = TruthSensor(TruthPoses(0.01), ROMAN, Streams.of_seed(0)).measure(state)
    for name in ("hand_position", "hand_velocity", "finger_forces", "flags", "object_valid", "object_ages"):
        np.testing.assert_array_equal(getattr(noisy, name), getattr(state, name))
    assert (noisy.stamp_ns, noisy.finger_opening) == (state.stamp_ns, state.finger_opening)


def offsets(poses: TruthPoses, seed: int = 0, count: int = 5, spec: TaskSpec = ROMAN) -> tuple[np.ndarray, np.ndarray]:
    """Of objects at random places: errors of positions, (count, n, 3), and of angles about the vertical, (count, n)."""
    state, sensor = scene(spec), TruthSensor(poses, spec, Streams.of_seed(seed))
    seen = [sensor.measure(state) for _ in range(count)]
    moved = np.array([each.object_positions - state.object_positions for each in seen])
    return moved, np.array([[yaw(q) for q in each.object_orientations] for each in seen])


def test_a_bias_is_one_offset_an_object_for_the_whole_episode_and_anew_in_the_next():
    (first, *others), _ = offsets(TruthPoses(bias_bound=0.01))
    np.testing.assert_allclose(others, [first] * len(others), atol=1e-15)
    assert len(np.unique(first.round(6))) == first.size
    assert np.abs(offsets(TruthPoses(bias_bound=0.01), seed=1)[0][0] - first).max() > 1e-3


def test_offsets_are_uniform_in_a_ball():
    lengths = np.linalg.norm([offsets(TruthPoses(bias_bound=0.01), seed, 1)[0][0] for seed in range(400)], axis=2)
    assert lengths.max() <= 0.01
    for share in (0.05, 0.5, 0.95):  # the share within a radius grows as its cube
        assert np.quantile(lengths, share) == pytest.approx(0.01 * share ** (1 / 3), rel=0.05)


def test_a_bias_leaves_the_noise_as_it_is_and_scales_with_its_bound():
    noise, few, many = (offsets(TruthPoses(0.005, bias_bound=bound))[0] for bound in (0.0, 0.004, 0.008))
    np.testing.assert_allclose(many - noise, 2.0 * (few - noise), atol=1e-15)
    assert np.abs(noise).max() > 1e-3
    assert np.linalg.norm((few - noise)[0], axis=1).max() <= 0.004


def test_of_a_turned_object_the_angle_is_off_as_much_as_a_position():
    angles = np.array([offsets(TruthPoses(bias_bound=0.01), seed, 3, KITTING)[1] for seed in range(200)])
    assert np.ptp(angles, axis=1).max() < 1e-12
    (turned,) = np.nonzero(np.abs(angles).max(axis=(0, 1)))
    assert [list(KITTING.objects.values())[i].orientation for i in turned] == ["yaw"] * len(turned) != []
    assert 0.98 * 0.01 / NOISE_ARM < np.abs(angles).max() <= 0.01 / NOISE_ARM + 1e-12


def test_without_constant_errors_nothing_is_drawn_from_a_stream_that_several_uses_share():
    rng = np.random.default_rng(3)
    TruthSensor(TruthPoses(0.01), ROMAN, Streams.shared(rng))
    assert rng.random() == np.random.default_rng(3).random()


def test_a_calibration_error_turns_and_shifts_all_objects_about_the_camera():
    camera, state = np.array([0.3, -0.9, 0.8]), scene(KITTING)
    places = camera + np.resize(np.vstack([np.zeros(3), np.eye(3)]), (len(KITTING.objects), 3))
    poses = dataclasses.replace(state.poses, positions=places, orientations=upright(len(places)))

    def seen(**errors: float) -> np.ndarray:
        return TruthSensor(TruthPoses(**errors), KITTING, Streams.of_seed(4), [camera]).measure_poses(poses).positions

    shifted, turned = seen(translation_error=0.005), seen(rotation_error=0.5)
    np.testing.assert_allclose(np.linalg.norm(shifted - places, axis=1), 0.005)
    assert np.ptp(shifted - places, axis=0).max() < 1e-12
    np.testing.assert_allclose(turned[0], camera, atol=1e-12)
    rotation = (turned[1:4] - camera).T
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.degrees(np.arccos(0.5 * (np.trace(rotation) - 1.0))) == pytest.approx(0.5, rel=1e-4)
    np.testing.assert_allclose(seen(rotation_error=0.5, translation_error=0.005), turned + shifted - places)


def test_each_camera_of_the_task_has_the_calibration_error_in_some_episode():
    world = World(load_sim_task("roman"))
    state = world.reset(world.task.start("push"), np.random.default_rng(0))
    nearest = set()
    for seed in range(12):
        sensor = TruthPoses(rotation_error=1.0).open(world, Streams.of_seed(seed))
        at_cameras = {name: world.data.camera(name).xpos.copy() for name in ROMAN.cameras}
        for name, place in at_cameras.items():
            there = state.with_objects(np.tile(place, (len(OBJECTS), 1)))
            if np.allclose(sensor.measure(there).object_positions, place, atol=1e-9):
                nearest.add(name)
    assert nearest == set(ROMAN.cameras)


def test_a_calibration_error_without_a_camera_is_refused():
    task = load_sim_task("roman")
    bare = type(task)(dataclasses.replace(task.spec, cameras={}), task.folder, task.skills)
    with pytest.raises(ConfigError, match=r"task roman has no cameras: .* task.yaml"):
        TruthPoses(translation_error=0.01).open(World(bare), Streams.of_seed(0))


@pytest.mark.parametrize("name", ["bias_bound", "rotation_error", "translation_error"])
def test_an_error_that_is_no_length_or_angle_is_refused(name):
    with pytest.raises(ConfigError, match=f"{name} is -0.1: expected 0 or more"):
        TruthPoses(**{name: -0.1})


@pytest.mark.parametrize("bound", (-0.001, float("nan"), float("inf")))
def test_a_bound_that_is_no_length_is_refused(bound):
    with pytest.raises(ConfigError, match="noise_bound is "):
        TruthPoses(bound)


def test_an_unknown_kind_is_refused_with_what_there_is():
    with pytest.raises(ConfigError, match="'uniform'.*clipped, gaussian"):
        TruthPoses(0.005, "uniform")
