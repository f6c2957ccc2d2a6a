"""The guard: every command of blender and teleoperation to an arm passes it.

It bounds speed, acceleration and jerk of the hand, linear and angular, and its workspace, and it ramps in from rest. It
has one named reaction to each fault, with a code in the style of MoveIt Servo's. If limits conflict, the workspace has
priority over acceleration, and all others over jerk: a stop is as hard as the acceleration allows. Along one axis, the
workspace needs no more than the allowed acceleration if the hand follows its commands (see `Limits`). The workspace
overrides acceleration if the hand does not follow, or if several axes are slowed at once.

It is software: its stop is no safety-rated emergency stop (IEC 60204-1), and replaces none.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.limits import Limits
from roman_moe.core.action import Command
from roman_moe.core.spec_parts import GripperSpec
from roman_moe.core.state import AT_REST

_TINY = 1e-12
_HUGE = 1e100  # lengths from which products with them may overflow

_Vector = tuple[float, float, float]  # of so few numbers, faster than an array
_Bounds = tuple[_Vector, _Vector]  # least and greatest of a vector's components
_REST = (0.0, 0.0, 0.0)


class GuardStatus(enum.IntEnum):
    """The guard's reaction and its reason. Higher codes are more severe.

    0: all goes through. From 1: it goes through, limited. From 9: the arm comes to rest, and goes on as soon as the
    reason is gone. 20: it is stopped until it is re-armed.
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
    """Limits the commands to one arm, one per control period.

    Attributes:
        status: of the last command.
        gripper_opening: last let through, which stays whenever the arm is halted [m].
        stopped: whether it waits to be re-armed.
    """

    def __init__(self, limits: Limits, period: float, gripper: GripperSpec) -> None:
        """`period`: from one command to the next [s]."""
        self.limits = limits
        self._period = period
        self._gripper = gripper
        self._slow_down = max(limits.slow_down, limits.speed * period)  # or one period would carry it past a face
        self.stopped = False
        self._early = False  # whether the last halt came before its period
        self._linear = _Motion(limits.speed, limits.acceleration, limits.jerk, period)
        self._angular = _Motion(limits.angular_speed, limits.angular_acceleration, limits.angular_jerk, period)
        self.reset()

    def reset(self, gripper_opening: float | None = None) -> None:
        """The arm is at rest with its gripper told to open so far [m]: the next motion ramps in. A stop stays.

        The gripper is open, if it is not given.
        """
        self.gripper_opening = self._gripper.open if gripper_opening is None else gripper_opening
        self.status = GuardStatus.STOPPED if self.stopped else GuardStatus.NO_WARNING
        self._linear.reset()
        self._angular.reset()
        self._rest()

    def _rest(self) -> None:
        self._moving = 0.0  # [s] since the motion began to ramp in
        self._halted = 0.0  # [s]

    def stop(self) -> None:
        """Software stop: the arm comes to rest and stays there until `rearm`."""
        self.stopped = True

    def rearm(self) -> None:
        """Let commands through again, from rest."""
        if self.stopped:
            self.stopped = self._early = False
            self._rest()

    def allow(
        self,
        command: Command,
        hand_position: NDArray[np.float64],
        status: GuardStatus = GuardStatus.NO_WARNING,
    ) -> Command:
        """What of a command may go to the arm.

        Args:
            hand_position: in the base frame, (3,) [m].
            status: what the sender has to say about the command itself, such as EXPERTS_MASKED.
        """
        if self.stopped:
            return self.halt(command.stamp_ns, GuardStatus.STOPPED)
        position = hand_position.tolist()
        if not (command.is_finite() and all(map(math.isfinite, position))):
            return self.halt(command.stamp_ns, GuardStatus.HALT_COMMAND_NOT_FINITE)
        share = self._ramp_in()
        if not (self._linear.is_within(share) and self._angular.is_within(share)):
            return self.halt(command.stamp_ns, GuardStatus.RAMPING_IN)  # it brakes until the ramp takes over
        limited = self._follow(command, position, share)
        wanted = command.gripper_opening
        self.gripper_opening = min(max(wanted, self._gripper.closed), self._gripper.open)
        if self.gripper_opening != wanted:
            status = max(status, GuardStatus.LIMITED_GRIPPER)
        self.status = max(status, limited)
        if limited or self.gripper_opening != wanted:
            return self._command(command.stamp_ns)
        return command

    def _ramp_in(self) -> float:
        """The share of the top speeds that the ramp allows in this period."""
        limits = self.limits
        if self._halted > limits.max_command_age:  # shorter pauses are bridged by the limits on acceleration and jerk
            self._rest()
        self._halted = 0.0
        self._moving = min(self._moving + self._period, limits.ramp)
        return self._moving / limits.ramp

    def _follow(self, command: Command, position: Sequence[float], share: float) -> GuardStatus:
        """Move as commanded, within the limits and a share of the top speeds; the gravest limit that was met."""
        limited = self._linear.follow(command.linear_velocity.tolist(), share, self._velocity_bounds(position))
        if command.turns or self._angular.moves:
            limited = max(limited, self._angular.follow(command.angular_velocity.tolist(), share))
        if limited is GuardStatus.LIMITED_SPEED and share < 1.0:
            return GuardStatus.RAMPING_IN
        return limited

    def halt(self, stamp_ns: int, status: GuardStatus, early: bool = False) -> Command:
        """The command that brings the arm to rest, as fast as the limit on acceleration allows.

        Args:
            stamp_ns: of the scene that should have been answered [ns].
            early: whether this period has had its command already: the next halt, less than a period later, then
                brakes no further.
        """
        if not self._early:
            self._linear.brake()
            self._angular.brake()
            self._halted += self._period
        self._early = early
        self.status = GuardStatus.STOPPED if self.stopped else status
        return self._command(stamp_ns)

    def _command(self, stamp_ns: int) -> Command:
        angular = self._angular.velocity
        turn = AT_REST if angular is _REST else np.array(angular)
        return Command(stamp_ns, np.array(self._linear.velocity), self.gripper_opening, turn)

    def _velocity_bounds(self, position: Sequence[float]) -> _Bounds | None:
        """Least and greatest velocity along each axis, which shrink to nothing at a face; None away from all faces."""
        limits, slow_down = self.limits, self._slow_down
        x, y, z = position
        (x_low, y_low, z_low), (x_high, y_high, z_high) = limits.workspace_low, limits.workspace_high
        low, high = (x - x_low, y - y_low, z - z_low), (x_high - x, y_high - y, z_high - z)
        if min(*low, *high) >= slow_down:
            return None

        def most(room: float) -> float:
            return limits.speed * max(0.0, room / slow_down) if room < slow_down else math.inf

        return (-most(low[0]), -most(low[1]), -most(low[2])), (most(high[0]), most(high[1]), most(high[2]))


