"""Who else is in the graph: who publishes a topic, and whether a name is taken.

Names do not tell nodes apart: two graphs have the same. The ids of their publishers do. Each begins with the id of its
process (more exactly, of its DDS participant; RTPS 2.5, 9.3.1). A killed process stays visible until its lease has run
out, and nothing in ROS tells it from one that lives. Only the process that killed it can say so (topics.ENDED).
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from roman_moe.core.errors import RomanError
from roman_moe.nodes.base.process import PLACEHOLDER

LOOK = 2.0  # [s] after which whoever is there has been found: on a busy machine it took 0.6 s
STALL = 0.1  # [s] that count of one spin at most: a process that stood still has found nobody meanwhile
LEASE = 21.0  # [s] after which a killed process is given up: Fast DDS does so after 20
PROCESS_BYTES = 12
NAMED = 3
"""Names in a refusal, at most."""

UNNAMED = "a node without a name yet"


@dataclass(frozen=True, order=True)
class TopicPublisher:
    """One publisher of a topic.

    Attributes:
        node: full name of its node, without the slash at the beginning.
        process: id of the participant that it lives in.
    """

    node: str
    process: bytes


def publishers_of(node: Node, topic: str) -> list[TopicPublisher]:
    """All publishers of a topic, given by its full name, as far as `node` has found them."""
    return sorted(
        TopicPublisher(_name(end.node_namespace, end.node_name), bytes(end.endpoint_gid)[:PROCESS_BYTES])
        for end in node.get_publishers_info_by_topic(topic)
    )


def subscribers(node: Node, topic: str) -> dict[bytes, str]:
    """Names of the nodes that subscribe to a topic, given by its full name, by the ids of their subscriptions."""
    return {
        bytes(end.endpoint_gid): _name(end.node_namespace, end.node_name)
        for end in node.get_subscriptions_info_by_topic(topic)
    }


def _name(namespace: str, name: str) -> str:
    return UNNAMED if PLACEHOLDER in name else f"{namespace.rstrip('/')}/{name}".lstrip("/")


def names_of(*topics: Collection[TopicPublisher]) -> list[str]:
    """Names of all that publish any of some topics, one of which a node publishes once.

    A name comes as often as there are nodes of it.
    """
    counts: Counter[TopicPublisher] = Counter()
    for found in topics:
        counts |= Counter(found)  # the larger of both
    named = {who.process for who in counts if who.node != UNNAMED}
    return sorted(who.node for who in counts.elements() if who.node != UNNAMED or who.process not in named)


def own_process(node: Node) -> bytes:
    """Id of the process that a node lives in, by a publisher that nobody else can have."""
    topic = f"_process_{uuid.uuid4().hex}"
    publisher = node.create_publisher(DiagnosticArray, topic, 1)
    try:
        (found,) = publishers_of(node, node.resolve_topic_name(topic))
    finally:
        node.destroy_publisher(publisher)
    return found.process


def refuse_namesakes(
    node: Node, names: Collection[str], spin: Callable[[], None], speaking: Collection[str] = ()
) -> None:
    """Look around for nodes of these names, before those of ours begin; for a killed one, wait until it is given up.

    Args:
        node: that looks; it must have been made just now, and may have one of the names itself.
        names: of nodes to be, within its namespace.
        spin: passes some time.
        speaking: names of those that have said something meanwhile, so that there is nothing to wait for.

    Raises:
        RomanError: naming those that are there.
    """
    full = {_name(node.get_namespace(), name) for name in names}
    own = str(node.get_fully_qualified_name()).lstrip("/")
    began = now = time.monotonic()
    looked = 0.0  # [s]
    while True:
        there = Counter(_name(namespace, name) for name, namespace in node.get_node_names_and_namespaces())
        there[own] -= 1
        taken = sorted(name for name in full if there[name] > 0)
        if looked >= LOOK and not taken:
            return
        if (looked >= LOOK and now - began >= LOOK + LEASE) or (taken and speaking):
            more = f" and {len(taken) - NAMED} more" if len(taken) > NAMED else ""
            raise RomanError(
                f"a graph is running in ROS domain {node.context.get_domain_id()} already "
                f"({', '.join(taken[:NAMED])}{more}): end it first, or set ROS_DOMAIN_ID to another number"
            )
        spin()
        before, now = now, time.monotonic()
        looked += min(now - before, STALL)
