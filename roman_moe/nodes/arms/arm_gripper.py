"""Commands a real arm's gripper: by control_msgs' actions if they are installed, else by a topic.

A gripper that is unreachable or does not follow its commands is reported, and the arm halts.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from roman_moe.arms.config import GripperConfig
from roman_moe.arms.convert import gripper_position, reachable
from roman_moe.arms.gripper_task import GripperTask, GripperTaskState
from roman_moe.core.errors import MissingDependencyError, RomanError
from roman_moe.nodes.base.node import RomanNode

REPEAT_PERIOD = 0.5  # [s] after which a topic's opening is published again: a subscriber may have come later

_STATUS = {
    GoalStatus.STATUS_SUCCEEDED: "SUCCEEDED",
    GoalStatus.STATUS_ABORTED: "ABORTED",
    GoalStatus.STATUS_CANCELED: "CANCELED: by another client of the action?",
}
_UNKNOWN = "UNKNOWN: was the action server restarted?"


def make_gripper(
    node: Node, config: GripperConfig, on_failure: Callable[[str], None], steady: Callable[[], float] = time.monotonic
) -> Gripper:
    """The way that the configuration names and this installation has.

    Args:
        on_failure: called with the reason whenever a goal comes to nothing.
        steady: the clock that times what it does [s].

    Raises:
        MissingDependencyError: if there is none.
    """
    instead = ""
    if config.action:
        try:
            kind = getattr(importlib.import_module("control_msgs.action"), config.action_type)
            return ActionGripper(node, config, kind, on_failure, steady)
        except (ImportError, AttributeError):
            needs = f"action {config.action} needs control_msgs with {config.action_type}"
            if not config.topic:
                raise MissingDependencyError(
                    f"gripper {needs}: install ROS's control-msgs, or name a topic in the arm's file (gripper: topic)"
                ) from None
            instead = f" ({needs}, which is not installed)"
    return TopicGripper(node, config, instead)


def require(node: RomanNode, gripper: Gripper, timeout: float) -> None:
    """Wait until a gripper can be reached, for up to `timeout` [s]: discovery takes a moment.

    Raises:
        RomanError: if it cannot.
    """
    if reason := node.wait_while("the gripper", gripper.absent, timeout):
        raise RomanError(
            f"{reason} within {timeout} s: start the gripper's driver, or correct `gripper` in the "
            "arm's file; --read-only needs no gripper"
        )


class TopicGripper:
    """Publishes a JointState or a Float64MultiArray, again and again; what it comes to, only the fingers show.

    `instead`: why it is no action, in words.
    """

    def __init__(self, node: Node, config: GripperConfig, instead: str = "") -> None:
        self._node, self._config, self._instead = node, config, instead
        kind = JointState if config.topic_type == "JointState" else Float64MultiArray
        self._publisher = node.create_publisher(kind, config.topic, 10)
        self._opening: float | None = None
        self._next = 0.0
        self.how = f"topic {config.topic} ({config.topic_type})"

    def absent(self) -> str:
        if self._publisher.get_subscription_count():
            return ""
        return f"nobody subscribes to {self._config.topic}{self._instead}"

    def command(self, opening: float) -> None:
        """From now on this opening is wanted [m]."""
        self._opening, self._next = opening, 0.0

    def step(self, standing: float | None, now: float) -> None:
        """Publish it if it is due."""
        if self._opening is None or now < self._next:
            return
        self._next = now + REPEAT_PERIOD
        positions = [gripper_position(self._opening, self._config)] * len(self._config.joints)
        if self._config.topic_type == "JointState":
            message: Any = JointState(name=list(self._config.joints), position=positions)
            message.header.stamp = self._node.get_clock().now().to_msg()
        else:
            message = Float64MultiArray(data=positions)
        self._publisher.publish(message)

    def trouble(self) -> str:
        """A topic has no answer."""
        return ""

    def retry(self) -> None:
        """It never gives up."""

    def stop(self) -> bool:
        """What was published cannot be taken back."""
        return False

    def state(self) -> str:
        """What it does, in words."""
        return "not commanded yet" if self._opening is None else f"published: {1e3 * self._opening:.1f} mm"

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)


class ActionGripper:
    """Sends a goal for each opening, and follows it; goals that fail are sent again, a few times and no more.

    Times are of a steady clock [s].

    Attributes:
        how: the gripper is commanded, in words.
    """

    def __init__(
        self,
        node: Node,
        config: GripperConfig,
        kind: Any,
        on_failure: Callable[[str], None],
        steady: Callable[[], float],
    ) -> None:
        self._config, self._kind, self._on_failure, self._steady = config, kind, on_failure, steady
        self._task: GripperTask | None = None
        self._idle = "not commanded yet"  # what it does without a task, in words
        self._under_way: Any = None  # future of the goal whose result has not come yet
        self._client: Any = ActionClient(node, kind, config.action)
        self.how = f"action {config.action} ({config.action_type})"

    def absent(self) -> str:
        """Why the gripper cannot be reached at present; empty if it can. What it did begins anew when it is back."""
        if self._client.server_is_ready():
            return ""
        if self._task is not None and self._task.state is not GripperTaskState.TO_SEND:
            self.command(self._task.opening)
        self._under_way = None
        return f"no action server {self._config.action}"

    def command(self, opening: float) -> None:
        self._task = GripperTask(reachable(opening, self._config), self._config, self._on_failure)

    def step(self, standing: float | None, now: float) -> None:
        """Follow the goal, and send one if it is due.

        `standing`: where the fingers have come to stand [m]; None while they move.
        """
        task = self._task
        if task is None:
            return
        task.update(standing, now)
        if task.due(now) and self._client.server_is_ready():
            task.sent(now)
            answer = self._under_way = self._client.send_goal_async(self._goal(task.opening))
            answer.add_done_callback(self._done(task, self._on_answer))

    def _goal(self, opening: float) -> Any:
        config, goal = self._config, self._kind.Goal()
        position = gripper_position(opening, config)
        if config.action_type == "GripperCommand":
            goal.command.position, goal.command.max_effort = position, config.max_effort
        else:
            goal.command.name = list(config.joints)
            goal.command.position = [position]
            goal.command.effort = [config.max_effort]
        return goal

    def _done(self, task: GripperTask, handle: Callable[[GripperTask, Any], None]) -> Callable[[Any], None]:
        """A future's callback for the present goal; whatever the future or `handle` raises is the goal's failure."""
        number = task.tries

        def done(future: Any) -> None:
            if task is not self._task or number != task.tries:
                return  # of a goal that another has replaced
            try:
                handle(task, future.result())
            except Exception as error:  # noqa: BLE001 (out of a callback it would end the executor)
                task.failed(f"{type(error).__name__}: {error}", self._steady())

        return done

    def _on_answer(self, task: GripperTask, handle: Any) -> None:
        now = self._steady()
        if not handle.accepted:
            self._under_way = None
            task.failed("goal rejected", now)
            return
        task.accepted(now)
        handle.get_result_async().add_done_callback(self._done(task, self._on_result))

    def _on_result(self, task: GripperTask, answer: Any) -> None:
        self._under_way = None
        result = answer.result
        task.ended(_STATUS.get(answer.status, _UNKNOWN), result.reached_goal, result.stalled, self._steady())

    def trouble(self) -> str:
        """Why the gripper does not do what it is commanded; empty as far as it does."""
        return f"{self._config.action}: {self._task.trouble}" if self._task is not None and self._task.trouble else ""

    def retry(self) -> None:
        """Begin again with what it has given up."""
        if self._task is not None and self._task.state is GripperTaskState.FAILED:
            self.command(self._task.opening)

    def stop(self) -> bool:
        """Cancel a goal that is under way, and send none; a goal whose result has come is left as it is.

        Returns:
            whether the opening has to be commanded again.
        """
        task, goal = self._task, self._under_way
        if task is None or (goal is None and task.state is not GripperTaskState.TO_SEND):
            return False
        if goal is not None:
            goal.add_done_callback(self._cancel)  # at once, or as soon as the gripper has taken it
        self._task, self._under_way = None, None
        self._idle = f"stopped on the way to {1e3 * task.opening:.1f} mm"
        return True

    def _cancel(self, goal: Any) -> None:
        try:
            if goal.result().accepted:
                goal.result().cancel_goal_async().add_done_callback(self._on_cancelled)
        except Exception as error:  # noqa: BLE001 (out of a callback it would end the executor)
            self._on_failure(f"the goal could not be cancelled: {type(error).__name__}: {error}")

    def _on_cancelled(self, answer: Any) -> None:
        cancelled = answer.result()
        ended = cancelled.return_code in (
            CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID,
            CancelGoal.Response.ERROR_GOAL_TERMINATED,
        )
        if not (ended or cancelled.goals_canceling):  # rclpy's servers refuse without a code
            self._on_failure("the gripper refuses to cancel its goal")

    def state(self) -> str:
        return self._idle if self._task is None else str(self._task)

    def close(self) -> None:
        self._task = None
        self._client.destroy()


Gripper = TopicGripper | ActionGripper
