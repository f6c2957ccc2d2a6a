"""The guard: the only way to an arm. Blender and teleoperation send nothing but what it lets through.

It bounds speed, acceleration and jerk of the hand, linear and angular, and its workspace, ramps in from rest, and has
one named reaction to each thing that can go wrong, with a code in the style of MoveIt Servo's. Where limits contradict
each other, the workspace wins over acceleration, and all others over jerk: a stop is as hard as the acceleration
allows. Along one axis, the workspace asks for no more than the acceleration of a hand that moves as it is told (see
`Limits`); it wins where the hand is not where it was told to be, and where several axes are slowed at once.

It is software: its stop is no safety-rated emergency stop (IEC 60204-1), and replaces none.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.limits import Limits
from roman_moe.core.action import Command
from roman_moe.core.spec import GripperSpec

_TINY = 1e-12
_HUGE = 1e100  # lengths from which products with them may overflow


class GuardStatus(enum.IntEnum):
    """What the guard does to the commands, and why. The larger the code, the graver.

    0: all goes through. From 1: it goes through, limited. From 9: the arm comes to rest, and goes on as soon as the
    reason is gone. 20: it rests until it is re-armed.
    """

    NO_WARNING = 0
    RAMPING_IN = 1
    LIMITED_SPEED = 2
    LIMITED_ACCELERATION = 3
    LIMITED_JERK = 4
    SLOWED_AT_WORKSPACE_EDGE = 5
    EXPERTS_MASKED = 6
    LIMITED_GRIPPER = 7
    HALT_GRIPPER = 9
    HALT_EXPERTS_SILENT = 10
    HALT_GATE_SILENT = 11
    HALT_OBSERVER_SILENT = 12
    HALT_SCENE_NOT_FINITE = 13
    HALT_OBJECTS_STALE = 14
    HALT_COMMAND_NOT_FINITE = 15
    HALT_COMMAND_STALE = 16
    HALT_COMMAND_FROM_THE_FUTURE = 17
    HALT_TWO_COMMANDERS = 18
    HALT_ARM_UNRESPONSIVE = 19
    STOPPED = 20

    @property
    def halts(self) -> bool:
        """Whether the arm is brought to rest."""
        return self >= GuardStatus.HALT_GRIPPER


class Guard:
    """Lets commands through to one arm, one a control period.

    Attributes:
        limits: that it enforces.
        status: of the last command.
        gripper_opening: last let through, which stays whenever the arm is halted [m].
    """

    def __init__(self, limits: Limits, period: float, gripper: GripperSpec) -> None:
        """`period`: from one command to the next [s]."""
        self.limits = limits
        self._period = period
        self._gripper = gripper
        self._slow_down = max(limits.slow_down, limits.speed * period)  # or one period would carry it past a face
        self._stopped = False
        self._linear = _Motion(limits.speed, limits.acceleration, limits.jerk, period)
        self._angular = _Motion(limits.angular_speed, limits.angular_acceleration, limits.angular_jerk, period)
        self.reset()

    def reset(self, gripper_opening: float | None = None) -> None:
        """The arm is at rest with its gripper told to open so far [m]: the next motion ramps in. A stop stays.

        The gripper is open, if it is not given.
        """
        self.gripper_opening = self._gripper.open if gripper_opening is None else gripper_opening
        self.status = GuardStatus.STOPPED if self._stopped else GuardStatus.NO_WARNING
        self._linear.reset()
        self._angular.reset()
        self._rest()

    def _rest(self) -> None:
        self._moving = 0.0  # [s] since the motion began to ramp in
        self._halted = 0.0  # [s]

    @property
    def stopped(self) -> bool:
        """Whether it waits to be re-armed."""
        return self._stopped

    def stop(self) -> None:
        """Software stop: the arm comes to rest and stays there until `rearm`."""
        self._stopped = True

    def rearm(self) -> None:
        """Let commands through again, from rest."""
        if self._stopped:
            self._stopped = False
            self._rest()

    def allow(
        self,
        command: Command,
        hand_position: NDArray[np.float64],
        status: GuardStatus = GuardStatus.NO_WARNING,
    ) -> Command:
        """What of a command may go to the arm.

        Args:
            command: wanted.
            hand_position: in the base frame, (3,) [m].
            status: what the sender has to say about the command itself, such as EXPERTS_MASKED.
        """
        if self._stopped:
            return self.halt(command.stamp_ns, GuardStatus.STOPPED)
        position = hand_position.tolist()
        if not (command.is_finite() and all(map(math.isfinite, position))):
            return self.halt(command.stamp_ns, GuardStatus.HALT_COMMAND_NOT_FINITE)
        limits = self.limits
        if self._halted > limits.max_command_age:  # shorter pauses are bridged by the limits on acceleration and jerk
            self._rest()
        self._halted = 0.0
        self._moving = min(self._moving + self._period, limits.ramp)
        share, ramping = self._moving / limits.ramp, self._moving < limits.ramp
        if not (self._linear.is_within(share) and self._angular.is_within(share)):
            return self.halt(command.stamp_ns, GuardStatus.RAMPING_IN)  # it brakes until the ramp takes over

        done = self._linear.follow(
            command.linear_velocity.tolist(), share, lambda velocity: self._within_workspace(velocity, position)
        )
        if command.turns or self._angular.moves:
            done |= self._angular.follow(command.angular_velocity.tolist(), share)
        opening = min(max(command.gripper_opening, self._gripper.closed), self._gripper.open)
        if opening != command.gripper_opening:
            status = max(status, GuardStatus.LIMITED_GRIPPER)
        if done:
            status = max(status, *_reasons(done, ramping))
        self.gripper_opening = opening
        self.status = status
        if not done and opening == command.gripper_opening:
            return command
        return self._command(command.stamp_ns)

    def halt(self, stamp_ns: int, status: GuardStatus) -> Command:
        """The command that brings the arm to rest, as fast as the limit on acceleration allows.

        Args:
            stamp_ns: of the scene that should have been answered [ns].
            status: why.
        """
        self._linear.brake()
        self._angular.brake()
        self._halted += self._period
        self.status = GuardStatus.STOPPED if self._stopped else status
        return self._command(stamp_ns)

    def _command(self, stamp_ns: int) -> Command:
        linear, angular = np.array(self._linear.velocity), np.array(self._angular.velocity)
        return Command(stamp_ns, linear, self.gripper_opening, angular)

    def _within_workspace(self, velocity: list[float], position: list[float]) -> tuple[list[float], bool]:
        """The velocity with each component towards a near face shortened, and whether one was."""
        limits, slow_down = self.limits, self._slow_down
        result, slowed = velocity, False
        for i, (v, p) in enumerate(zip(velocity, position, strict=True)):
            room = limits.workspace_high[i] - p if v > 0.0 else p - limits.workspace_low[i]
            if room < slow_down:
                most = limits.speed * max(0.0, room / slow_down)
                if abs(v) > most:
                    if not slowed:
                        result, slowed = list(velocity), True
                    result[i] = math.copysign(most, v)
        return result, slowed


class _Limited(enum.IntFlag):
    """What kept a motion from what was wanted."""

    NOTHING = 0
    SPEED = 1
    ACCELERATION = 2
    JERK = 4
    CONFINED = 8


def _reasons(done: int, ramping: bool) -> list[GuardStatus]:
    return [
        reason
        for limited, reason in (
            (_Limited.SPEED, GuardStatus.RAMPING_IN if ramping else GuardStatus.LIMITED_SPEED),
            (_Limited.ACCELERATION, GuardStatus.LIMITED_ACCELERATION),
            (_Limited.JERK, GuardStatus.LIMITED_JERK),
            (_Limited.CONFINED, GuardStatus.SLOWED_AT_WORKSPACE_EDGE),
        )
        if limited & done
    ]


def _free(velocity: list[float]) -> tuple[list[float], bool]:
    return velocity, False


class _Motion:
    """A velocity, linear or angular, that follows what is wanted within its limits.

    Attributes:
        velocity: told last, three numbers.
    """

    def __init__(self, speed: float, acceleration: float, jerk: float, period: float) -> None:
        self._speed, self._most_acceleration, self._jerk, self._period = speed, acceleration, jerk, period
        self.reset()

    def reset(self) -> None:
        """It rests."""
        self.velocity = [0.0, 0.0, 0.0]
        self._acceleration = [0.0, 0.0, 0.0]
        self._lags = False  # behind what was wanted, for want of acceleration or jerk

    @property
    def moves(self) -> bool:
        """Whether it does not rest, or has come to rest only just now: the jerk counts from there."""
        return any(self.velocity) or any(self._acceleration)

    def is_within(self, share: float) -> bool:
        """Whether it is no faster than a share of its top speed."""
        return math.hypot(*self.velocity) <= self._speed * share + _TINY

    def follow(
        self,
        wanted: list[float],
        share: float,
        confined: Callable[[list[float]], tuple[list[float], bool]] = _free,
    ) -> int:
        """Take up as much of a wanted velocity as the limits allow; what limited it.

        Args:
            share: of the top speed that is allowed.
            confined: shortens a velocity to what the place allows, and says whether it did.
        """
        period, before, most = self._period, self.velocity, self._speed * share
        velocity, capped = _shortened(wanted, most)
        velocity, slowed = confined(velocity)
        change = [(v - b) / period for v, b in zip(velocity, before, strict=True)]
        change, jerked = self._within_jerk(change)
        change, pushed = _shortened(change, self._most_acceleration)
        if jerked or pushed:
            velocity = [b + c * period for b, c in zip(before, change, strict=True)]
            velocity, late = confined(velocity)
            velocity, over = _shortened(velocity, most)
            slowed, capped = slowed or late, capped or over
            change = [(v - b) / period for v, b in zip(velocity, before, strict=True)]
        self._acceleration, self.velocity = change, velocity
        self._lags = jerked or pushed
        return (
            _Limited.SPEED * capped
            | _Limited.CONFINED * slowed
            | _Limited.JERK * jerked
            | _Limited.ACCELERATION * pushed
        )

    def brake(self) -> None:
        """Come to rest, as fast as the limit on acceleration allows."""
        speed = math.hypot(*self.velocity)
        left = max(0.0, speed - self._most_acceleration * self._period)
        self.velocity = [v * left / speed for v in self.velocity] if left > _TINY else [0.0, 0.0, 0.0]
        self._acceleration = [0.0, 0.0, 0.0]  # or the jerk would have what follows brake on, through rest and beyond
        self._lags = False

    def _within_jerk(self, change: list[float]) -> tuple[list[float], bool]:
        """The acceleration that is wanted, or as near to it as the jerk allows, and whether it falls short.

        An arm that lags behind what is wanted catches up with no more acceleration than it can shed again until it is
        there: told to rest, it must not swing through rest to the other side. To shed an acceleration a takes the
        velocity on by a^2 / (2 jerk) + a period / 2.
        """
        jerk, period = self._jerk, self._period
        step = jerk * period
        _, short = _towards(self._acceleration, change, step)
        if not (short or self._lags):
            return change, False
        gap = math.hypot(*change) * period  # to the wanted velocity
        change, early = _shortened(change, math.sqrt(0.25 * step * step + 2.0 * jerk * gap) - 0.5 * step)
        near, short = _towards(self._acceleration, change, step)
        return near, short or early


def _shortened(vector: list[float], most: float) -> tuple[list[float], bool]:
    """The vector, no longer than `most`, and whether it was."""
    length = math.hypot(*vector)
    if length <= most + _TINY:
        return vector, False
    if length > _HUGE:
        vector = [x / _HUGE for x in vector]
        length = math.hypot(*vector)
    return [x * most / length for x in vector], True


def _towards(origin: Sequence[float], target: list[float], most: float) -> tuple[list[float], bool]:
    """As far from origin to target as `most`, and whether that is not all the way."""
    step, short = _shortened([t - o for t, o in zip(target, origin, strict=True)], most)
    return ([o + s for o, s in zip(origin, step, strict=True)], True) if short else (target, False)
