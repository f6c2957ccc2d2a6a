"""Whether a hand follows: what is found and how soon, and what must not be taken for a fault."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from roman_moe.arms.kept_orientation import HandPose
from roman_moe.arms.motion_check import LONGEST_STEP, PROBE, PROBE_TURN, WINDOW, MotionCheck
from roman_moe.control.limits import load_limits
from roman_moe.core.rotation import product

PERIOD = 0.05  # [s]
SPEED, TURNING, RAMP = load_limits().speed, load_limits().angular_speed, load_limits().ramp
STILL = np.zeros(3)
FORWARD = np.array([0.6, 0.0, 0.8])
SLOWEST = 0.065  # [m/s] at which a hand that stands still is found
FOUND = 0.5 + WINDOW  # [s]


class Robot:
    """A hand that goes as it is commanded, `late` [s], and a clock that is turned by hand."""

    def __init__(self, late: float = 0.0) -> None:
        self.check = MotionCheck(SPEED, TURNING, RAMP)
        self.follows = True
        self.now = 1000.0  # [s]
        self._whole, self._part = divmod(round(late / PERIOD, 6), 1.0)  # periods
        self._position = np.zeros(3)
        self._orientation = np.array([1.0, 0.0, 0.0, 0.0])
        self._commanded = [np.zeros(6)] * 6

    def step(self, velocity: NDArray[np.float64], known: bool = True, turning: NDArray[np.float64] = STILL) -> str:
        """One period of a command; the fault after it."""
        self.now += PERIOD
        self._commanded.append(np.concatenate([velocity, turning]))
        if self.follows:
            late = -1 - int(self._whole)
            velocity_then = (1.0 - self._part) * self._commanded[late] + self._part * self._commanded[late - 1]
            self._position = self._position + PERIOD * velocity_then[:3]
            self.turn(PERIOD * velocity_then[3:])
        hand = HandPose(self._position, self._orientation) if known else None
        self.check.note(self._commanded[-1], hand, self.now)
        return self.check.fault

    def turn(self, by: NDArray[np.float64]) -> None:
        """Turn about the base frame's axes, (3,) [rad]."""
        angle = float(np.linalg.norm(by))
        if angle > 0.0:
            self._orientation = product(
                np.array([*(by / angle * np.sin(angle / 2)), np.cos(angle / 2)]), self._orientation
            )

    def move(self, seconds: float, speed: float = SPEED) -> None:
        """Go on for so long, without a fault."""
        for _ in range(round(seconds / PERIOD)):
            assert not self.step(speed * FORWARD)

    def until_found(self, speed: float) -> float:
        """Time until a fault [s]."""
        begin = self.now
        while not self.step(speed * FORWARD):
            assert self.now - begin < 10.0
        return self.now - begin

    def faults(self, velocities: Iterable[NDArray[np.float64]]) -> list[str]:
        return [fault for velocity in velocities if (fault := self.step(velocity))]


def wandering(count: int) -> list[NDArray[np.float64]]:
    """Velocities of any direction that last from one period to a second, with pauses and full reversals."""
    rng, velocities = np.random.default_rng(3), list[NDArray[np.float64]]()
    velocity = np.zeros(3)
    while len(velocities) < count:
        new = rng.normal(size=3)
        kind = rng.integers(4)
        velocity = -velocity if kind == 0 else 0.0 * velocity if kind == 1 else SPEED * new / np.linalg.norm(new)
        velocities += [velocity] * int(rng.integers(1, 20))
    return velocities[:count]


@pytest.mark.parametrize("late", [0.0, 0.02, 0.05, 0.07, 0.1, 0.13, 0.15, 0.18, 0.2])
def test_a_hand_that_follows_up_to_two_tenths_of_a_second_late_is_no_fault(late: int) -> None:
    assert not Robot(late).faults(wandering(4000))


