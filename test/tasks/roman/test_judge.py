"""What counts as solved and as lost: each threshold of docs/lab.md, just inside and just outside of it."""

import mujoco
import numpy as np
import pytest
from specs import HOME_POSITION, SKILLS
from worlds import TASK

from roman_moe.core.action import hold
from roman_moe.core.outcome import Outcome
from roman_moe.sim.judge import Judge

WHOLE = "scenario"


def begin(lab, name):
    """A judge at the first tick of an episode of a skill, or of the last scenario, with the hand at home."""
    start = TASK.start(0) if name == WHOLE else TASK.start(name)
    lab.reset(start, np.random.default_rng(4))
    judge = Judge(start)
    at(lab, 8.0)
    hand(lab, 0.0)
    return judge


def at(lab, seconds):
    lab._tick = round(seconds * lab.control_rate)


def hand(lab, distance):
    """The hand this far from home [m], in a direction that means nothing."""
    lab.data.site("hand").xpos[:] = HOME_POSITION + np.array([0.6, -0.8, 0.0]) * distance


def put(lab, name, position):
    """A thing upright at a position, with the contacts that it has there."""
    kept = lab.data.site("hand").xpos.copy()
    lab.data.joint(name).qpos[:] = [*position, 1.0, 0.0, 0.0, 0.0]
    mujoco.mj_forward(lab.model, lab.data)
    lab.data.site("hand").xpos[:] = kept


def slide(lab, name, value):
    lab.data.joint(name).qpos[0] = value


def rack_at(lab, distance):
    """The rack on its plate's or the belt's height, this far along y before the conveyor's end [m]."""
    end = lab.data.site("conveyor_end").xpos
    put(lab, "rack", [end[0], end[1] + distance, end[2] + 0.0005])


def vial_in_hole(lab, gap):
    put(lab, "vial", lab.data.site("hole_2").xpos + [0.0, 0.0, 0.0435 + gap])


def rest_on(lab, name, site, gap):
    half = 0.003 if name == "cover" else 0.0
    put(lab, name, lab.data.site(site).xpos + [0.0, 0.0, half + gap])


def pushed(lab, judge, share):
    rack_at(lab, share * abs(lab.skills["push"].distance))


# For each skill: the value in question, just inside and just outside, and how to bring it about.
EDGES = [
    ("pull", 0.1711, 0.1709, lambda lab, judge, metres: slide(lab, "drawer", metres)),  # 95 % of 0.18 m
    ("rotate_open", 1.781, 1.779, lambda lab, judge, radians: slide(lab, "door", radians)),  # 85 % of 120 deg
    ("pick_and_drop", -0.0002, 0.002, lambda lab, judge, gap: rest_on(lab, "cover", "drop_zone", gap)),
    ("pick_and_place", -0.0002, 0.002, lambda lab, judge, gap: rest_on(lab, "rack", "rack_target", gap)),
    ("pick_and_insert", -0.0002, 0.002, lambda lab, judge, gap: vial_in_hole(lab, gap)),
    ("push", 0.0499, 0.0501, lambda lab, judge, share: pushed(lab, judge, share)),
    ("push", -0.0499, -0.0501, lambda lab, judge, share: pushed(lab, judge, share)),
]


@pytest.mark.parametrize(("skill", "inside", "outside", "bring_about"), EDGES)
def test_a_skill_is_solved_from_its_threshold_on(lab, skill, inside, outside, bring_about):
    judge = begin(lab, skill)
    for value, outcome in ((outside, Outcome.RUNNING), (inside, Outcome.SUCCESS), (outside, Outcome.RUNNING)):
        bring_about(lab, judge, value)
        assert judge.update(lab) is outcome


def test_every_skill_has_its_threshold_here():
    assert {skill for skill, *_ in EDGES} | {"button"} == set(SKILLS)


