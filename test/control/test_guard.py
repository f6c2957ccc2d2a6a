"""The guard's promises, tried on random commands: no limit is exceeded, and what keeps to them all is not touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from guards import (
    AMPLE,
    MIDDLE,
    RATE,
    ROUGH,
    ROUNDING,
    SHIPPED,
    SLUGGISH,
    answer,
    command,
    guard_of,
    moving,
    ready,
    wishes,
)
from specs import GRIPPER_CLOSED, GRIPPER_OPEN

from roman_moe.control.guard import Guard, GuardStatus
from roman_moe.control.limits import Limits, load_limits
from roman_moe.core.action import Command

FACES = [(axis, side) for axis in range(3) for side in (-1.0, 1.0)]


@dataclass
class Walk:
    """What a guard let through while a hand followed it exactly: velocities and positions, (n, 3)."""

    velocities: np.ndarray
    positions: np.ndarray
    statuses: list[GuardStatus]


def walk(limits: Limits, seed: int, ticks: int = 400, rate: float = RATE, faults: bool = False) -> Walk:
    """Follow random commands; with `faults`, also stops, re-arms, resets at rest, halts and commands that are none."""
    rng = np.random.default_rng(seed)
    guard, position = guard_of(limits, rate), MIDDLE.copy()
    velocities, positions, statuses = [np.zeros(3)], [position], []
    for wish in wishes(rng, ticks):
        out = answer(guard, command(wish), position, rng, faults)
        position = position + out.linear_velocity / rate
        velocities.append(out.linear_velocity)
        positions.append(position)
        statuses.append(guard.status)
    return Walk(np.array(velocities), np.array(positions), statuses)


@pytest.mark.parametrize("limits", [SHIPPED, SLUGGISH, ROUGH], ids=["shipped", "sluggish", "rough"])
@pytest.mark.parametrize("rate", [10.0, 20.0, 100.0])
@pytest.mark.parametrize("faults", [False, True])
def test_whatever_is_commanded_speed_and_workspace_hold(limits: Limits, rate: float, faults: bool):
    for seed in range(5):
        seen = walk(limits, seed, rate=rate, faults=faults)
        assert np.isfinite(seen.velocities).all()
        assert np.linalg.norm(seen.velocities, axis=1).max() <= limits.speed + ROUNDING
        assert (seen.positions >= np.array(limits.workspace_low) - ROUNDING).all()
        assert (seen.positions <= np.array(limits.workspace_high) + ROUNDING).all()


@pytest.mark.parametrize("limits", [AMPLE, replace(AMPLE, acceleration=2.0, jerk=15.0)], ids=["shipped", "sluggish"])
@pytest.mark.parametrize("rate", [10.0, 20.0, 100.0])
@pytest.mark.parametrize("faults", [False, True])
def test_the_acceleration_holds_far_from_the_faces_through_stops_and_rearming_too(
    limits: Limits, rate: float, faults: bool
):
    for seed in range(5):
        change = np.diff(walk(limits, seed, rate=rate, faults=faults).velocities, axis=0) * rate
        assert np.linalg.norm(change, axis=1).max() <= limits.acceleration + ROUNDING * rate


def test_at_the_faces_acceleration_holds_along_each_axis_for_a_hand_that_moves_as_told():
    """Several axes slowed at once may add up, so the bound is each axis's, with the rest of the acceleration on it."""
    tight = replace(SHIPPED, acceleration=SHIPPED.speed**2 / SHIPPED.slow_down, jerk=1e6)
    slowed = 0
    for axis, side in FACES:
        guard, position = guard_of(tight), MIDDLE.copy()
        wish, before = np.zeros(3), 0.0
        wish[axis] = 2.0 * side
        for _ in range(300):
            out = guard.allow(command(wish), position)
            assert abs(out.linear_velocity[axis] - before) * RATE <= tight.acceleration + ROUNDING
            before = out.linear_velocity[axis]
            position = position + out.linear_velocity / RATE
            slowed += guard.status is GuardStatus.SLOWED_AT_WORKSPACE_EDGE
    assert slowed > 100


