"""The last watch before a robot: what passes, what halts and why, and that a halt ends in silence."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from specs import HOME_POSITION, ROMAN
from watchdogs import FORWARD, HAND, PERIOD, REST, START_NS, TURNING, Harness, twist

from roman_moe.arms.command_watchdog import CONFLICT_HALT, contradicts
from roman_moe.control.guard import Guard, GuardStatus
from roman_moe.control.limits import load_limits
from roman_moe.core.action import Command
from roman_moe.core.state import VELOCITY_BOUND

TICK_NS = 50_000_000


def test_nothing_is_sent_before_the_first_command() -> None:
    harness = Harness()
    assert harness.output() is None
    assert not harness.watchdog.has_command


def test_a_command_is_repeated_until_the_next() -> None:
    harness = Harness()
    harness.move()
    for _ in range(3):
        np.testing.assert_array_equal(harness.output(), FORWARD)
        harness.wait(0.025)
    assert not harness.watchdog.status.halts


def test_what_a_guard_has_let_through_passes_unchanged() -> None:
    """The watch's own guard must not be felt behind the blender's."""
    limits = load_limits()
    harness, sender, rng = Harness(limits, TURNING), Guard(limits, PERIOD, ROMAN.gripper), np.random.default_rng(0)
    for i in range(400):
        linear, angular = rng.uniform(-0.3, 0.3, (2, 3)) * (i % 50 > 5)
        command = sender.allow(Command(0, linear, 0.08, angular), HOME_POSITION)
        if i % 97 == 0:
            command = sender.halt(0, GuardStatus.HALT_GATE_SILENT)
        harness.wait(PERIOD)
        assert harness.take(command.twist) is None
        np.testing.assert_allclose(harness.output(), command.twist, atol=1e-9)


def test_who_commands_past_a_guard_meets_the_same_limits() -> None:
    limits = load_limits()
    harness, before = Harness(limits), REST
    for _ in range(40):
        harness.wait(PERIOD)
        harness.take(twist(9.0, 9.0, 0.0))
        velocity = harness.output()
        assert velocity is not None
        assert np.linalg.norm(velocity) <= limits.speed + 1e-9
        assert np.linalg.norm(velocity - before) / PERIOD <= limits.acceleration + 1e-9
        before = velocity


@pytest.mark.parametrize("clock", ["both", "stamps", "steady"])
def test_silence_halts_by_either_clock_and_ends_in_silence(clock: str) -> None:
    harness = Harness()
    harness.move()
    if clock != "steady":
        harness.now_ns += 110_000_000
    if clock != "stamps":
        harness.now += 0.11
    sent = harness.halt()
    assert len(sent) == 3
    np.testing.assert_array_equal(sent, np.zeros((3, 6)))
    assert harness.watchdog.status is GuardStatus.HALT_COMMAND_STALE


def test_an_old_command_does_not_move_the_arm() -> None:
    harness = Harness()
    assert harness.take(age=0.2) is GuardStatus.HALT_COMMAND_STALE
    assert harness.output() is None


def test_an_overtaken_command_is_passed_over() -> None:
    harness = Harness()
    harness.move()
    assert harness.take(twist(-0.05, 0.0, 0.0), age=0.06) is None
    np.testing.assert_array_equal(harness.output(), FORWARD)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_halt_until_a_good_command(bad: float) -> None:
    harness = Harness()
    harness.move()
    harness.wait(0.02)
    assert harness.take(twist(0.05, bad, 0.0)) is GuardStatus.HALT_COMMAND_NOT_FINITE
    assert not np.any(harness.output())
    assert harness.watchdog.status is GuardStatus.HALT_COMMAND_NOT_FINITE
    harness.wait(PERIOD)
    assert harness.take() is None
    assert np.any(harness.output())


def test_a_command_from_the_future_halts() -> None:
    harness = Harness()
    harness.move()
    harness.wait(0.02)
    assert harness.take(age=-0.5) is GuardStatus.HALT_COMMAND_FROM_THE_FUTURE
    assert not np.any(harness.output())


def test_a_clock_that_is_set_back_halts() -> None:
    harness = Harness()
    harness.move()
    harness.now_ns -= 3_600_000_000_000
    assert not np.any(harness.output())
    assert harness.watchdog.status is GuardStatus.HALT_COMMAND_FROM_THE_FUTURE


def test_an_unknown_hand_halts() -> None:
    harness = Harness()
    harness.move()
    harness.wait(PERIOD)
    refused = harness.watchdog.take(harness.now_ns, FORWARD, None, harness.now_ns, harness.now)
    assert refused is GuardStatus.HALT_OBSERVER_SILENT
    assert not np.any(harness.output())


def test_two_commanders_halt_until_one_is_gone_and_then_it_moves_from_rest() -> None:
    harness = Harness()
    harness.move()
    harness.watchdog.update_publishers(["blender", "teleop"])
    assert not np.any(harness.output())
    assert harness.watchdog.status is GuardStatus.HALT_TWO_COMMANDERS
    for _ in range(10):
        harness.wait(PERIOD)
        assert harness.take() is None
        assert not np.any(harness.output())
    assert harness.output() is None
    harness.watchdog.update_publishers(["blender"])
    assert not np.any(harness.output())  # the commands of the meantime are no command for now
    harness.wait(PERIOD)
    harness.take()
    resumed = harness.output()
    assert resumed is not None
    assert 0.0 < np.linalg.norm(resumed) < np.linalg.norm(FORWARD)


def test_contradicting_commands_halt_for_a_while() -> None:
    harness = Harness()
    harness.move()
    assert harness.take() is None  # the same again
    assert harness.take(twist(0.0, 0.05, 0.0)) is GuardStatus.HALT_TWO_COMMANDERS
    assert not np.any(harness.output())
    harness.wait(CONFLICT_HALT)
    harness.take()
    assert np.any(harness.output())


def test_a_commander_may_take_back_what_it_sent_last() -> None:
    harness = Harness()
    harness.move()
    assert harness.take(REST) is None
    assert not np.any(harness.output())
    assert not harness.watchdog.status.halts


def test_a_commander_may_bring_the_arm_softly_to_rest() -> None:
    harness = Harness()
    harness.move()
    for share in (0.6, 0.2, 0.0):
        stamp = START_NS + 20 * TICK_NS
        harness.wait(0.03)
        harness.now_ns = stamp + 10_000_000
        assert harness.watchdog.take(stamp, share * FORWARD, HAND, harness.now_ns, harness.now) is None
    harness.wait(PERIOD)
    assert not np.any(harness.output())
    assert not harness.watchdog.status.halts


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        ((0.0, 0.0, 0.0), False),
        ((0.05, 0.1, 0.0), False),
        ((0.1, 0.2, 0.0), False),
        ((0.2, 0.4, 0.0), True),
        ((-0.05, -0.1, 0.0), True),
        ((0.05, 0.05, 0.0), True),
        ((0.0, 0.0, 0.1), True),
        ((1e300, 1e300, 1e300), True),
    ],
)
def test_slower_the_same_way_contradicts_nobody(newer: tuple[float, ...], expected: bool) -> None:
    older = twist(0.1, 0.2)
    assert contradicts(twist(*newer), older) is expected
    assert contradicts(twist(*newer), REST) is any(newer)
    for share in (0.0, 0.3, 1.0):  # a guard brakes the other half by a limit of its own
        turning = np.concatenate([share * older[:3], np.array(newer)])
        assert contradicts(turning, np.concatenate([older[:3], older[:3]])) is expected


@pytest.mark.parametrize("wanted", [FORWARD, twist(-0.2, 0.1, 0.2), twist(1e300, -1e300, 0.0)])
def test_a_speed_beyond_the_most_is_shortened_along_its_way(wanted: np.ndarray) -> None:
    harness = Harness()
    harness.watchdog.speed_limits = 0.04, 0.04
    for _ in range(20):
        harness.wait(PERIOD)
        harness.take(np.clip(wanted, -VELOCITY_BOUND, VELOCITY_BOUND))
        velocity = harness.output()
        assert velocity is not None
        assert np.linalg.norm(velocity) <= 0.04 + 1e-12
    wanted = wanted / np.abs(wanted).max()
    np.testing.assert_allclose(velocity, 0.04 * wanted / np.linalg.norm(wanted), atol=1e-9)
    assert not harness.watchdog.status.halts


def test_a_most_that_grows_is_a_ramp() -> None:
    harness, speeds = Harness(), []
    for i in range(40):
        harness.watchdog.speed_limits = 0.005 * i, math.inf
        harness.wait(PERIOD)
        harness.take(twist(0.0, 9.0, 0.0))
        output = harness.output()
        assert output is not None
        speeds.append(float(np.linalg.norm(output)))
    np.testing.assert_allclose(speeds, 0.005 * np.arange(40), atol=1e-9)


def test_a_robot_that_does_not_respond_is_halted_and_then_left_in_silence() -> None:
    harness = Harness()
    harness.move()
    harness.watchdog.unresponsive = True
    sent = harness.halt()
    np.testing.assert_array_equal(sent, np.zeros((3, 6)))
    for _ in range(40):  # whoever commands on is not followed
        harness.wait(PERIOD)
        assert harness.take(twist(0.3, 0.0, 0.0)) is None
        assert harness.output() is None
        assert harness.watchdog.status is GuardStatus.HALT_ARM_UNRESPONSIVE
    harness.watchdog.unresponsive = False
    assert not np.any(harness.output())  # the commands of the meantime are no command for now
    assert_ramps_in(harness)


@pytest.mark.parametrize("wait", [0.5, 60.0])
def test_after_silence_the_arm_ramps_in_again(wait: float) -> None:
    harness = Harness()
    for _ in range(40):
        harness.wait(PERIOD)
        harness.take(twist(0.3, 0.0, 0.0))
        harness.output()
    harness.wait(0.11)
    assert len(harness.halt()) == 3  # less than max_command_age, within which a pause is bridged without a ramp
    harness.wait(wait)
    assert harness.output() is None
    assert_ramps_in(harness)


def assert_ramps_in(harness: Harness) -> None:
    limits = load_limits()
    for step in range(1, 11):
        harness.wait(PERIOD)
        assert harness.take(twist(0.0, 9.0, 0.0)) is None
        most = limits.speed * min(step * PERIOD / limits.ramp, 1.0)
        np.testing.assert_allclose(harness.output(), twist(0.0, most), atol=1e-9)


def test_many_messages_a_period_are_one_step_of_the_guard() -> None:
    """A lone commander at 1 kHz meets ramp and acceleration per control period, as one in step does."""
    limits = dataclasses.replace(load_limits(), acceleration=4.0)
    harness, speeds = Harness(limits), []
    for millisecond in range(500):
        harness.wait(0.001)
        assert harness.take(twist(0.0, 9.0, 0.0)) is None
        output = harness.output()
        assert output is not None
        speeds.append(float(np.linalg.norm(output)))
        most = limits.speed * (millisecond // 50 + 1) * PERIOD / limits.ramp
        assert speeds[-1] <= most * 1.1 + 0.036  # the first period has begun before the first message
    steps = np.diff(speeds)
    assert np.count_nonzero(steps) <= 10
    for _ in range(5):  # the other way at once: no more than the acceleration in any one period
        before = speeds[-1]
        for _ in range(50):
            harness.wait(0.001)
            harness.take(twist(0.0, -9.0, 0.0))
            output = harness.output()
            assert output is not None
            speeds.append(float(output[1]))
        assert abs(speeds[-1] - before) <= limits.acceleration * PERIOD + 1e-9


def test_the_newest_of_a_period_is_followed_in_the_next() -> None:
    harness = Harness()
    harness.move()
    for share in (0.9, 0.8, 0.7):
        harness.wait(0.01)
        harness.take(share * FORWARD)
        np.testing.assert_array_equal(harness.output(), FORWARD)
    harness.wait(0.02)
    np.testing.assert_allclose(harness.output(), 0.7 * FORWARD)


def test_a_stop_lasts_until_it_is_rearmed() -> None:
    harness = Harness()
    harness.move()
    harness.watchdog.guard.stop()
    assert not np.any(harness.output())
    harness.watchdog.reset()
    harness.wait(PERIOD)
    harness.take()
    assert not np.any(harness.output())
    assert harness.watchdog.status is GuardStatus.STOPPED
    harness.watchdog.guard.rearm()
    harness.wait(PERIOD)
    harness.take()
    assert np.any(harness.output())


def test_a_fast_arm_is_halted_no_harder_than_its_limit() -> None:
    limits = dataclasses.replace(load_limits(), acceleration=2.0, slow_down=0.1)
    harness = Harness(limits)
    for _ in range(40):
        harness.wait(PERIOD)
        harness.take(twist(0.0, 0.0, 0.3))
        last = harness.output()
    harness.wait(0.2)
    speeds = [float(np.linalg.norm(v)) for v in [last, *harness.halt()]]  # two messages a control period
    assert all(a - b <= limits.acceleration * PERIOD + 1e-9 for a, b in itertools.pairwise(speeds))
    assert all(a - b <= limits.acceleration * PERIOD + 1e-9 for a, b in zip(speeds[1:], speeds[3:], strict=False))
    assert speeds[-3:] == [0.0] * 3


def test_the_gripper_follows_good_commands_alone() -> None:
    harness = Harness()
    watch = harness.watchdog
    assert watch.take_gripper(harness.now_ns, 0.08, harness.now_ns, harness.now) == 0.08
    stale = watch.take_gripper(harness.now_ns - 200_000_000, 0.0, harness.now_ns, harness.now)
    assert stale is GuardStatus.HALT_COMMAND_STALE
    nan = watch.take_gripper(harness.now_ns, float("nan"), harness.now_ns, harness.now)
    assert nan is GuardStatus.HALT_COMMAND_NOT_FINITE
    ahead = watch.take_gripper(harness.now_ns + 1, 0.0, harness.now_ns, harness.now)
    assert ahead is GuardStatus.HALT_COMMAND_FROM_THE_FUTURE
    other = watch.take_gripper(harness.now_ns, 0.0, harness.now_ns, harness.now)
    assert other is GuardStatus.HALT_TWO_COMMANDERS
    harness.wait(PERIOD)
    assert watch.take_gripper(harness.now_ns, 0.0, harness.now_ns, harness.now) is None  # while the arm rests


def test_a_faulty_gripper_goes_on_as_long_as_somebody_commands() -> None:
    harness = Harness()
    watch = harness.watchdog

    def goes_on() -> bool:
        return watch.gripper_goes_on(harness.now_ns, harness.now)

    harness.move()
    assert not goes_on()  # no opening was commanded
    watch.take_gripper(harness.now_ns, 0.08, harness.now_ns, harness.now)
    assert goes_on()
    watch.gripper_fault = "no action server"
    assert goes_on()
    harness.output()
    assert watch.status is GuardStatus.HALT_GRIPPER
    harness.wait(0.3)
    harness.output()
    assert watch.status is GuardStatus.HALT_COMMAND_STALE  # and not its gripper's fault
    assert not goes_on()
    watch.gripper_fault = ""
    harness.take()
    harness.output()
    assert not watch.status.halts
    assert not goes_on()  # the opening is the old one
    watch.take_gripper(harness.now_ns, 0.0, harness.now_ns, harness.now)
    assert goes_on()
    watch.guard.stop()
    assert not goes_on()