@pytest.mark.parametrize(
    ("travel", "touched", "pressed"), [(0.0097, True, True), (0.0095, True, False), (0.0097, False, False)]
)
def test_the_button_is_pressed_from_80_percent_on_while_the_robot_touches_it(
    lab, monkeypatch, travel, touched, pressed
):
    judge = begin(lab, "button")
    monkeypatch.setattr(lab, "robot_touches", lambda geom: touched and geom == "button")
    lab.model.jnt_stiffness[lab.model.joint("button").id] = 0.0  # it stays where it is put
    slide(lab, "button", travel)
    monkeypatch.setattr("mujoco.mj_step", lambda *_, **__: None)
    lab.step(hold(lab.stamp_ns, 0.08))
    slide(lab, "button", 0.0)  # and it counts from then on
    hand(lab, 0.0)
    assert judge.update(lab) is (Outcome.SUCCESS if pressed else Outcome.RUNNING)


@pytest.mark.parametrize(("name", "tolerance", "least"), [("pull", 0.06, 8.0), (WHOLE, 0.18, 2.4)])
def test_success_needs_the_hand_at_home_and_the_least_time(lab, name, tolerance, least):
    judge = begin(lab, name)
    solve(lab, name)
    for distance, seconds, outcome in (
        (tolerance + 1e-4, least, Outcome.RUNNING),
        (tolerance - 1e-4, least - 0.05, Outcome.RUNNING),
        (tolerance - 1e-4, least, Outcome.SUCCESS),
    ):
        hand(lab, distance)
        at(lab, seconds)
        assert judge.update(lab) is outcome


def solve(lab, name):
    if name == "pull":
        slide(lab, "drawer", 0.18)
    else:
        rack_at(lab, 0.0)
        vial_in_hole(lab, -0.0002)
        lab.flags[0] = True


@pytest.mark.parametrize(("distance", "solved"), [(0.0269, True), (0.0271, False), (-0.0269, True), (-0.0271, False)])
def test_the_whole_task_wants_the_rack_within_27_mm_of_the_conveyors_end(lab, distance, solved):
    judge = begin(lab, WHOLE)
    solve(lab, WHOLE)
    rack_at(lab, distance)
    vial_in_hole(lab, -0.0002)
    assert judge.update(lab) is (Outcome.SUCCESS if solved else Outcome.RUNNING)


@pytest.mark.parametrize("missing", ["button", "vial"])
def test_the_whole_task_wants_button_and_vial(lab, missing):
    judge = begin(lab, WHOLE)
    solve(lab, WHOLE)
    assert judge.update(lab) is Outcome.SUCCESS
    if missing == "button":
        lab.flags[0] = False
    else:
        vial_in_hole(lab, 0.002)
    assert judge.update(lab) is Outcome.RUNNING


@pytest.mark.parametrize(("name", "limit"), [("pull", 80.0), (WHOLE, 240.0)])
def test_an_episode_ends_at_its_time_limit(lab, name, limit):
    judge = begin(lab, name)
    at(lab, limit - 0.05)
    assert judge.update(lab) is Outcome.RUNNING
    at(lab, limit)
    assert judge.update(lab) is Outcome.TIME_LIMIT


@pytest.mark.parametrize("name", ("cover", "rack", "vial"))
def test_an_object_is_lost_on_its_side_below_the_table_and_out_of_reach(lab, name):
    judge, body = begin(lab, "button"), lab.model.body(name).id
    upright, place = lab.data.xmat[body].copy(), lab.data.xpos[body].copy()
    for degrees, outcome in ((59.5, Outcome.RUNNING), (60.5, Outcome.OBJECT_DROPPED), (180.0, Outcome.OBJECT_DROPPED)):
        lab.data.xmat[body, 8] = np.cos(np.radians(degrees))
        assert judge.update(lab) is outcome
    lab.data.xmat[body] = upright
    for height, outcome in ((-0.139, Outcome.RUNNING), (-0.141, Outcome.OBJECT_DROPPED)):
        lab.data.xpos[body] = [*place[:2], height]
        assert judge.update(lab) is outcome
    for reach, outcome in ((0.819, Outcome.RUNNING), (0.821, Outcome.OUT_OF_REACH)):
        lab.data.xpos[body] = [0.6 * reach, -0.8 * reach, place[2]]
        assert judge.update(lab) is outcome


def test_a_hand_is_out_of_reach_from_90_cm_on(lab):
    judge = begin(lab, "button")
    for distance, outcome in ((0.899, Outcome.RUNNING), (0.901, Outcome.OUT_OF_REACH)):
        hand(lab, distance)
        assert judge.update(lab) is outcome