def test_the_workspace_wins_over_the_acceleration_where_the_hand_is_not_where_it_was_told_to_be():
    guard = moving([0.3, 0.0, 0.0], SHIPPED)
    pushed = np.array([SHIPPED.workspace_high[0] + 0.01, 0.0, 0.25])
    out = guard.allow(command([0.3, 0.0, 0.0]), pushed)
    np.testing.assert_array_equal(out.linear_velocity, np.zeros(3))
    assert guard.status is GuardStatus.SLOWED_AT_WORKSPACE_EDGE


@pytest.mark.parametrize("rate", [20.0, 100.0])
def test_the_jerk_holds_on_ordinary_motion_below_the_limit_on_speed(rate: float):
    """At that limit the speed wins: to keep to both, motion would have to turn before it gets there."""
    for limits in (AMPLE, replace(AMPLE, acceleration=3.0, jerk=20.0)):
        tried = 0
        for seed in range(10):
            velocities = walk(limits, seed, rate=rate).velocities
            jerk = np.diff(velocities, 2, axis=0, prepend=np.zeros((1, 3))) * rate**2
            most = limits.speed * np.minimum(np.arange(1, len(velocities)) / (limits.ramp * rate), 1.0)
            below = np.linalg.norm(velocities[1:], axis=1) < most - ROUNDING
            assert np.linalg.norm(jerk[below], axis=1).max() <= limits.jerk + ROUNDING * rate**2
            tried += below.sum()
        assert tried > 500


def test_random_commands_come_up_against_every_limit():
    """Else the properties above would hold for want of a try."""
    walks = [walk(limits, seed, faults=True) for limits in (SLUGGISH, ROUGH) for seed in range(5)]
    seen = {status for one in walks for status in one.statuses}
    limited = {status for status in GuardStatus if status <= GuardStatus.SLOWED_AT_WORKSPACE_EDGE}
    assert limited | {GuardStatus.STOPPED, GuardStatus.HALT_COMMAND_NOT_FINITE} <= seen


@pytest.mark.parametrize("rate", [20.0, 50.0, 100.0, 1000.0])
@pytest.mark.parametrize("jerk", [10.0, 180.0])
def test_a_limited_jerk_does_not_carry_the_arm_past_what_is_wanted(rate: float, jerk: float):
    """An arm told to rest must not swing back: the acceleration is shed in time, but for a part of one period's."""
    limits = replace(AMPLE, jerk=jerk)
    guard = ready(limits, rate)
    slack = limits.jerk / rate**2 / 4.0
    for wanted in (0.2, 0.0, -0.3, 0.0):
        rising = wanted > guard.allow(command([wanted, 0.0, 0.0]), MIDDLE).linear_velocity[0]
        for _ in range(int(4 * rate)):
            now = guard.allow(command([wanted, 0.0, 0.0]), MIDDLE).linear_velocity[0]
            assert (now <= wanted + slack) if rising else (now >= wanted - slack)
        assert now == pytest.approx(wanted, abs=1e-9)


def test_commands_within_all_limits_pass_as_the_same_object():
    rng = np.random.default_rng(0)
    guard = ready()
    velocity = before = acceleration = np.zeros(3)
    for tick in range(500):
        wanted = np.clip(acceleration + rng.normal(0.0, 1.0, 3), -3.0, 3.0)
        step = np.clip(wanted - acceleration, -4.0, 4.0)
        acceleration = acceleration + step
        velocity = np.clip(velocity + acceleration / RATE, -0.19, 0.19)
        acceleration = (velocity - before) * RATE
        before = velocity
        asked = command(velocity, tick, GRIPPER_CLOSED)
        assert guard.allow(asked, MIDDLE) is asked
        assert guard.status is GuardStatus.NO_WARNING
    assert guard.gripper_opening == GRIPPER_CLOSED


def test_the_guard_never_writes_into_a_command():
    guard = guard_of(SHIPPED)
    asked = command([1.0, 1.0, 1.0])
    guard.allow(asked, np.array(SHIPPED.workspace_high))
    np.testing.assert_array_equal(asked.linear_velocity, np.ones(3))


