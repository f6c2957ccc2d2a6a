"""The last watchdog before a robot: which of the received commands may go to it now.

Every command goes through a second guard, so a node that commands past the blender meets the same limits. A command
halts the arm if it is not finite, from the future, of two commanders, or old by its stamp or by a steady clock. A halt
is some zero messages and then silence, which makes MoveIt Servo stop as well.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.arms.kept_orientation import HandPose, KeptOrientation
from roman_moe.control.guard import Guard, GuardStatus
from roman_moe.control.limits import Limits
from roman_moe.core.action import Command
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import NANOSECONDS, VELOCITY_BOUND, within

CONFLICT_HALT = 0.5  # [s] for which the arm is halted after two commands that contradict each other
_ROUNDING = 1e-9
LINEAR, ANGULAR = slice(0, 3), slice(3, 6)
"""Parts of a twist."""
ANY_JERK = 1e9
"""[m/s^3, rad/s^3] The sender's guard limits the jerk, but not of its stops: a second limit would soften them."""


def contradicts(newer: NDArray[np.float64], older: NDArray[np.float64]) -> bool:
    """Whether a twist is no later word of whoever gave another for the same scene; both (6,) [m/s, rad/s].

    Rest, or the same way but slower, takes the older one back: so a commander brings an arm softly to rest. A guard
    brakes linear and angular velocity each for itself.
    """
    return any(_is_no_slower(newer[part], older[part]) for part in (LINEAR, ANGULAR))


def _is_no_slower(newer: NDArray[np.float64], older: NDArray[np.float64]) -> bool:
    most = float(np.abs(older).max())
    if float(np.abs(newer).max()) > most * (1.0 + _ROUNDING):
        return True
    if most == 0.0:
        return False
    new, old = newer / most, older / most  # or products of huge numbers would overflow
    share = float(new @ old) / float(old @ old)
    return not (share >= -_ROUNDING and float(np.abs(new - share * old).max()) <= _ROUNDING)


class SingleCommander:
    """Whether one commander alone commands an arm: by the publishers, and by what the commands say.

    Attributes:
        rivals: names of all commanders, if there are more than one.
    """

    def __init__(self) -> None:
        self.rivals: tuple[str, ...] = ()
        self._halted_until = 0.0  # [s]
        self.reset()

    def reset(self) -> None:
        """No command has come yet: stamps begin anew."""
        self._last: dict[str, tuple[int, NDArray[np.float64]]] = {}

    def update_publishers(self, publishers: Sequence[str]) -> None:
        """Names of all nodes that command the arm at present; more than one is a conflict."""
        self.rivals = tuple(publishers) if len(publishers) > 1 else ()

    def contradicted(self, what: str, stamp_ns: int, numbers: NDArray[np.float64], now: float) -> bool:
        """Whether a finite command contradicts the one before, of which there are then two for one scene.

        Args:
            what: the topic that it came on.
            stamp_ns: of the scene that it answers [ns].
            numbers: twist, (6,) [m/s, rad/s], or the gripper's opening, (1,) [m], which nobody has to take back.
            now: a steady clock [s].
        """
        last = self._last.get(what)
        if last is not None and last[0] == stamp_ns:
            differs = contradicts(numbers, last[1]) if len(numbers) > 1 else bool((numbers != last[1]).any())
            if differs:
                self._halted_until = now + CONFLICT_HALT
                return True
        self._last[what] = stamp_ns, numbers
        return False

    def in_conflict(self, now: float) -> bool:
        """Whether there are two, or were less than `CONFLICT_HALT` ago, at `now` [s], a steady clock."""
        return bool(self.rivals) or now < self._halted_until


