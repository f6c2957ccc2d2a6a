"""A node's report about itself on /diagnostics: once a second, and at once when something changes.

Trouble is counted by kind, so that a reader of any later report still learns what happened. A burst cannot flood the
topic: reports are at least `MIN_PERIOD` apart, and the next periodic one has what was left out.
"""

from __future__ import annotations

import datetime
import re
import time
import zlib
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind

from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.base.topics import DIAGNOSTICS

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

_STAMP = re.compile(r"\b(\d{1,19}) ns\b")
YEAR = 365.0 * 24.0 * 3600.0  # [s]: a stamp beyond it is of the wall clock

PERIOD = 1.0  # [s]
SPREAD = 0.2  # by which share of it a node may be faster
MIN_PERIOD = 0.02  # [s]

LAST_FAULT = "last_fault"
"""Key of what was counted last, for as long as the node lives."""
HARDWARE = "roman_moe"
"""Of every report, by which a reader of the topic tells ours from others'."""
STATUS = "guard"
"""Fact: code and name of what the guard does."""
STOPPED = "stopped"
"""Fact, and parameter: whether the software stop holds."""
INCOMPATIBLE_QOS = "incompatible_qos"
"""Kind of trouble: somebody publishes or subscribes with another quality of service, so that nothing gets through."""
INCOMPATIBLE = "incompatible_topics"
"""Fact: on which topics, and which policy does not match."""
STALE = "stale_objects"
"""Kind of trouble: a scene that a network does not answer, since an object that it observes is not usable."""
PROCESS = "process"
"""Fact: id of the node's process, in hexadecimal digits."""
WAITING = "waiting for "
"""How the state of a node begins that has not heard what it needs, followed by what that is."""


def local_name(status: DiagnosticStatus, namespace: str) -> str | None:
    """Name of the node of this graph that reports, without its namespace; None if it belongs to another graph.

    The topic is the same for all namespaces.
    """
    prefix = namespace.strip("/")
    space, _, name = status.name.rpartition("/")
    return name if status.hardware_id == HARDWARE and space == prefix else None


def readable(text: str) -> str:
    """A text with its stamps ("12350000000 ns") as a person reads them: seconds, or the time of day."""
    return _STAMP.sub(lambda stamp: _spoken(int(stamp[1])), text)


def _spoken(stamp_ns: int) -> str:
    seconds = stamp_ns / NANOSECONDS
    if seconds < YEAR:
        return f"{seconds:.2f} s"
    return datetime.datetime.fromtimestamp(seconds).strftime("%H:%M:%S.%f")[:-4]


class Diagnostics:
    """Counts what goes wrong in one node and publishes its state.

    Attributes:
        counts: how often each kind of trouble has happened.
        facts: what else the node has to say about itself, such as which model it runs.
    """

    def __init__(self, node: Node) -> None:
        self.counts: Counter[str] = Counter()
        self.facts: dict[str, str] = {}
        self._node = node
        self._level, self._message = OK, "starting"
        self._trouble = ""  # of the running second
        self._last_fault = ""
        self._published = -PERIOD
        self._incompatible: dict[str, str] = {}  # policy that does not match, by topic
        events = PublisherEventCallbacks(
            incompatible_qos=partial(self.incompatible, DIAGNOSTICS.name.lstrip("/"), "subscription")
        )
        self._publisher = node.create_publisher(
            DIAGNOSTICS.kind, DIAGNOSTICS.name, DIAGNOSTICS.qos, event_callbacks=events
        )
        # each at a pace of its own: a dozen reports at once would hold up a control tick
        period = PERIOD * (1.0 - SPREAD * zlib.crc32(node.get_name().encode()) / 2**32)
        node.create_timer(period, self._on_period, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def state(self, level: bytes, message: str) -> None:
        """What the node is doing; lasts until the next call."""
        message = readable(message)
        if (level, message) != (self._level, self._message):
            self._level, self._message = level, message
            self._publish()

    def tell(self) -> None:
        """Publish it now, however young the last report is."""
        self._publish(at_once=True)

    def fact(self, facts: Mapping[str, str], at_once: bool = True) -> None:
        """What is true of the node until it says otherwise; with `at_once`, a change is told at once."""
        if any(self.facts.get(key) != value for key, value in facts.items()):
            self.facts.update(facts)
            if at_once:
                self._publish(at_once=True)

    def count(self, kind: str, detail: str) -> None:
        """Count one case of trouble; a node that has no error warns until a second has passed without any."""
        detail = readable(detail)
        self._trouble = self._last_fault = f"{kind}: {detail}"  # first: another thread's report has the count with it
        self.counts[kind] += 1
        number = self.counts[kind]
        if number == 10 ** (len(str(number)) - 1):  # the 1st, 10th, 100th: a log is no place for each of them
            self._node.get_logger().warning(f"{kind} ({number}): {detail}")
        self._publish()

    def incompatible(self, topic: str, other: str, event: Any) -> None:
        """Somebody's publisher or subscription does not match this node's end of a topic."""
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        self._incompatible[topic] = policy
        self.facts[INCOMPATIBLE] = ", ".join(f"{name} ({why})" for name, why in sorted(self._incompatible.items()))
        self.count(INCOMPATIBLE_QOS, f"{topic}: a {other}'s {policy} does not match this node's")

    def _on_period(self) -> None:
        told = self._trouble
        self._publish(at_once=True)
        if self._trouble is told:  # else another thread's is still to be told
            self._trouble = ""

    def _publish(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and now - self._published < MIN_PERIOD:
            return
        self._published = now
        level, message = self._level, self._message
        if self._trouble and level != ERROR:  # why it does not run matters more; last_fault has the trouble
            level, message = WARN, self._trouble
        said = {**{kind: str(number) for kind, number in sorted(self.counts.items())}, **self.facts}
        if self._last_fault:
            said[LAST_FAULT] = self._last_fault
        values = [KeyValue(key=key, value=value) for key, value in said.items()]
        name = self._node.get_fully_qualified_name().lstrip("/")
        status = DiagnosticStatus(level=level, name=name, message=message, hardware_id=HARDWARE, values=values)
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
