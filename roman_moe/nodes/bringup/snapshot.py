"""What can be seen of a running graph: the reports of its nodes, who leads, and how often its topics come."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message

from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.base.diagnostics import local_name
from roman_moe.nodes.base.process import PLACEHOLDER
from roman_moe.nodes.base.topics import DIAGNOSTICS, GATE_WEIGHTS, SCENE, TWIST_COMMAND, Topic
from roman_moe.nodes.bringup.graph_client import BLENDER, FIND_TIMEOUT, GATE_NODE, GraphClient, node_of
from roman_moe.wire.bodies import MessageError, hand_in
from roman_moe.wire.codec import decode_weights, read_bodies

EVERY_GRAPH_HAS = ("observer", BLENDER, GATE_NODE)
WITHOUT_WEIGHTS = 2.0  # [s] two reports' time, after which no weights are waited for: a graph at rest sends none
REPORT_TIMEOUT = 8.0  # [s] for each node's report, which comes once a second; as for DDS' discovery on a busy machine


@dataclass
class GraphSnapshot:
    """What was seen of a graph for a while.

    Attributes:
        statuses: last report of each node, by name.
        silences: since that report [s].
        expected: names of nodes that every graph has, or that were discovered.
        rates: of each topic's messages [Hz].
        ages: since the last message of each topic [s].
        skills: that the gate weighs.
        leading: skill of the largest weight, and that weight; None if no weights came.
        hand: its position, (3,) [m], and the fingers' opening [m] in the last scene that could be read.
    """

    statuses: dict[str, DiagnosticStatus] = field(default_factory=dict)
    silences: dict[str, float] = field(default_factory=dict)
    expected: tuple[str, ...] = ()
    rates: dict[str, float] = field(default_factory=dict)
    ages: dict[str, float] = field(default_factory=dict)
    skills: tuple[str, ...] = ()
    leading: tuple[str, float] | None = None
    hand: tuple[NDArray[np.float64], float] | None = None


@dataclass
class TopicCounter:
    """Messages of one topic: how many were sent from the first to the last [s], by their publisher's clock.

    Not by when they are taken from the queue: on a busy machine that comes in heaps.
    """

    first_sent: float
    last_sent: float
    came: float  # [s] monotonic, the last one
    count: int = 1

    def add(self, sent: float, came: float) -> None:
        self.last_sent, self.came, self.count = max(self.last_sent, sent), came, self.count + 1

    def rate(self, now: float) -> float:
        """Of the messages [Hz]; falls while none come."""
        lasted = self.last_sent - self.first_sent
        if self.count < 2 or lasted <= 0.0:
            return 0.0
        late = max(0.0, now - self.came - lasted / (self.count - 1))
        return (self.count - 1) / (lasted + late)


class GraphListener:
    """Listens to a graph for as long as its client is there."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._heard: dict[str, tuple[DiagnosticStatus, float]] = {}  # last report of each node, and when it came [s]
        self._counters: dict[str, TopicCounter] = {}
        self._skills: tuple[str, ...] = ()
        self._leading: tuple[str, float] | None = None
        self._scene: bytes | None = None
        self._listen(SCENE, self._on_scene, True)
        self._listen(GATE_WEIGHTS, self._on_weights, False)
        self._listen(TWIST_COMMAND, lambda _: None, True)
        self._listen(DIAGNOSTICS, self._on_diagnostics, False)

    def find(self) -> bool:
        """Whether anything of the graph is there."""
        return self._client.spin_until(lambda: bool(self._heard), FIND_TIMEOUT)

    def look(self, seconds: float) -> GraphSnapshot:
        """Look for so long [s], and longer until each node that is there has reported, within `REPORT_TIMEOUT`."""
        began = time.monotonic()
        self._counters.clear()
        self._client.spin_until(lambda: False, seconds)
        self._client.spin_until(lambda: self._complete(time.monotonic() - began), REPORT_TIMEOUT)
        now = time.monotonic()
        return GraphSnapshot(
            statuses={name: status for name, (status, _) in sorted(self._heard.items())},
            silences={name: now - when for name, (_, when) in self._heard.items()},
            expected=tuple(sorted(self._expected())),
            rates={name: counter.rate(now) for name, counter in sorted(self._counters.items())},
            ages={name: now - counter.came for name, counter in sorted(self._counters.items())},
            skills=self._skills,
            leading=self._leading,
            hand=self._hand(),
        )

    def _complete(self, seconds: float) -> bool:
        return (bool(self._skills) or seconds > WITHOUT_WEIGHTS) and self._expected() <= self._heard.keys()

    def _expected(self) -> set[str]:
        node, space = self._client.node, self._client.namespace
        ends = node.get_publishers_info_by_topic(DIAGNOSTICS.name)
        there = {end.node_name for end in ends if end.node_namespace == space and PLACEHOLDER not in end.node_name}
        return {*EVERY_GRAPH_HAS, *(node_of(skill) for skill in self._skills), *there}

    def _listen(self, topic: Topic, handle: Callable[[Any], None], raw: bool) -> None:
        def on_message(message: Any, info: Any) -> None:
            sent, came = info["source_timestamp"] / NANOSECONDS, time.monotonic()
            if topic.name in self._counters:
                self._counters[topic.name].add(sent, came)
            else:
                self._counters[topic.name] = TopicCounter(sent, sent, came)
            handle(message)

        self._client.node.create_subscription(topic.kind, topic.name, on_message, topic.qos, raw=raw)

    def _on_scene(self, data: bytes) -> None:
        self._scene = data

    def _hand(self) -> tuple[NDArray[np.float64], float] | None:
        if self._scene is None:
            return None
        with contextlib.suppress(MessageError):
            message = deserialize_message(self._scene, SCENE.kind)
            return hand_in(read_bodies(SCENE.name, message, tuple(message.joint_names)))
        return None

    def _on_weights(self, message: Any) -> None:
        with contextlib.suppress(MessageError):
            weights = decode_weights(message, message.name)
            self._skills = tuple(message.name)
            leading = int(np.argmax(weights))
            self._leading = message.name[leading], float(weights[leading])

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = local_name(status, self._client.namespace)
            if name is not None:
                self._heard[name] = status, time.monotonic()
