"""Noise on recorded observations is what the pose source would have added to the scenes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from specs import LAYOUT, OBSERVATIONS, TURN_KEY

from roman_moe.core.features import FeatureLayout, feature_layout
from roman_moe.core.spec import read_spec
from roman_moe.core.state import SceneState, rotated, upright
from roman_moe.learning.algorithms.noise import ObservationNoise
from roman_moe.learning.policies.geometry import object_columns, planar_features
from roman_moe.sim.pose_source import NOISE_ARM


@pytest.fixture
def layout(tmp_path: Path) -> FeatureLayout:
    (tmp_path / "task.yaml").write_text(TURN_KEY)
    return feature_layout(read_spec(tmp_path / "task.yaml"))


def scene(layout: FeatureLayout, rng: np.random.Generator) -> SceneState:
    orientations = [rotated(each, rng.normal(size=3)) for each in upright(4)]
    return SceneState(
        spec=layout.spec,
        stamp_ns=0,
        hand_position=rng.normal(size=3),
        hand_velocity=rng.normal(size=3),
        finger_opening=0.05,
        finger_forces=rng.random(2),
        object_positions=rng.normal(size=(4, 3)),
        object_orientations=np.array(orientations),
        flags=np.array([True, False]),
    )


def units(layout: FeatureLayout) -> list[str]:
    return [layout.units[name] for name in layout.names]


@pytest.mark.parametrize("thing", ["key", "peg", "lid"])
def test_features_turn_with_their_thing_as_planar_ones_do(layout, thing):
    rng = np.random.default_rng(5)
    state, angle = scene(layout, rng), 0.3
    turned = state.object_orientations.copy()
    row = layout.spec.object_index[thing]
    turned[row] = rotated(turned[row], np.array([0.0, 0.0, angle]))
    before, after = layout.vector(state), layout.vector(replace(state, object_orientations=turned))
    expected = before.copy()
    for each in planar_features(layout.names, units(layout))[thing]:
        cosine, sine = math.cos(each.fold * angle), math.sin(each.fold * angle)
        expected[each.x] = cosine * before[each.x] - sine * before[each.y]
        expected[each.y] = sine * before[each.x] + cosine * before[each.y]
    np.testing.assert_allclose(after, expected, atol=1e-12)
    assert np.abs(after - before).max() > 0.05


def test_angles_are_as_wrong_as_a_position_is_at_an_arms_length(layout):
    observation = torch.from_numpy(layout.vector(scene(layout, np.random.default_rng(1)))).repeat(4000, 1)
    noisy = observation.clone()
    torch.manual_seed(0)
    ObservationNoise(layout.names, units(layout)).add(noisy, 0.002, 0.006)
    moved = (noisy - observation)[:, object_columns(layout.names)]
    assert 0.0019 < float(moved.std()) < 0.0021
    i = layout.index["key.yaw_sin"]
    angles = torch.atan2(noisy[:, i], noisy[:, i + 1]) - torch.atan2(observation[:, i], observation[:, i + 1])
    assert 0.0019 < float(angles.std()) * NOISE_ARM < 0.0021
    assert float(angles.abs().max()) * NOISE_ARM <= 0.006 + 1e-9
    still = [i for i, name in enumerate(layout.names) if name.startswith(("hand", "finger", "locked", "lit", "home"))]
    assert torch.equal(noisy[:, still], observation[:, still])


def test_where_nothing_turns_only_positions_are_drawn():
    names = OBSERVATIONS["gate"]
    given = torch.zeros(8, len(names))
    torch.manual_seed(3)
    ObservationNoise(names, [LAYOUT.units[name] for name in names]).add(given, 0.005 / 3.0, 0.005)
    drawn = torch.randn(1)
    torch.manual_seed(3)
    columns = object_columns(names)
    expected = (torch.randn(8, len(columns)) * (0.005 / 3.0)).clamp(-0.005, 0.005)
    assert torch.equal(given[:, columns], expected)
    assert torch.equal(drawn, torch.randn(1))