def ramp_of(guard: Guard) -> list[float]:
    """Speeds from now on of an arm that is told to go as fast as it may, until its ramp is over."""
    speeds = []
    for _ in range(30):
        speeds.append(float(np.linalg.norm(guard.allow(command([AMPLE.speed, 0.0, 0.0]), MIDDLE).linear_velocity)))
        if guard.status is not GuardStatus.RAMPING_IN:
            return speeds
    raise AssertionError("it ramps in without end")


def started() -> Guard:
    return guard_of(AMPLE)


def after_reset() -> Guard:
    guard = ready()
    guard.reset()
    return guard


def after_rearm() -> Guard:
    guard = ready()
    guard.stop()
    guard.allow(command([0.1, 0.0, 0.0]), MIDDLE)
    guard.rearm()
    return guard


def after_long_halt() -> Guard:
    guard = ready()
    for _ in range(3):
        guard.halt(0, GuardStatus.HALT_EXPERTS_SILENT)
    return guard


@pytest.mark.parametrize("resting", [started, after_reset, after_rearm, after_long_halt])
def test_motion_ramps_in_from_rest(resting: Callable[[], Guard]):
    speeds = ramp_of(resting())
    share = np.minimum(np.arange(1, len(speeds) + 1) / (AMPLE.ramp * RATE), 1.0)
    np.testing.assert_allclose(speeds, AMPLE.speed * share, atol=1e-9)
    assert len(speeds) >= AMPLE.ramp * RATE


def test_a_halt_shorter_than_the_command_age_needs_no_ramp():
    guard = ready()
    for _ in range(2):
        guard.halt(0, GuardStatus.HALT_EXPERTS_SILENT)
    asked = command([AMPLE.speed, 0.0, 0.0])
    assert guard.allow(asked, MIDDLE) is asked


def test_rearming_an_arm_that_is_not_at_rest_yet_brakes_no_harder_than_the_limit():
    """The ramp begins at a tenth of the speed: jumping to it would be a harder stop than the stop itself."""
    limits = replace(AMPLE, acceleration=1.0, jerk=20.0)
    guard = moving([0.3, 0.0, 0.0], limits)
    guard.stop()
    before = guard.allow(command([0.3, 0.0, 0.0]), MIDDLE).linear_velocity
    guard.rearm()
    speeds = [float(before[0])]
    for _ in range(40):
        now = guard.allow(command([0.3, 0.0, 0.0]), MIDDLE).linear_velocity
        assert np.linalg.norm(now - before) * RATE <= limits.acceleration + ROUNDING
        before = now
        speeds.append(float(now[0]))
    assert min(speeds) < 0.2
    assert speeds[-1] == 0.3


@pytest.mark.parametrize(("axis", "side"), FACES)
def test_towards_each_face_the_speed_shrinks_to_nothing_and_away_from_it_nothing_happens(axis: int, side: float):
    face = (SHIPPED.workspace_high if side > 0.0 else SHIPPED.workspace_low)[axis]
    velocity = np.full(3, 0.01)
    velocity[axis] = 0.2 * side
    for room in (0.05, 0.03, 0.02, 0.01, 0.0, -0.02):
        guard = moving(velocity, SHIPPED)
        position = MIDDLE.copy()
        position[axis] = face - room * side
        out = guard.allow(command(velocity), position)
        most = SHIPPED.speed * max(0.0, room) / SHIPPED.slow_down
        assert abs(out.linear_velocity[axis]) == pytest.approx(min(0.2, most), abs=1e-12)
        assert out.linear_velocity[axis] * side >= 0.0
        assert (guard.status is GuardStatus.SLOWED_AT_WORKSPACE_EDGE) == (most < 0.2)
        others = np.arange(3) != axis
        np.testing.assert_array_equal(out.linear_velocity[others], velocity[others])
        back = moving(-velocity, SHIPPED)
        asked = command(-velocity)
        assert back.allow(asked, position) is asked


