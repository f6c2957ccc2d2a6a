"""What `roman-moe status` sees: rates by when messages were sent, and every node's report waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.node import Node
from specs import SKILLS

from roman_moe.nodes.base.diagnostics import HARDWARE
from roman_moe.nodes.base.process import ros_context
from roman_moe.nodes.base.topics import CODEC, DIAGNOSTICS, GATE_WEIGHTS
from roman_moe.nodes.bringup import snapshot
from roman_moe.nodes.bringup.graph_client import GraphClient, node_of
from roman_moe.nodes.bringup.snapshot import EVERY_GRAPH_HAS, GraphListener, TopicCounter


def counted(sent: list[float], came: list[float]) -> TopicCounter:
    counter = TopicCounter(sent[0], sent[0], came[0])
    for one, other in zip(sent[1:], came[1:], strict=True):
        counter.add(one, other)
    return counter


def test_a_rate_goes_by_when_messages_were_sent_and_not_by_when_they_are_read() -> None:
    sent = [0.05 * i for i in range(41)]
    assert counted(sent, sent).rate(2.0) == pytest.approx(20.0)
    heap = [2.0 + 1e-5 * i for i in range(41)]  # a busy machine: all at once
    assert counted(sent, heap).rate(2.001) == pytest.approx(20.0)


def test_a_rate_falls_when_nothing_comes_any_more() -> None:
    sent = [0.05 * i for i in range(21)]
    assert counted(sent, sent).rate(1.0) == pytest.approx(20.0)
    assert counted(sent, sent).rate(4.05) == pytest.approx(5.0)


def test_one_message_has_no_rate() -> None:
    assert TopicCounter(1.0, 1.0, 1.0).rate(1.5) == 0.0


class Talker:
    """A graph as its topics show it: weights once, and reports of those nodes that are told to give them."""

    def __init__(self, context: Context, names: list[str]) -> None:
        self.nodes = {name: Node(name, context=context, start_parameter_services=False) for name in names}
        self._publishers = {
            name: node.create_publisher(DIAGNOSTICS.kind, DIAGNOSTICS.name, DIAGNOSTICS.qos)
            for name, node in self.nodes.items()
        }
        gate = next(iter(self.nodes.values()))
        self._weights = gate.create_publisher(GATE_WEIGHTS.kind, GATE_WEIGHTS.name, GATE_WEIGHTS.qos)

    def report(self, name: str, says: str = "fine") -> None:
        status = DiagnosticStatus(name=name, message=says, hardware_id=HARDWARE)
        self._publishers[name].publish(DiagnosticArray(status=[status]))

    def weigh(self) -> None:
        self._weights.publish(CODEC.weights(0, SKILLS, np.eye(len(SKILLS))[0]))


ALL = [*EVERY_GRAPH_HAS, *(node_of(skill) for skill in SKILLS), "lab"]


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    with ros_context() as context:
        yield context


def look(context: Context, talker: Talker, reporting: list[str]) -> snapshot.GraphSnapshot:
    """What is seen while these nodes report; the last one only after half a second."""
    ended, late = threading.Event(), threading.Timer(0.5, partial(talker.report, reporting[-1]))

    def talk() -> None:
        while not ended.wait(0.02):
            talker.weigh()
            for name in reporting[:-1]:
                talker.report(name)
            if not late.is_alive():
                talker.report(reporting[-1])

    thread, client = threading.Thread(target=talk), GraphClient(context)
    try:
        watch = GraphListener(client)
        late.start()
        thread.start()
        assert watch.find()
        return watch.look(0.01)
    finally:
        ended.set()
        thread.join()
        late.join()
        client.close()


def test_each_node_that_is_there_is_waited_for(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "FIND_TIMEOUT", 60.0)
    monkeypatch.setattr(snapshot, "REPORT_TIMEOUT", 60.0)
    seen = look(context, Talker(context, ALL), ALL)
    assert set(seen.statuses) == set(seen.expected) == set(ALL)
    assert seen.leading == (SKILLS[0], 1.0)


def test_a_node_that_does_not_report_is_expected_all_the_same(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "FIND_TIMEOUT", 60.0)
    monkeypatch.setattr(snapshot, "REPORT_TIMEOUT", 3.0)
    frozen, dead = "lab", node_of(SKILLS[2])
    talker = Talker(context, [name for name in ALL if name != dead])
    seen = look(context, talker, [name for name in ALL if name not in (frozen, dead)])
    assert {frozen, dead} <= set(seen.expected)
    assert not {frozen, dead} & set(seen.statuses)
