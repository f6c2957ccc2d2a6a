"""One opening followed: what counts as done, what is tried again, and when it is given up."""

from __future__ import annotations

import pytest

from roman_moe.arms.config import GripperConfig
from roman_moe.arms.gripper_task import RETRY_PERIOD, SETTLE_TIME, TRIES, GripperTask, GripperTaskState

CONFIG = GripperConfig(joints=("a",), action="/g", answer_timeout=1.0, timeout=5.0, largest_opening=0.078)


def task(opening: float = 0.0) -> tuple[GripperTask, list[str]]:
    failures: list[str] = []
    return GripperTask(opening, CONFIG, failures.append), failures


def moving(opening: float = 0.0) -> tuple[GripperTask, list[str]]:
    made, failures = task(opening)
    assert made.due(0.0)
    made.sent(0.0)
    made.accepted(0.1)
    assert not made.due(0.2)
    return made, failures


@pytest.mark.parametrize(
    ("opening", "status", "reached", "stalled", "standing", "state"),
    [
        (0.0, "SUCCEEDED", True, False, None, GripperTaskState.REACHED),
        (0.0, "SUCCEEDED", False, True, 0.02, GripperTaskState.HOLDING),  # allow_stalling
        (0.0, "ABORTED", False, True, 0.02, GripperTaskState.HOLDING),
        (0.0, "ABORTED", False, False, 0.02, GripperTaskState.HOLDING),  # franka_gripper: thicker than its tolerance
        (0.0, "ABORTED", False, False, 0.001, GripperTaskState.REACHED),
        (0.078, "ABORTED", False, False, 0.0775, GripperTaskState.REACHED),
    ],
)
def test_the_fingers_tell_what_a_result_means(
    opening: float, status: str, reached: bool, stalled: bool, standing: float | None, state: GripperTaskState
) -> None:
    made, failures = moving(opening)
    made.ended(status, reached, stalled, 1.0)
    made.update(standing, 1.2)
    assert made.state is state
    assert not made.trouble
    assert not failures
    made.update(standing, 60.0)
    assert not made.due(60.0)  # the same again would only interrupt it


def test_a_stall_reported_before_the_fingers_move_is_no_hold() -> None:
    """robotiq_controllers.yaml: stall_timeout 0.05 s, less than a gripper may take to begin."""
    made, failures = moving()
    made.ended("SUCCEEDED", False, True, 1.0)
    made.update(0.078, 1.2)  # wide open still
    made.update(None, 1.5)  # on its way
    made.update(None, 1.0 + 2 * SETTLE_TIME)
    assert made.state is GripperTaskState.SETTLING
    made.update(0.001, 3.5)
    assert made.state is GripperTaskState.REACHED
    assert not failures


@pytest.mark.parametrize("status", ["CANCELED", "UNKNOWN"])
def test_a_goal_that_was_taken_away_is_sent_again_and_not_for_ever(status: str) -> None:
    made, failures = task()
    now = 0.0
    for number in range(1, TRIES + 1):
        assert made.due(now)
        made.sent(now)
        made.accepted(now)
        made.ended(status, False, False, now)
        assert made.trouble == status
        assert made.tries == number
        assert not made.due(now)
        now += RETRY_PERIOD
    assert made.state is GripperTaskState.FAILED
    assert not made.due(1e6)
    assert failures == [status] * TRIES


def test_a_second_try_that_succeeds_ends_the_trouble() -> None:
    made, _ = moving()
    made.ended("CANCELED", False, False, 1.0)
    assert made.trouble
    made.sent(2.0)
    made.accepted(2.0)
    assert made.trouble  # until the fingers are there
    made.ended("SUCCEEDED", True, False, 3.0)
    assert (made.state, made.trouble) == (GripperTaskState.REACHED, "")


def test_fingers_that_stand_elsewhere_are_a_failure_that_says_where() -> None:
    made, failures = moving(0.078)
    made.ended("ABORTED", False, False, 1.0)
    made.update(0.0, 1.1)
    assert made.state is GripperTaskState.SETTLING
    made.update(0.0, 1.0 + SETTLE_TIME)
    assert failures == ["ABORTED, goal not reached: the fingers stand at 0.0 mm, 78.0 mm was commanded"]


def test_a_gripper_that_does_not_answer_or_does_not_end_is_a_failure() -> None:
    made, failures = task()
    made.sent(0.0)
    made.update(None, 0.9)
    made.update(None, 1.0)
    assert failures == ["goal not answered for 1.0 s"]
    made.sent(2.0)
    made.accepted(2.1)
    made.update(None, 7.0)
    made.update(None, 7.1)
    assert failures[1:] == ["no result for 5.0 s"]