@pytest.mark.parametrize("late", [0.0, 0.2])
@pytest.mark.parametrize("speed", [SLOWEST, 0.1, SPEED])
def test_a_hand_that_ceases_to_follow_is_found(speed: float, late: float) -> None:
    robot = Robot(late)
    robot.move(2.0, speed)
    robot.follows = False
    assert 0.3 <= robot.until_found(speed) <= 0.6


@pytest.mark.parametrize("speed", [SLOWEST, PROBE])
def test_a_hand_that_never_followed_is_found(speed: float) -> None:
    robot = Robot()
    robot.follows = False
    assert robot.until_found(speed) <= FOUND
    assert robot.check.fault == "the hand does not follow: it went 0 % of the commanded way"


def test_a_hand_that_goes_elsewhere_is_found() -> None:
    robot = Robot()
    robot.follows = False
    begin = robot.now
    while not robot.step(SPEED * FORWARD):
        robot._position = robot._position + PERIOD * SPEED * np.array([0.0, 1.0, 0.0])
        assert robot.now - begin <= FOUND


@pytest.mark.parametrize("share", [0.3, 0.1])
def test_a_hand_that_servo_slows_down_follows_as_long_as_it_goes_a_fifth_of_the_way(share: float) -> None:
    robot = Robot()
    robot.follows = False
    faults = []
    for _ in range(100):
        robot._position = robot._position + PERIOD * share * SPEED * FORWARD
        faults.append(robot.step(SPEED * FORWARD))
    assert any(faults) is (share < 0.2)


def test_a_hand_that_stands_still_at_less_than_6_cm_a_second_is_not_judged() -> None:
    robot = Robot()
    robot.follows = False
    robot.move(60.0, 0.06)
    assert robot.until_found(SLOWEST) <= FOUND


@pytest.mark.parametrize(("way", "found"), [(0.019, False), (0.03, True)])
@pytest.mark.parametrize("periods", [1, 2, 4])
def test_contact_that_stands_behind_by_up_to_19_mm_is_no_fault(way: float, found: bool, periods: int) -> None:
    """A skill that pushes against something: the same way again and again, and the hand stays where it is."""
    robot = Robot()
    robot.follows = False
    push = [way / (periods * PERIOD) * FORWARD] * periods
    pause = [np.zeros(3)] * round(WINDOW / PERIOD)
    assert bool(robot.faults((push + pause) * 20)) is found


def test_after_a_rest_it_is_tried_again_slowly_until_the_hand_follows_and_then_ramps_in() -> None:
    robot = Robot()
    check = robot.check
    robot.move(2.0)
    assert check.speed_limits(robot.now)[0] >= SPEED
    robot.follows = False
    robot.until_found(SPEED)
    for _ in range(3):  # as often as it stays
        began = robot.now
        assert check.doubted
        while robot.step(np.zeros(3)):
            assert check.speed_limits(robot.now) == (PROBE, PROBE_TURN)
        assert 0.5 - 1e-9 <= robot.now - began <= 0.5 + 1.001 * PERIOD
        assert check.doubted
        assert robot.until_found(check.speed_limits(robot.now)[0]) <= FOUND
    robot.follows = True
    while robot.step(np.zeros(3)):
        pass
    began = robot.now
    while check.doubted:
        assert check.speed_limits(robot.now) == (PROBE, PROBE_TURN)
        assert not robot.step(PROBE * FORWARD)
    assert robot.now - began <= FOUND
    assert check.speed_limits(robot.now) == (PROBE, PROBE_TURN)
    robot.move(RAMP, PROBE)
    assert check.speed_limits(robot.now) == pytest.approx((PROBE + SPEED, PROBE_TURN + TURNING))
    robot.move(5.0)


def test_a_pause_is_no_motion_and_leaves_what_is_proven() -> None:
    robot = Robot()
    robot.move(2.0)
    robot.move(60.0, 0.0)
    assert not robot.check.doubted
    assert robot.check.speed_limits(robot.now)[0] > SPEED
    robot.move(2.0)