def test_outside_the_workspace_nothing_moves_further_out():
    rng = np.random.default_rng(0)
    low, high = np.array(SHIPPED.workspace_low), np.array(SHIPPED.workspace_high)
    for seed in range(20):
        guard = guard_of(SHIPPED)
        outside = np.where(rng.random(3) < 0.5, low - rng.uniform(0.0, 0.3, 3), high + rng.uniform(0.0, 0.3, 3))
        inside = rng.random(3) < 0.5
        position = np.where(inside, MIDDLE, outside)
        inwards = np.sign(MIDDLE - position)
        came_back = 0
        for wish in wishes(np.random.default_rng(seed), 50):
            velocity = guard.allow(command(wish), position).linear_velocity
            assert (velocity[~inside] * inwards[~inside] >= 0.0).all()
            came_back += bool((velocity[~inside] != 0.0).any())
        assert came_back or inside.all()


def test_a_period_longer_than_the_slow_down_does_not_carry_the_hand_past_a_face():
    limits = replace(SHIPPED, speed=0.3, slow_down=0.02)
    for seed in range(5):
        seen = walk(limits, seed, rate=2.0)
        assert (seen.positions >= np.array(limits.workspace_low) - ROUNDING).all()
        assert (seen.positions <= np.array(limits.workspace_high) + ROUNDING).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["velocity", "gripper", "position"])
def test_what_is_not_finite_halts_and_keeps_the_gripper(bad: float, where: str):
    guard = moving([0.2, 0.0, 0.0])
    guard.allow(command([0.2, 0.0, 0.0], opening=0.03), MIDDLE)
    velocity, opening, position = np.array([0.2, 0.0, 0.0]), 0.01, MIDDLE.copy()
    if where == "velocity":
        velocity[1] = bad
    elif where == "gripper":
        opening = bad
    else:
        position[2] = bad
    out = guard.allow(command(velocity, 7, opening), position)
    assert guard.status is GuardStatus.HALT_COMMAND_NOT_FINITE
    assert out.is_finite()
    assert (out.stamp_ns, out.gripper_opening) == (7, 0.03)
    assert np.linalg.norm(out.linear_velocity) == pytest.approx(max(0.0, 0.2 - AMPLE.acceleration / RATE), abs=1e-12)


@pytest.mark.parametrize("huge", [1e90, 1e155, 1e308, np.finfo(float).max])
def test_finite_commands_of_any_size_come_out_finite_and_in_their_direction(huge: float):
    """Differences and norms of such numbers are no longer finite."""
    guard = ready()
    for _ in range(20):
        out = guard.allow(command([huge, -huge, huge]), MIDDLE)
        assert out.is_finite()
        assert np.linalg.norm(out.linear_velocity) <= AMPLE.speed + ROUNDING
    np.testing.assert_allclose(out.linear_velocity, np.array([1.0, -1.0, 1.0]) * AMPLE.speed / np.sqrt(3.0))


@pytest.mark.parametrize("acceleration", [9.0, 1.0, 0.3])
def test_a_halt_brakes_straight_to_rest_within_the_limit_and_stays_there(acceleration: float):
    guard = moving([0.12, -0.16, 0.0], replace(AMPLE, acceleration=acceleration, jerk=20.0))
    guard.gripper_opening = 0.02
    before = np.array([0.12, -0.16, 0.0])
    ticks = int(np.ceil(0.2 * RATE / acceleration))
    for tick in range(ticks + 5):
        out = guard.halt(tick, GuardStatus.HALT_OBJECTS_STALE)
        assert (out.stamp_ns, out.gripper_opening) == (tick, 0.02)
        assert np.linalg.norm(before - out.linear_velocity) * RATE <= acceleration + ROUNDING
        np.testing.assert_allclose(np.cross(out.linear_velocity, before), 0.0, atol=1e-15)
        before = out.linear_velocity
        assert (not before.any()) == (tick + 1 >= ticks)
        assert guard.status is GuardStatus.HALT_OBJECTS_STALE


def test_a_halt_before_its_period_brakes_once_in_that_period():
    acceleration, period = 1.0, 1.0 / RATE
    guard = moving([0.2, 0.0, 0.0], replace(AMPLE, acceleration=acceleration))

    def stopped() -> list[float]:
        guard.stop()
        halts = [guard.halt(0, GuardStatus.STOPPED, early=tick == 0) for tick in range(4)]
        return [halt.linear_velocity[0] for halt in halts]

    steps = [1, 1, 2, 3]
    assert stopped() == pytest.approx([0.2 - n * acceleration * period for n in steps])
    guard.rearm()
    speed = 0.0
    while speed < 0.2 - ROUNDING:
        speed = guard.allow(command([0.2, 0.0, 0.0]), MIDDLE).linear_velocity[0]
    assert stopped() == pytest.approx([speed - n * acceleration * period for n in steps])


