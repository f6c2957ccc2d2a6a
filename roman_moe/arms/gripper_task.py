"""One commanded opening of a gripper, followed through goals and results until the fingers are there or hold something.

An action's report is not enough, so the fingers decide. franka_gripper aborts a grasp that holds an object thicker than
its tolerance. A parallel_gripper_action_controller may report a stall before the fingers have begun to move.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from roman_moe.arms.config import GripperConfig
from roman_moe.arms.estimates import HELD_APART, holds

TRIES = 3  # goals for one opening, until the gripper counts as failed
RETRY_PERIOD = 0.5  # [s] from one goal's failure to the next goal
SETTLE_TIME = 1.0  # [s] after a result, for which fingers that stand elsewhere may yet begin to move


class GripperTaskState(enum.Enum):
    """How far a task has come."""

    TO_SEND = "to be sent"
    SENT = "sent"
    MOVING = "moving"
    SETTLING = "settling"
    REACHED = "reached"
    HOLDING = "holding"
    FAILED = "failed"


class GripperTask:
    """Follows one commanded opening. Times are of a steady clock [s].

    Args:
        opening: commanded, within the gripper's range [m].
        on_failure: called with the reason whenever a goal comes to nothing.

    Attributes:
        tries: goals sent so far; what is reported of an earlier one than the last is history.
        trouble: why the last goal came to nothing, until one has been reached; else empty.
    """

    def __init__(self, opening: float, config: GripperConfig, on_failure: Callable[[str], None]) -> None:
        self.opening = opening
        self.state = GripperTaskState.TO_SEND
        self.tries = 0
        self.trouble = ""
        self._config, self._on_failure = config, on_failure
        self._result = ""  # of a goal whose fingers are still to be seen
        self._ended = 0.0  # when that result came
        self._next = 0.0  # when the state ends by itself, or may begin

    def due(self, now: float) -> bool:
        """Whether a goal is to be sent now."""
        return self.state is GripperTaskState.TO_SEND and now >= self._next

    def sent(self, now: float) -> None:
        self.tries += 1
        self._enter(GripperTaskState.SENT, now + self._config.answer_timeout)

    def accepted(self, now: float) -> None:
        self._enter(GripperTaskState.MOVING, now + self._config.timeout)

    def ended(self, status: str, reached: bool, stalled: bool, now: float) -> None:
        """The goal's result: status as action_msgs/GoalStatus names it, and what the result says."""
        if status == "SUCCEEDED" and reached:
            self._done(GripperTaskState.REACHED, now)
        elif status in ("SUCCEEDED", "ABORTED"):
            self._result = f"{status}, {'stalled' if stalled else 'goal not reached'}"
            self._ended = now
            self._enter(GripperTaskState.SETTLING, now + self._config.timeout)
        else:
            self.failed(status, now)

    def failed(self, reason: str, now: float) -> None:
        self.trouble = reason
        self._enter(GripperTaskState.FAILED if self.tries >= TRIES else GripperTaskState.TO_SEND, now + RETRY_PERIOD)
        self._on_failure(reason)

    def update(self, standing: float | None, now: float) -> None:
        """Where the fingers have come to stand since they were commanded [m]; None while they move or are unknown."""
        if self.state is GripperTaskState.SENT and now >= self._next:
            self.failed(f"goal not answered for {self._config.answer_timeout} s", now)
        elif self.state is GripperTaskState.MOVING and now >= self._next:
            self.failed(f"no result for {self._config.timeout} s", now)
        elif self.state is GripperTaskState.SETTLING:
            self._settle(standing, now)

    def _settle(self, standing: float | None, now: float) -> None:
        if standing is not None and abs(standing - self.opening) < HELD_APART:
            self._done(GripperTaskState.REACHED, now)
        elif standing is not None and holds(standing, self.opening, self._config.largest_opening):
            self._done(GripperTaskState.HOLDING, now)
        elif now >= (self._next if standing is None else self._ended + SETTLE_TIME):
            where = "still move" if standing is None else f"stand at {1e3 * standing:.1f} mm"
            self.failed(f"{self._result}: the fingers {where}, {1e3 * self.opening:.1f} mm was commanded", now)

    def _done(self, state: GripperTaskState, now: float) -> None:
        self.trouble = ""
        self._enter(state, now)

    def _enter(self, state: GripperTaskState, until: float) -> None:
        self.state, self._next = state, until

    def __str__(self) -> str:
        return f"{self.state.value}: {1e3 * self.opening:.1f} mm" + (f" ({self.trouble})" if self.trouble else "")
