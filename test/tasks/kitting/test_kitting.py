"""The kitting station: every start can be solved, and what counts as done is done."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roman_moe.core.action import hold
from roman_moe.evaluation.controllers import OracleController
from roman_moe.sim.episode import run_episode
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.streams import START_STREAM, generator
from roman_moe.sim.world import World
from roman_moe.tasks.kitting import insert_pin, insert_tile, layout
from roman_moe.tasks.kitting.turn_lock import angle

TASK = load_sim_task("kitting")
STARTS = (*TASK.spec.skill_names, "scenario_0", "scenario_1", "scenario_2")


@pytest.fixture(scope="module")
def world() -> World:
    return World(TASK)


@pytest.mark.parametrize("name", STARTS)
def test_the_demonstrators_solve_every_start(world: World, name: str) -> None:
    start = TASK.start(name)
    results = [
        run_episode(world, OracleController(TASK, start.skill), start, seed, TruthPoses(0.0)) for seed in range(3)
    ]
    assert [result.outcome for result in results] == ["success"] * 3


@pytest.mark.parametrize("name", STARTS)
def test_no_start_is_solved_already_and_nothing_moves(world: World, name: str) -> None:
    start = TASK.start(name)
    for seed in range(5):
        before = world.reset(start, generator(seed, START_STREAM))
        skills = [start.skill] if start.skill else TASK.spec.skill_names
        assert not all(world.skills[skill].achieved(world) for skill in skills)
        after = world.step(OracleController(TASK, start.skill).step(before).command)
        assert np.abs(after.object_positions - before.object_positions).max() < 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_what_is_done_at_a_start_counts_as_done(world: World, seed: int) -> None:
    world.reset(TASK.start("turn_lock"), generator(seed, START_STREAM))
    assert world.skills["insert_tile"].achieved(world)
    assert world.skills["insert_pin"].achieved(world)
    assert not world.skills["turn_lock"].achieved(world)


def test_tile_and_tray_begin_at_any_of_their_angles(world: World) -> None:
    states = [world.reset(TASK.start("insert_tile"), generator(seed, START_STREAM)) for seed in range(40)]
    for name, limit in (("tile", layout.TILE_ANGLE), ("slot", layout.TRAY_ANGLE)):
        angles = np.array([state.yaw(name) for state in states])
        assert np.abs(angles).max() <= limit + 0.01
        assert angles.max() > 0.7 * limit
        assert angles.min() < -0.7 * limit


def test_the_tile_does_not_fit_at_another_angle(world: World) -> None:
    world.reset(TASK.start("insert_tile"), generator(0, START_STREAM))
    turned = world.site_yaw("slot") + math.radians(20.0)
    world.put("tile", world.site("slot") + [0.0, 0.0, layout.TILE_HALF_HEIGHT + 0.001], turned)
    home = world.state
    for _ in range(40):
        world.step(OracleController(TASK, "insert_pin").step(home).command)
    assert not world.skills["insert_tile"].achieved(world)


def test_the_locks_angle_is_read_from_the_state(world: World) -> None:
    world.reset(TASK.start("turn_lock"), generator(0, START_STREAM))
    for value in (0.0, 0.4, 1.2, 0.5 * math.pi):
        world.set_joint("lock", value)
        world.update_kinematics()
        assert angle(world.state) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("thing", "goal", "height"), [("tile", "slot", insert_tile.SEATED), ("pin", "hole", insert_pin.SEATED)]
)
def test_what_stands_in_the_tray_is_where_its_skill_takes_it_to_be(
    world: World, thing: str, goal: str, height: float
) -> None:
    """Or a demonstrator takes what is done for undone, or lets go of what is still in the mouth."""
    state = world.reset(TASK.start("turn_lock"), generator(0, START_STREAM))
    for _ in range(20):
        state = world.step(hold(state.stamp_ns, state.finger_opening))
    assert world.skills[f"insert_{thing}"].achieved(world)
    assert (state.position(thing) - state.position(goal))[2] == pytest.approx(height, abs=0.002)