@pytest.mark.parametrize("rate", [20.0, 100.0])
def test_told_to_rest_after_a_halt_the_arm_stays_at_rest(rate: float):
    """Held to the jerk, the end of braking would take it through rest and back."""
    guard = moving([0.3, 0.0, 0.0], AMPLE, rate)
    while guard.halt(0, GuardStatus.HALT_EXPERTS_SILENT).linear_velocity.any():
        pass
    for _ in range(20):
        assert not guard.allow(command([0.0, 0.0, 0.0]), MIDDLE).linear_velocity.any()


def test_a_stop_lasts_until_it_is_rearmed_whatever_comes():
    guard = moving([0.2, 0.0, 0.0])
    guard.stop()
    for tick in range(50):
        if tick == 10:
            guard.reset(0.01)
        elif tick == 20:
            guard.halt(tick, GuardStatus.HALT_EXPERTS_SILENT)
        else:
            wish = np.nan if tick == 30 else 0.2
            out = guard.allow(command([wish, 0.0, 0.0], opening=0.05), MIDDLE)
            assert not out.linear_velocity.any()  # the shipped acceleration stops it within a period
            assert out.gripper_opening == (GRIPPER_OPEN if tick < 10 else 0.01)
        assert guard.stopped
        assert guard.status is GuardStatus.STOPPED
    guard.rearm()
    assert not guard.stopped
    assert 0.0 < guard.allow(command([0.2, 0.0, 0.0]), MIDDLE).linear_velocity[0] < 0.2
    assert guard.status is GuardStatus.RAMPING_IN


def test_rearming_what_was_not_stopped_changes_nothing():
    guard = moving([0.2, 0.0, 0.0])
    guard.rearm()
    asked = command([0.2, 0.0, 0.0])
    assert guard.allow(asked, MIDDLE) is asked


def test_the_larger_the_code_the_graver():
    codes = [status.value for status in GuardStatus]
    assert codes == sorted(set(codes))
    assert [status for status in GuardStatus if status.halts] == [
        status for status in GuardStatus if status.name.startswith("HALT_") or status is GuardStatus.STOPPED
    ]
    assert max(GuardStatus) is GuardStatus.STOPPED
    assert not any(status.halts for status in GuardStatus if status <= GuardStatus.EXPERTS_MASKED)


def test_the_graver_of_two_reasons_is_told():
    guard = moving([0.2, 0.0, 0.0])
    guard.allow(command([0.2, 0.0, 0.0]), MIDDLE, GuardStatus.EXPERTS_MASKED)
    assert guard.status is GuardStatus.EXPERTS_MASKED
    guard.allow(command([5.0, 0.0, 0.0]), MIDDLE, GuardStatus.EXPERTS_MASKED)
    assert guard.status is GuardStatus.EXPERTS_MASKED
    guard.allow(command([0.9, 0.0, 0.0]), MIDDLE)
    assert guard.status is GuardStatus.LIMITED_SPEED


def test_the_same_commands_give_the_same_bits():
    """The graph and the in-process controller must agree."""
    first, second = walk(SLUGGISH, 3, faults=True), walk(SLUGGISH, 3, faults=True)
    np.testing.assert_array_equal(first.velocities, second.velocities)
    assert first.statuses == second.statuses


def test_the_gripper_is_told_no_opening_that_it_does_not_have():
    for asked, told in ((10.0, GRIPPER_OPEN), (-1.0, GRIPPER_CLOSED), (0.03, 0.03)):
        guard = guard_of(load_limits())
        allowed = guard.allow(Command(0, np.zeros(3), asked), np.array([0.46, 0.0, 0.31]))
        assert allowed.gripper_opening == guard.gripper_opening == told
        assert (guard.status is GuardStatus.LIMITED_GRIPPER) == (asked != told)
        assert guard.halt(1, GuardStatus.STOPPED).gripper_opening == told
