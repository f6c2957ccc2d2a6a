"""How a real arm's gripper is told to open: through control_msgs' actions where they are installed, else by a topic."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from action_msgs.msg import GoalStatus
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from roman_moe.arms.config import GripperConfig
from roman_moe.arms.convert import gripper_position
from roman_moe.core.errors import MissingDependencyError


class Gripper(Protocol):
    """A way to a gripper."""

    how: str
    """In words, for diagnostics."""

    repeats: bool
    """Whether it may be told the same again and again: a topic's listener may have come later."""

    def send(self, opening: float) -> str:
        """Tell it to open so far [m]; why that cannot be done now, or nothing."""
        ...

    def close(self) -> None:
        """End it."""
        ...


def make_gripper(node: Node, config: GripperConfig, on_failure: Callable[[str], None]) -> Gripper:
    """The way that the configuration wishes and this installation has.

    Args:
        node: to speak as.
        config: of the gripper.
        on_failure: told why what was sent last has come to nothing, where that is known.

    Raises:
        MissingDependencyError: if there is none.
    """
    if config.action:
        try:
            kind = getattr(importlib.import_module("control_msgs.action"), config.action_type)
            return ActionGripper(node, config, kind, on_failure)
        except (ImportError, AttributeError):
            if not config.topic:
                raise MissingDependencyError(
                    f"gripper action {config.action} needs control_msgs with {config.action_type}: install ROS's "
                    "control-msgs, or name a topic in the arm's file (gripper: topic)"
                ) from None
    return TopicGripper(node, config)


class TopicGripper:
    """Publishes a JointState or a Float64MultiArray."""

    repeats = True

    def __init__(self, node: Node, config: GripperConfig) -> None:
        self._node, self._config = node, config
        kind = JointState if config.topic_type == "JointState" else Float64MultiArray
        self._publisher = node.create_publisher(kind, config.topic, 10)
        self.how = f"topic {config.topic} ({config.topic_type})"

    def send(self, opening: float) -> str:
        """Tell it to open so far [m]."""
        position = gripper_position(opening, self._config)
        positions = [position] * len(self._config.joints)
        if self._config.topic_type == "JointState":
            message: Any = JointState(name=list(self._config.joints), position=positions)
            message.header.stamp = self._node.get_clock().now().to_msg()
        else:
            message = Float64MultiArray(data=positions)
        self._publisher.publish(message)
        return ""

    def close(self) -> None:
        """End it."""
        self._node.destroy_publisher(self._publisher)


class ActionGripper:
    """Sends goals, each of which replaces the one before, even if it wants the same."""

    repeats = False

    def __init__(
        self,
        node: Node,
        config: GripperConfig,
        kind: Any,
        on_failure: Callable[[str], None],
        make_client: Callable[[Node, Any, str], Any] | None = None,
    ) -> None:
        if make_client is None:
            from rclpy.action import ActionClient

            make_client = ActionClient
        self._config, self._kind, self._on_failure = config, kind, on_failure
        self._last: Any = None  # goal that was sent
        self._client: Any = make_client(node, kind, config.action)
        self.how = f"action {config.action} ({config.action_type})"

    def send(self, opening: float) -> str:
        """Tell it to open so far [m]; what it comes to is seen in the joint states."""
        if not self._client.server_is_ready():
            return f"no action server {self._config.action}"
        goal = self._kind.Goal()
        position = gripper_position(opening, self._config)
        if self._config.action_type == "GripperCommand":
            goal.command.position, goal.command.max_effort = position, self._config.max_effort
        else:
            goal.command.name = list(self._config.joints)
            goal.command.position = [position] * len(self._config.joints)
            goal.command.effort = [self._config.max_effort] * len(self._config.joints)
        self._last = goal
        self._client.send_goal_async(goal).add_done_callback(partial(self._on_answer, goal))
        return ""

    def _on_answer(self, goal: Any, future: Any) -> None:
        handle = future.result()
        if handle.accepted:
            handle.get_result_async().add_done_callback(partial(self._on_result, goal))
        elif goal is self._last:
            self._on_failure(f"{self._config.action} rejected the goal")

    def _on_result(self, goal: Any, future: Any) -> None:
        answer = future.result()
        # fingers that stall hold something: some controllers call that aborted, and they hold it all the same
        if goal is self._last and answer.status == GoalStatus.STATUS_ABORTED and not answer.result.stalled:
            self._on_failure(f"{self._config.action} aborted the goal")

    def close(self) -> None:
        """End it."""
        self._last = None
        self._client.destroy()