class CommandWatchdog:
    """Decides which commands one robot gets.

    Args:
        limits: of the guard, and how old a command may be.
        period: from one command to the next [s].
        halt_messages: of zero, sent when the arm is halted.
        spec: of the task: which gripper, and about which axes its actions turn the hand.

    Attributes:
        guard: that every twist goes through.
        status: what is done to the commands at present, and why.
        gripper_fault: why the gripper does not do what it is commanded; empty if it does.
        unresponsive: whether the robot does not take commands, or does not follow them: it is halted.
        speed_limits: highest speeds of a command at present, linear [m/s] and angular [rad/s]; a faster one is
            shortened before the guard sees it.
    """

    def __init__(self, limits: Limits, period: float, halt_messages: int, spec: TaskSpec) -> None:
        self.guard = Guard(dataclasses.replace(limits, jerk=ANY_JERK, angular_jerk=ANY_JERK), period, spec.gripper)
        self._kept = KeptOrientation(spec.action.angular_indices)
        self._period = period
        self._period_ns = round(period * NANOSECONDS)
        self._max_age = limits.max_command_age
        self._halt_messages = halt_messages
        self.unresponsive, self.speed_limits = False, (math.inf, math.inf)
        self.reset()

    def reset(self) -> None:
        """No command has come, and the robot is at rest. A stop stays."""
        self.guard.reset()
        self.gripper_fault = ""
        self.status = self.guard.status
        self._kept.reset()
        self._allowed = np.zeros(6)
        self._last: tuple[int, NDArray[np.float64]] | None = None  # last good twist as it came, with its stamp
        self._received = 0.0  # [s]
        self._tick: int | None = None  # of the stamps' grid, for which the guard has let a command through
        self._waiting: tuple[Command, NDArray[np.float64]] | None = None  # for the next tick, with the hand's position
        self._next_brake = 0.0  # [s] before which it is not told to go slower once more
        self._last_opening: tuple[int, float] | None = None
        self._opening_received = 0.0  # [s]
        self._fault: GuardStatus | None = None  # of the last command
        self._one = SingleCommander()
        self._halts_left = 0  # a robot that was told nothing needs no halt

    @property
    def has_command(self) -> bool:
        """Whether any good command has come."""
        return self._last is not None

    def update_publishers(self, publishers: Sequence[str]) -> None:
        """Names of all nodes that command the arm at present; more than one is a conflict."""
        self._one.update_publishers(publishers)

    def take(
        self, stamp_ns: int, twist: NDArray[np.float64], hand: HandPose | None, now_ns: int, now: float
    ) -> GuardStatus | None:
        """A twist has come; why it is refused, or None.

        Args:
            stamp_ns: of the scene that it answers [ns].
            twist: of the hand, (6,) [m/s, rad/s].
            hand: its pose; None if it is not known.
            now_ns, now: the graph's clock [ns], and a steady one [s].
        """
        fault = self._wrong(stamp_ns, twist, now_ns)
        if fault is GuardStatus.HALT_COMMAND_STALE:  # the last good one is old soon enough
            return fault
        self._fault = fault
        if fault is not None:
            return fault
        if hand is None:  # nobody knows where the workspace ends
            self._fault = GuardStatus.HALT_OBSERVER_SILENT
            return self._fault
        if self._last is not None:
            if stamp_ns == self._last[0] and np.array_equal(twist, self._last[1]):
                return None
            if stamp_ns < self._last[0] and now - self._received <= self._max_age:
                return None  # overtaken on its way: what came last is newer, and still good
        if self._one.contradicted("twist", stamp_ns, twist, now):
            return GuardStatus.HALT_TWO_COMMANDERS
        taken_back = self._last is not None and stamp_ns == self._last[0]
        self._last, self._received = (stamp_ns, twist), now
        if not (self._halted(now) or self.gripper_fault):
            self._waiting = self._with_correction(stamp_ns, twist, hand.orientation), hand.position
            if stamp_ns // self._period_ns != self._tick:
                self._step(stamp_ns)
            elif taken_back and now >= self._next_brake:
                self._next_brake = now + self._period
                self._step(stamp_ns)
        return None

    def _with_correction(self, stamp_ns: int, twist: NDArray[np.float64], orientation: NDArray[np.float64]) -> Command:
        """The command, with what turns a hand that moves back about the axes that nobody commands.

        A twist of zero stays zero: it is what a commander sends that is stopped or halted.
        """
        if self._halts_left == 0:  # the robot has been told nothing, or nothing any more
            self._kept.resume(orientation)
        most, most_turning = self.speed_limits
        linear, angular = _shortened(twist[LINEAR], most), _shortened(twist[ANGULAR], most_turning)
        if twist.any():
            angular = angular + self._kept.correction(orientation)
        return Command(stamp_ns, linear, self.guard.gripper_opening, angular)

    def _step(self, at_ns: int) -> None:
        """The guard's step for the control period of `at_ns` [ns]: it counts on one a period, however many come."""
        assert self._waiting is not None
        self._tick = at_ns // self._period_ns
        self._allowed = self.guard.allow(*self._waiting).twist
        self._waiting = None

    def take_gripper(self, stamp_ns: int, opening: float, now_ns: int, now: float) -> float | GuardStatus | None:
        """A gripper's opening [m] has come: what to tell the gripper, why it is refused, or None for nothing to do."""
        fault = self._wrong(stamp_ns, np.array([opening]), now_ns)
        if fault is not None:
            return fault
        if self._last_opening is not None and stamp_ns < self._last_opening[0] <= now_ns:
            return None  # overtaken
        if self._one.contradicted("gripper", stamp_ns, np.array([opening]), now):
            return GuardStatus.HALT_TWO_COMMANDERS
        self._last_opening, self._opening_received = (stamp_ns, opening), now
        return None if self._halted(now) else opening

    def gripper_goes_on(self, now_ns: int, now: float) -> bool:
        """Whether a goal may still be sent for the last opening: someone commands the arm and that opening."""
        if self._reason(now_ns, now) not in (None, GuardStatus.HALT_GRIPPER) or self._last_opening is None:
            return False
        stamp_ns = self._last_opening[0]
        return stamp_ns <= now_ns and not self._old(stamp_ns, self._opening_received, now_ns, now)

    def output(self, now_ns: int, now: float) -> NDArray[np.float64] | None:
        """The twist to tell the robot now, (6,) [m/s, rad/s]; None for nothing."""
        reason = self._reason(now_ns, now)
        if reason is None:
            if self._waiting is not None and now_ns // self._period_ns != self._tick:
                self._step(now_ns)
            self.status = self.guard.status
            self._halts_left = self._halt_messages
            return self._allowed
        self.status = reason
        self._waiting = None
        if self._halts_left == 0:
            self.guard.reset(self.guard.gripper_opening)  # at rest for long: what comes next ramps in
            return None
        # kept, so that whatever ends the halt, no velocity from before it goes out again
        if now >= self._next_brake:
            self._next_brake = now + self._period
            self._allowed = self.guard.halt(0, reason).twist
        if not self._allowed.any():
            self._halts_left -= 1
        return self._allowed

    def _wrong(self, stamp_ns: int, numbers: NDArray[np.float64], now_ns: int) -> GuardStatus | None:
        if not within(numbers, VELOCITY_BOUND):
            return GuardStatus.HALT_COMMAND_NOT_FINITE
        if stamp_ns > now_ns:
            return GuardStatus.HALT_COMMAND_FROM_THE_FUTURE
        if now_ns - stamp_ns > self._max_age * NANOSECONDS:
            return GuardStatus.HALT_COMMAND_STALE
        return None

    def _halted(self, now: float) -> bool:
        return bool(self.guard.stopped or self.unresponsive or self._one.in_conflict(now))

    def _reason(self, now_ns: int, now: float) -> GuardStatus | None:
        """Why the arm is halted; None if it is not."""
        if self.guard.stopped:
            return GuardStatus.STOPPED
        if self._one.in_conflict(now):
            return GuardStatus.HALT_TWO_COMMANDERS
        if self.unresponsive:
            return GuardStatus.HALT_ARM_UNRESPONSIVE
        if self._fault is not None:
            return self._fault
        if self._last is None:
            return GuardStatus.HALT_COMMAND_STALE
        if now_ns < self._last[0]:  # the clock was set back
            return GuardStatus.HALT_COMMAND_FROM_THE_FUTURE
        if self._old(self._last[0], self._received, now_ns, now):
            return GuardStatus.HALT_COMMAND_STALE
        if self.gripper_fault:  # last: in this halt the gripper goes on, and so only with fresh commands
            return GuardStatus.HALT_GRIPPER
        return None

    def _old(self, stamp_ns: int, received: float, now_ns: int, now: float) -> bool:
        return now - received > self._max_age or now_ns - stamp_ns > self._max_age * NANOSECONDS


def _shortened(velocity: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """A finite velocity, (3,), no longer than `most`, in the same unit."""
    largest = float(np.abs(velocity).max())
    if largest == 0.0:
        return velocity
    length = largest * float(np.linalg.norm(velocity / largest))  # the square of a huge number would overflow
    return velocity if length <= most else velocity / largest * (most * largest / length)