class _Motion:
    """A velocity, linear or angular, that follows the wanted one within its limits.

    Attributes:
        velocity: told last.
    """

    def __init__(self, speed: float, acceleration: float, jerk: float, period: float) -> None:
        self._speed, self._most_acceleration, self._jerk, self._period = speed, acceleration, jerk, period
        self.reset()

    def reset(self) -> None:
        self.velocity = self._acceleration = _REST
        self._lags = False  # behind what was wanted, for want of acceleration or jerk

    @property
    def moves(self) -> bool:
        """Whether it does not rest, or has come to rest only just now: the jerk counts from there."""
        return any(self.velocity) or any(self._acceleration)

    def is_within(self, share: float) -> bool:
        """Whether it is no faster than a share of its top speed."""
        return math.hypot(*self.velocity) <= self._speed * share + _TINY

    def follow(self, wanted: Sequence[float], share: float, bounds: _Bounds | None = None) -> GuardStatus:
        """Take up as much of a wanted velocity as the limits allow; the gravest limit that was met.

        Args:
            wanted: velocity, three numbers.
            share: of the top speed that is allowed.
            bounds: of the velocity's components.
        """
        period, before, most = self._period, self.velocity, self._speed * share
        velocity, capped = _shortened(wanted, most)
        velocity, slowed = _confined(velocity, bounds)
        change, jerked = self._within_jerk(_rate(before, velocity, period))
        change, pushed = _shortened(change, self._most_acceleration)
        if jerked or pushed:
            velocity, late = _confined(_moved(before, change, period), bounds)
            velocity, over = _shortened(velocity, most)
            slowed, capped = slowed or late, capped or over
            change = _rate(before, velocity, period)
        self._acceleration, self.velocity = change, velocity
        self._lags = jerked or pushed
        if slowed:
            return GuardStatus.SLOWED_AT_WORKSPACE_EDGE
        if jerked:
            return GuardStatus.LIMITED_JERK
        if pushed:
            return GuardStatus.LIMITED_ACCELERATION
        return GuardStatus.LIMITED_SPEED if capped else GuardStatus.NO_WARNING

    def brake(self) -> None:
        """Come to rest, as fast as the limit on acceleration allows."""
        speed = math.hypot(*self.velocity)
        left = max(0.0, speed - self._most_acceleration * self._period)
        x, y, z = self.velocity
        self.velocity = (x * left / speed, y * left / speed, z * left / speed) if left > _TINY else _REST
        self._acceleration = _REST  # or the jerk limit keeps decelerating past zero
        self._lags = False

    def _within_jerk(self, change: _Vector) -> tuple[_Vector, bool]:
        """The acceleration that is wanted, or as near to it as the jerk allows, and whether it falls short.

        An arm that lags behind the wanted velocity catches up with limited acceleration: so much that it is back at 0
        when the velocity is reached. Commanded to rest, it must not swing through rest to the other side. To bring an
        acceleration a down to 0 changes the velocity by a^2 / (2 jerk) + a period / 2.
        """
        jerk, period, before = self._jerk, self._period, self._acceleration
        step = jerk * period
        if not (self._lags or math.dist(before, change) > step + _TINY):
            return change, False
        gap = math.hypot(*change) * period  # to the wanted velocity
        change, early = _shortened(change, math.sqrt(0.25 * step * step + 2.0 * jerk * gap) - 0.5 * step)
        near, short = _shortened(_rate(before, change, 1.0), step)
        return (_moved(before, near, 1.0), True) if short else (change, early)


