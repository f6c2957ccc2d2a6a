"""Disturbances: each does in physics what its name says, once, at its moment, and the oracle puts it right again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from specs import GRIPPER_CLOSED, GRIPPER_OPEN, SCENARIOS, SKILLS
from worlds import TASK

from roman_moe.core.action import Command
from roman_moe.core.outcome import Outcome
from roman_moe.core.state import SceneState
from roman_moe.evaluation.controllers import OracleController
from roman_moe.sim.disturbance import KNOCK_TIME, Disturber, possible
from roman_moe.sim.judge import Judge
from roman_moe.sim.motions import GRASP_FORCE
from roman_moe.sim.task import Start
from roman_moe.sim.world import World
from roman_moe.tasks.roman.layout import (
    DOOR_RANGE,
    DRAWER_TRAVEL,
    SLOTS,
    door_angle,
    drawer_opening,
    is_inserted,
    is_placed,
)

SEEDS = range(3)


@dataclass
class Played:
    """An episode of the oracle.

    Attributes:
        states: true ones, tick by tick.
        physics: positions of everything that moves, likewise.
        acted: tick at which the disturbance acted; None if it never did.
    """

    states: list[SceneState]
    physics: list[np.ndarray]
    acted: int | None
    outcome: Outcome


def play(lab: World, start: Start, seed: int, kind: str) -> Played:
    """An episode that meets this kind of disturbance, or none for ""."""
    state = lab.reset(start, np.random.default_rng([seed, 0]))
    judge, controller = Judge(start), OracleController(TASK, start.skill)
    disturbance = Disturber(start, lab, np.random.default_rng([seed, 3]))
    disturbance.kind = kind
    states, physics, moments = [state], [lab.physics_state()], []
    outcome = Outcome.RUNNING
    while outcome is Outcome.RUNNING:
        command = controller.step(state).command
        disturbance.update(lab, state)
        moments.append(disturbance.acted_ns)
        state = lab.step(command)
        states.append(state)
        physics.append(lab.physics_state())
        outcome = judge.update(lab)
    acts = [tick for tick, moment in enumerate(moments) if moment >= 0]
    assert len(set(moments[acts[0] :] if acts else [-1])) == 1, "it acted again"
    return Played(states, physics, acts[0] if acts else None, outcome)


def disturbed(lab: World, start: Start, kind: str) -> list[Played]:
    """Episodes in which the disturbance acted, all of them solved nevertheless."""
    episodes = [play(lab, start, seed, kind) for seed in SEEDS]
    assert [episode.outcome for episode in episodes] == [Outcome.SUCCESS] * len(SEEDS)
    met = [episode for episode in episodes if episode.acted is not None]
    assert met, "it never acted"
    return met


@pytest.mark.parametrize("scenario", [3, 6])
def test_a_closed_drawer_stays_half_open_and_is_pulled_again(lab, scenario):
    for episode in disturbed(lab, TASK.start(scenario), "close_drawer"):
        openings = [drawer_opening(state) / DRAWER_TRAVEL for state in episode.states]
        assert openings[episode.acted] > 0.9
        # In a second and a half, before any hand is back at the handle; then it is as open as before.
        after = openings[episode.acted : episode.acted + 30]
        assert 0.25 < min(after) < 0.5
        assert openings[-1] > 0.9


@pytest.mark.parametrize("scenario", [4, 6])
def test_a_closed_door_stays_half_open_and_is_opened_again(lab, scenario):
    for episode in disturbed(lab, TASK.start(scenario), "close_door"):
        angles = [door_angle(state) / DOOR_RANGE for state in episode.states]
        assert angles[episode.acted] > 0.85
        after = angles[episode.acted : episode.acted + 30]
        assert 0.25 < min(after) < 0.5
        assert max(after) < 1.01  # it closes, and does not swing to and fro between its stops
        assert angles[-1] > 0.8


@pytest.mark.parametrize("start", [TASK.start(0), TASK.start("push"), TASK.start("pick_and_insert")])
def test_a_shoved_rack_slides_and_stays_standing(lab, start):
    for episode in disturbed(lab, start, "shove_rack"):
        before, after = (episode.states[episode.acted + ticks] for ticks in (0, 10))
        moved = (after.position("rack") - before.position("rack"))[:2]
        assert 0.001 < np.hypot(*moved) < 0.05
        assert is_placed(after)
        assert is_inserted(after) == is_inserted(before)  # a vial in it goes along


def test_a_rack_at_the_conveyors_end_is_shoved_away_from_its_stop(lab):
    for episode in disturbed(lab, TASK.start(0), "shove_rack"):
        before, after = (episode.states[episode.acted + ticks] for ticks in (0, 10))
        assert after.position("rack")[1] > before.position("rack")[1]


@pytest.mark.parametrize("skill", SKILLS[:5])
def test_what_is_knocked_out_is_lost_and_grasped_again(lab, skill):
    thing = {"pull": "drawer_handle", "pick_and_drop": "cover", "rotate_open": "door_handle"}.get(skill)
    thing = thing or {"pick_and_place": "rack", "pick_and_insert": "vial"}[skill]
    for episode in disturbed(lab, TASK.start(skill), "knock_out"):
        before, after = episode.states[episode.acted], episode.states[episode.acted + 10]
        assert np.all(before.finger_forces > GRASP_FORCE)
        assert np.abs(before.position(thing) - before.hand_position).max() < 0.04
        assert np.all(after.finger_forces < GRASP_FORCE)
        assert after.finger_opening > 0.9 * GRIPPER_OPEN
        if thing in ("cover", "rack", "vial"):  # it has fallen back where it was
            assert after.position(thing)[2] == pytest.approx(episode.states[0].position(thing)[2], abs=0.003)
        held = [bool(np.all(state.finger_forces > GRASP_FORCE)) for state in episode.states[episode.acted + 10 :]]
        assert any(held)


@pytest.mark.parametrize("scenario", [1, 3])
def test_a_returned_vial_stands_in_a_slot_of_the_drawer(lab, scenario):
    for episode in disturbed(lab, TASK.start(scenario), "return_vial"):
        before, after = episode.states[episode.acted], episode.states[episode.acted + 10]
        assert is_inserted(before)
        assert not is_inserted(after)
        # The slots move with the drawer: where they are is to be read at that moment.
        lab.set_physics_state(episode.physics[episode.acted + 10])
        slots = np.array([lab.data.site(f"slot_{slot}").xpos for slot in range(SLOTS)])
        vial = lab.data.body("vial")
        assert np.linalg.norm(slots[:, :2] - vial.xpos[:2], axis=1).min() < 0.005
        assert vial.xmat[8] > 0.99  # upright


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (TASK.start(3), "close_drawer"),
        (TASK.start(4), "close_door"),
        (TASK.start("push"), "shove_rack"),
        (TASK.start("pull"), "knock_out"),
        (TASK.start(1), "return_vial"),
    ],
)
def test_nothing_happens_before_its_moment_and_something_after(lab, start, kind):
    (seed, met) = next((seed, met) for seed in range(9) if (met := play(lab, start, seed, kind)).acted)
    alone = play(lab, start, seed, "")
    np.testing.assert_array_equal(met.physics[: met.acted + 1], alone.physics[: met.acted + 1])
    assert not np.array_equal(met.physics[met.acted + 1], alone.physics[met.acted + 1])


def test_a_kind_is_drawn_from_those_that_its_start_can_meet(lab):
    assert set(possible(TASK.start("button"))) == set()
    assert set(possible(TASK.start(0))) == {"shove_rack"}
    assert set(possible(TASK.start(3))) == {"shove_rack", "close_drawer", "close_door", "knock_out", "return_vial"}
    assert set(possible(TASK.start(6))) == set(possible(TASK.start(3)))
    assert set(possible(TASK.start(2))) == {"shove_rack", "close_drawer", "knock_out", "return_vial"}
    for start in [*map(TASK.start, SKILLS), *map(TASK.start, SCENARIOS)]:
        lab.reset(start, np.random.default_rng(0))
        drawn = {Disturber(start, lab, np.random.default_rng(seed)).kind for seed in range(60)}
        assert drawn == set(possible(start) or ("",))


def test_the_grip_is_given_back_after_its_time_and_at_a_reset(lab):
    start = TASK.start("pull")
    episode = play(lab, start, 1, "knock_out")
    assert lab.forced_opening is None
    openings = [state.finger_opening for state in episode.states[episode.acted :]]
    assert min(openings[2 : round(20 * KNOCK_TIME)]) > 0.9 * GRIPPER_OPEN
    assert min(openings[round(20 * KNOCK_TIME) : 20]) < 0.5 * GRIPPER_OPEN  # the oracle has closed them again

    lab.reset(start, np.random.default_rng(0))
    lab.forced_opening = GRIPPER_OPEN
    lab.reset(start, np.random.default_rng(0))
    assert lab.forced_opening is None


def test_a_forced_opening_overrules_the_command(lab):
    lab.reset(TASK.start("push"), np.random.default_rng(0))
    lab.forced_opening = GRIPPER_OPEN
    for _ in range(10):
        state = lab.step(Command(lab.stamp_ns, np.zeros(3), GRIPPER_CLOSED))
    assert state.finger_opening > 0.9 * GRIPPER_OPEN
