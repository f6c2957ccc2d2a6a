"""The one loop that evaluation, environments and the simulated arm's node drive."""

from __future__ import annotations

import numpy as np
import pytest
from specs import GRIPPER_OPEN
from worlds import TASK, roman_world

from roman_moe.core.action import hold
from roman_moe.core.outcome import Outcome
from roman_moe.sim.episode import Episode
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.streams import Streams
from roman_moe.sim.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return roman_world()


def begin(world: World, seed: int = 3, **options) -> Episode:
    return Episode(world, TASK.start("push"), Streams.of_seed(seed), poses=TruthPoses(0.005), **options)


def test_a_tick_has_one_scene_however_often_it_is_looked_at(world: World) -> None:
    episode, looked, once = begin(world), [], []
    for _ in range(4):
        first = episode.scene
        assert episode.scene is first
        looked.append(first.object_positions)
        episode.step(hold(world.stamp_ns, GRIPPER_OPEN))
    episode = begin(world)
    for _ in range(4):
        once.append(episode.scene.object_positions)
        episode.step(hold(world.stamp_ns, GRIPPER_OPEN))
    np.testing.assert_array_equal(looked, once)
    assert np.abs(np.diff(looked, axis=0)).max() > 1e-4


def test_a_pause_is_not_part_of_the_episode(world: World) -> None:
    episode = begin(world, time_limit=1e9)
    for paused in (False, True, True, False):
        episode.step(hold(world.stamp_ns, GRIPPER_OPEN), paused=paused)
    assert (world.stamp_ns, episode.time_ns) == (200_000_000, 100_000_000)


def test_a_paused_episode_is_not_judged(world: World) -> None:
    episode = begin(world)
    world.put("rack", np.array([1.5, 0.0, 0.5]))
    assert episode.step(hold(world.stamp_ns, GRIPPER_OPEN), paused=True) is Outcome.RUNNING
    assert episode.step(hold(world.stamp_ns, GRIPPER_OPEN)) is Outcome.OUT_OF_REACH


def test_a_time_limit_ends_it_as_lost(world: World) -> None:
    episode = begin(world, time_limit=0.1)
    outcomes = [episode.step(hold(world.stamp_ns, GRIPPER_OPEN)) for _ in range(2)]
    assert outcomes == [Outcome.RUNNING, Outcome.TIME_LIMIT]
