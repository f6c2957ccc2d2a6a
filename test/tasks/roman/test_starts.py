"""Starts: ROMAN's distributions at the lab's scale, nothing in collision, the same for the same seed."""

import dataclasses

import numpy as np
import pytest
from specs import HOME_POSITION, SCENARIOS, SKILLS
from worlds import TASK

from roman_moe.core.errors import ConfigError
from roman_moe.sim.judge import Judge
from roman_moe.tasks.roman.layout import DOOR_RANGE, DRAWER_TRAVEL, HOLES, SLOTS

STARTS = [TASK.start(name) for name in SKILLS] + [TASK.start(number) for number in SCENARIOS]


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
def test_starts_repeat_with_their_seed_and_stay_in_their_ranges(lab, start):
    hands = []
    for seed in range(8):
        first = lab.reset(start, np.random.default_rng(seed))
        physics = lab.physics_state()
        again = lab.reset(start, np.random.default_rng(seed))
        np.testing.assert_array_equal(lab.physics_state(), physics)
        np.testing.assert_array_equal(first.object_positions, again.object_positions)
        assert first.stamp_ns == 0
        hands.append(first.hand_position)
        drawer = lab.data.joint("drawer").qpos[0] / DRAWER_TRAVEL
        assert (-0.01 < drawer < 0.26) if start.stage == 0 else (0.89 < drawer < 1.01)
        door = lab.data.joint("door").qpos[0] / DOOR_RANGE
        assert (
            door == pytest.approx(0.0, abs=0.01)
            if start.stage < 2
            else (-0.01 < door < 0.11 if start.stage == 2 else 0.84 < door < 1.01)
        )
    offsets = np.abs(np.array(hands) - HOME_POSITION)
    assert np.all(offsets < np.array(TASK.hand_range) + 2e-3)
    assert np.all(offsets.max(axis=0) > 0.4 * np.array(TASK.hand_range))


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
def test_a_start_is_not_solved_already_and_nothing_overlaps(lab, start):
    judge = Judge(start)
    for seed in range(8):
        lab.reset(start, np.random.default_rng(100 + seed))
        assert not judge.achieved(lab)
        assert lab.data.contact.dist.min(initial=0.0) > -0.002
        assert np.abs(lab.data.qvel).max() < 0.5  # nothing was shot away


@pytest.mark.parametrize("skill", SKILLS[1:])
def test_handed_over_the_hand_is_where_the_skill_before_leaves_it_and_all_else_as_ever(lab, skill):
    before = dict(zip(SKILLS, ("drawer_handle", "cover", "door_handle", "rack", "vial", "rack"), strict=False))
    left = before[SKILLS[SKILLS.index(skill) - 1]]
    start = TASK.start(skill)
    handed_over = dataclasses.replace(start, handed_over=True)
    for seed in range(8):
        near_home = lab.reset(start, np.random.default_rng(seed))
        state = lab.reset(handed_over, np.random.default_rng(seed))
        offset = state.hand_position - state.position(left)
        assert np.all(np.abs(offset[:2]) < 0.035)
        assert 0.025 < offset[2] < 0.155
        np.testing.assert_allclose(state.object_positions, near_home.object_positions, atol=0.003)
        assert lab.data.contact.dist.min(initial=0.0) > -0.002


def test_the_first_skill_is_handed_over_by_none(lab):
    start = TASK.start(SKILLS[0])
    lab.reset(start, np.random.default_rng(0))
    physics = lab.physics_state()
    lab.reset(dataclasses.replace(start, handed_over=True), np.random.default_rng(0))
    np.testing.assert_array_equal(lab.physics_state(), physics)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_starts_with_the_earlier_skills_done(lab, scenario):
    start = TASK.start(scenario)
    for seed in range(4):
        lab.reset(start, np.random.default_rng(seed))
        done = [skill for skill in SKILLS if lab.skills[skill].achieved(lab)]
        # The drawer starts 90 % to 100 % open (pull asks for 95 %); a rack that is pushed has left its plate.
        assert not set(start.skills) & set(done)
        assert {"pick_and_drop", "rotate_open", "pick_and_insert"} & set(SKILLS[: start.stage]) <= set(done)


def test_the_vial_starts_in_every_slot_and_every_hole(lab):
    for start, places in (
        (TASK.start("pick_and_insert"), SLOTS),
        (TASK.start("push"), HOLES),
    ):
        seen = set()
        for seed in range(60):
            state = lab.reset(start, np.random.default_rng(seed))
            frame = state.position("drawer_handle" if start.skill == "pick_and_insert" else "rack")
            seen.add(tuple(np.round((state.position("vial") - frame)[:2], 2)))
        assert len(seen) == places


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(ConfigError, match="unknown skill 'pul'.*pull"):
        TASK.start("pul")
    with pytest.raises(ConfigError, match="unknown scenario 7.*0 to 6"):
        TASK.start(7)
