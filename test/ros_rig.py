"""A rig for real rclpy graphs in one process, closed to all others: nodes under test, injected messages, no sleeps."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.context import Context
from rclpy.node import Node

from roman_moe.nodes.base import RomanNode
from roman_moe.nodes.process import make_executor
from roman_moe.nodes.topics import DIAGNOSTICS, Topic

TIMEOUT = 20.0  # [s] for what takes milliseconds: only a hang reaches it

N = TypeVar("N", bound=Node)
R = TypeVar("R", bound=RomanNode)


class Rig:
    """One context with an executor: `add` nodes, `send` messages to them, look at what was `heard`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._executor = make_executor(context)
        self._nodes: list[Node] = []
        self._publishers: dict[str, Any] = {}
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self._probe = Node("probe", context=context)
        self._executor.add_node(self._probe)
        self.listen(DIAGNOSTICS)

    def add(self, kind: type[R], name: str | None = None, **parameters: Any) -> R:
        node = self.join(lambda context: kind(name, context=context, parameters=parameters))
        node.start()
        return node

    def join(self, make: Callable[[Context], N]) -> N:
        node = make(self._context)
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def remove(self, node: Node) -> None:
        self._executor.remove_node(node)
        self._nodes.remove(node)
        node.destroy_node()

    def listen(self, topic: Topic) -> None:
        def on_message(message: Any) -> None:
            self.heard[topic.name].append(message)

        self._probe.create_subscription(topic.kind, topic.name, on_message, topic.qos)

    def send(self, topic: Topic, *messages: Any) -> None:
        if topic.name not in self._publishers:
            self._publishers[topic.name] = self._probe.create_publisher(topic.kind, topic.name, topic.qos)
        publisher = self._publishers[topic.name]
        self.spin_until(lambda: publisher.get_subscription_count() > 0)
        for message in messages:
            publisher.publish(message)

    def spin_until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, f"did not happen; heard {[(k, len(v)) for k, v in self.heard.items()]}"
            self._executor.spin_once(timeout_sec=0.01)

    def last(self, topic: Topic, count: int = 1) -> Any:
        """The latest message once there have been `count`."""
        self.spin_until(lambda: len(self.heard[topic.name]) >= count)
        return self.heard[topic.name][-1]

    def said(self, node: str, text: str) -> bool:
        """Whether any report of a node about itself had this text."""
        return any(text in s.message for a in self.heard[DIAGNOSTICS.name] for s in a.status if s.name == node)

    def reported(self, node: str, kind: str) -> int:
        """How many cases of one kind of trouble a node's last report counts."""
        statuses = [s for array in self.heard[DIAGNOSTICS.name] for s in array.status if s.name == node]
        return sum(int(v.value) for v in statuses[-1].values if v.key == kind) if statuses else 0

    def close(self) -> None:
        self._executor.shutdown()
        for node in [*self._nodes, self._probe]:
            node.destroy_node()