def _rate(before: _Vector, after: _Vector, period: float) -> _Vector:
    """By how much a vector changes a second."""
    (x, y, z), (a, b, c) = before, after
    return (a - x) / period, (b - y) / period, (c - z) / period


def _moved(before: _Vector, rate: _Vector, period: float) -> _Vector:
    """The vector after one period."""
    (x, y, z), (a, b, c) = before, rate
    return x + a * period, y + b * period, z + c * period


def _confined(velocity: _Vector, bounds: _Bounds | None) -> tuple[_Vector, bool]:
    """The velocity within bounds of its components, and whether it was not."""
    if bounds is None:
        return velocity, False
    x, y, z = (min(max(v, low), high) for v, low, high in zip(velocity, *bounds, strict=True))
    return (x, y, z), (x, y, z) != velocity


def _shortened(vector: Sequence[float], most: float) -> tuple[_Vector, bool]:
    """The vector, three numbers, no longer than `most`, and whether it was."""
    x, y, z = vector
    length = math.hypot(x, y, z)
    if length <= most + _TINY:
        return (x, y, z), False
    if length > _HUGE:
        x, y, z = x / _HUGE, y / _HUGE, z / _HUGE
        length = math.hypot(x, y, z)
    return (x * most / length, y * most / length, z * most / length), True
