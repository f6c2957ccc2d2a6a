"""Noise: ROMAN's level is the clip bound and sigma a third of it; only object positions are touched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import FLAGS, OBJECTS, ROMAN

from roman_moe.core.errors import ConfigError
from roman_moe.core.state import SceneState
from roman_moe.sim.episode import Streams
from roman_moe.sim.pose_source import TruthPoses, TruthSensor


def scene():
    rng = np.random.default_rng(1)
    return SceneState(
        spec=ROMAN,
        stamp_ns=50_000_000,
        hand_position=rng.random(3),
        hand_velocity=rng.random(3),
        finger_opening=0.03,
        finger_forces=rng.random(2),
        object_positions=rng.random((len(OBJECTS), 3)),
        flags=np.zeros(len(FLAGS), bool),
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


@pytest.mark.parametrize("bound", (-0.001, float("nan"), float("inf")))
def test_a_bound_that_is_no_length_is_refused(bound):
    with pytest.raises(ConfigError, match="noise bound"):
        TruthPoses(bound)


def test_an_unknown_kind_is_refused_with_what_there_is():
    with pytest.raises(ConfigError, match="'uniform'.*clipped, gaussian"):
        TruthPoses(0.005, "uniform")