def test_where_the_hand_was_while_its_position_was_not_known_does_not_matter() -> None:
    robot = Robot()
    robot.move(1.0)
    robot.follows = False
    for _ in range(40):
        assert not robot.step(SPEED * FORWARD, known=False)
    robot._position = np.array([-1.0, 2.0, 0.5])
    robot.follows = True
    robot.move(2.0)
    robot.follows = False
    assert robot.until_found(SPEED) <= FOUND


def test_a_command_counts_no_longer_than_servo_follows_it() -> None:
    """This process was suspended: Servo has moved on for its timeout, and halted."""
    robot = Robot()
    robot.move(1.0)
    for _ in range(5):
        robot.now += 2.0 - PERIOD
        robot._position = robot._position + (LONGEST_STEP - PERIOD) * SPEED * FORWARD
        robot.move(PERIOD)


def test_a_reset_knows_nothing_of_the_robot() -> None:
    robot = Robot()
    robot.move(2.0)
    robot.follows = False
    robot.until_found(SPEED)
    check = robot.check
    check.reset()
    assert (check.fault, check.doubted, check.speed_limits(robot.now)) == ("", False, (PROBE, PROBE_TURN))
    robot.follows = True
    robot.move(2.0, PROBE)


ABOUT = np.array([0.0, 0.6, 0.8])


def turned_until_found(robot: Robot, speed: float, velocity: NDArray[np.float64] = STILL) -> float:
    """Time until a fault of a hand that is to turn [s]."""
    begin = robot.now
    while not robot.step(velocity, turning=speed * ABOUT):
        assert robot.now - begin < 10.0
    return robot.now - begin


@pytest.mark.parametrize("late", [0.0, 0.05, 0.13, 0.2])
def test_a_hand_that_turns_as_commanded_is_no_fault(late: float) -> None:
    robot = Robot(late)
    ways = wandering(1000)
    assert not any(robot.step(STILL, turning=TURNING / SPEED * way) for way in ways)
    assert not any(robot.step(way, turning=TURNING / SPEED * turn) for way, turn in zip(ways, ways[::-1], strict=True))


@pytest.mark.parametrize("late", [0.0, 0.2])
@pytest.mark.parametrize("speed", [0.3, TURNING])
def test_a_hand_that_ceases_to_turn_is_found_though_it_goes_on(speed: float, late: float) -> None:
    robot = Robot(late)
    for _ in range(40):
        assert not robot.step(SPEED * FORWARD, turning=speed * ABOUT)
    turn, robot.turn = robot.turn, lambda by: None  # type: ignore[method-assign]
    assert 0.2 <= turned_until_found(robot, speed, SPEED * FORWARD) <= 0.6
    assert robot.check.fault.startswith("the hand does not follow: it turned ")
    robot.turn = turn  # type: ignore[method-assign]
    while robot.step(STILL):
        assert robot.check.speed_limits(robot.now) == (PROBE, PROBE_TURN)
    while robot.check.doubted:
        assert not robot.step(STILL, turning=PROBE_TURN * ABOUT)
    for _ in range(round(RAMP / PERIOD)):
        robot.step(STILL, turning=PROBE_TURN * ABOUT)
    assert robot.check.speed_limits(robot.now)[1] == pytest.approx(PROBE_TURN + TURNING)


def test_a_hand_that_turns_the_other_way_is_found() -> None:
    robot = Robot()
    robot.follows = False
    begin = robot.now
    while not robot.step(STILL, turning=0.5 * ABOUT):
        robot.turn(-PERIOD * 0.5 * ABOUT)
        assert robot.now - begin <= FOUND


def test_a_correction_of_the_orientation_that_stands_behind_is_not_judged() -> None:
    """Contact keeps a hand from turning back: the feedback goes on asking for it."""
    robot = Robot()
    robot.follows = False
    assert not any(robot.step(STILL, turning=0.24 * ABOUT) for _ in range(400))
    assert turned_until_found(robot, 0.26) <= FOUND
