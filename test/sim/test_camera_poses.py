"""Poses from cameras in process: estimator, latency and filter, over short episodes."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest

from roman_moe.core.action import hold
from roman_moe.core.errors import ConfigError
from roman_moe.core.outcome import Outcome
from roman_moe.core.state import ObjectPoses, SceneState
from roman_moe.evaluation.controllers import OracleController
from roman_moe.evaluation.evaluate import Evaluation, report
from roman_moe.sim.camera_poses import CameraPoses
from roman_moe.sim.cameras import camera_of
from roman_moe.sim.episode import Episode, EpisodeResult, run_episode
from roman_moe.sim.pose_tally import PoseTally, summarize_poses
from roman_moe.sim.randomisation import geoms_of
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.render import Renderer
from roman_moe.sim.streams import Streams
from roman_moe.sim.visibility import Visibility
from roman_moe.sim.world import World

ROMAN = load_sim_task("roman")
NAMES = ROMAN.spec.object_names
VIAL, RACK, BUTTON = (NAMES.index(name) for name in ("vial", "rack", "button"))
SIGHT = CameraPoses("synthetic", noise_bound=0.003)


def scenes(source: CameraPoses, world: World, ticks: int, seed: int = 3) -> list[SceneState]:
    """Of an arm at rest, from the last scenario's start."""
    episode = Episode(world, ROMAN.start(""), Streams.of_seed(seed), poses=source)
    seen = [episode.scene]
    for _ in range(ticks):
        episode.step(hold(episode.state.stamp_ns, 0.08))
        seen.append(episode.scene)
    return seen


def test_scenes_have_the_age_of_the_images_that_show_them():
    seen = scenes(SIGHT, World(ROMAN), 16)
    assert np.isinf(seen[1].object_ages).all()  # the first image is under way
    assert not seen[1].object_valid.any()
    ages = [scene.object_ages[BUTTON] for scene in seen[8:]]
    np.testing.assert_allclose(ages, [0.1, 0.15] * 4 + [0.1])
    assert all(scene.object_valid[BUTTON] for scene in seen[8:])
    last = seen[-1]
    assert not last.object_valid[[VIAL, RACK]].any()  # in a closed drawer, in a closed cabinet
    np.testing.assert_allclose(last.object_ages[[VIAL, RACK]], last.stamp)
    assert all(last.usable(0.3))


def test_the_same_seed_gives_the_same_scenes_and_another_one_others():
    world = World(ROMAN)
    first, again, other = (scenes(SIGHT, world, 8, seed)[-1].object_positions for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_a_vial_that_nobody_has_seen_moves_with_its_drawer():
    drawn: list[SceneState] = []
    start, world = ROMAN.start("pull"), World(ROMAN)
    result = run_episode(
        world, OracleController(ROMAN, "pull"), start, 5, SIGHT, time_limit=12.0, on_tick=lambda s, _: drawn.append(s)
    )
    assert result.outcome == Outcome.SUCCESS.value
    moved = drawn[-1].object_positions - drawn[0].object_positions
    assert not any(scene.object_valid[VIAL] for scene in drawn)
    np.testing.assert_allclose(moved[VIAL, 1], moved[NAMES.index("drawer_handle"), 1], atol=0.005)
    assert moved[VIAL, 1] < -0.05
    assert result.tally is not None
    assert summarize_poses([result.tally])["objects"]["vial"]["hidden_valid_share"] == 0.0


def test_markers_in_images_become_poses():
    world = World(ROMAN, markers=True)
    last = scenes(CameraPoses("markers"), world, 9)[-1]
    seen = last.object_valid
    assert seen.sum() >= 4
    errors = np.linalg.norm(last.object_positions - world.state.object_positions, axis=1)[seen]
    assert np.median(errors) < 0.005
    assert not seen[[VIAL, RACK]].any()


def test_pixels_by_rays_are_those_of_a_drawn_image():
    world = World(ROMAN)
    world.reset(ROMAN.start("push"), np.random.default_rng(0))
    counts = Visibility(world, [camera_of(world.model, world.data, "left", 320, 240)]).count()[0]
    renderer = Renderer(world, "left", 320, 240, fast=True)._renderer
    renderer.enable_segmentation_rendering()
    renderer.update_scene(world.data, camera="left")
    numbers, kinds = np.moveaxis(renderer.render(), 2, 0)
    geoms = numbers[kinds == int(mujoco.mjtObj.mjOBJ_GEOM)]
    renderer.close()
    drawn = np.array([np.isin(geoms, geoms_of(world.model, name)).sum() for name in NAMES])
    np.testing.assert_allclose(counts, drawn, rtol=0.15, atol=8)
    assert (drawn == 0).any()
    assert (drawn > 0).any()


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"estimator": "crystal_ball"}, "unknown estimator 'crystal_ball': expected one of"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"latency": 1.5}, "latency is 1.5"),
        ({"noise_bound": 0.0}, "noise_bound is 0.0"),
    ],
)
def test_what_no_camera_can_do_is_refused(wrong: dict[str, Any], complaint: str):
    with pytest.raises(ConfigError, match=complaint):
        CameraPoses(**{"estimator": "synthetic", **wrong})


def test_a_tally_counts_errors_of_what_is_valid_and_what_is_long_hidden_yet_valid():
    world = World(ROMAN)
    truth = world.reset(ROMAN.start(""), np.random.default_rng(0))
    tally = PoseTally(NAMES)
    hidden, valid = np.zeros(len(NAMES), dtype=bool), np.ones(len(NAMES), dtype=bool)
    hidden[[VIAL, RACK]] = True
    valid[BUTTON] = False
    for look in range(21):
        stamp = look * 100_000_000
        positions = truth.object_positions + (0.001 * (look < 20) + 0.004 * (look == 20), 0.0, 0.0)
        poses = ObjectPoses(stamp, positions, valid, np.zeros(len(NAMES)), truth.object_orientations)
        state = SceneState(**{**{f: getattr(truth, f) for f in FIELDS}, "stamp_ns": stamp})
        tally.add(state, poses, hidden, held="rack")
    told = summarize_poses([tally, tally])
    assert told["objects"]["vial"]["hidden_valid_share"] == pytest.approx(10 / 21)  # after more than a second
    assert told["objects"]["rack"]["hidden_valid_share"] == 0.0  # the hand has it
    assert told["objects"]["button"]["median_m"] is None
    assert told["objects"]["cover"]["median_m"] == pytest.approx(0.001)
    assert told["median_m"] == pytest.approx(0.001)

    evaluation = Evaluation("oracle", ROMAN, [6], [], 1, SIGHT, seed=0)
    said = report(evaluation, [EpisodeResult("scenario_6", 1, "success", 2.0, tally=tally)])
    assert said["poses"] == "synthetic"
    assert said["pose_errors"] == summarize_poses([tally])


FIELDS = (
    *("spec", "hand_position", "hand_velocity", "finger_opening", "finger_forces", "flags", "object_positions"),
    "object_orientations",
)
