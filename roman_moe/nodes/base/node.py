"""What all nodes of the graph share: strict subscriptions, and publishers of the topic table that no other node has.

No message, however malformed, ends a node: it is counted, reported and dropped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.publisher import Publisher

from roman_moe.arms.clock import FUTURE_TOLERANCE_NS
from roman_moe.core.errors import RomanError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import NANOSECONDS, HandState, ObjectPoses
from roman_moe.nodes.base.managed_node import ManagedNode
from roman_moe.nodes.base.peers import TopicPublisher, publishers_of
from roman_moe.nodes.base.process import PARENT_VARIABLE
from roman_moe.nodes.base.serialized import BodiesReader, BodiesWriter, Numbers, NumbersReader, NumbersWriter
from roman_moe.nodes.base.topics import CODEC, ENDED, HAND_STATE, TWIST, TWIST_COMMAND, Topic
from roman_moe.wire.bodies import Bodies, MessageError, scene_layout
from roman_moe.wire.codec import check_turns

T = TypeVar("T")

MALFORMED = "malformed_messages"
NOT_FINITE = "non_finite_messages"
FUTURE = "stamps_from_the_future"


class RomanNode(ManagedNode):
    """Base of all nodes of the graph.

    Attributes:
        real_time: whether the stamps that it receives are its clock's time.
    """

    real_time = True

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._ended: set[bytes] = set()  # processes that were killed

    def advertise(self, topic: Topic) -> Publisher[Any]:
        """Publisher of a topic of the table.

        Raises:
            RomanError: if another node publishes it, and it is no topic that several nodes share.
        """
        if not topic.shared:
            self._claim(topic)
        events = PublisherEventCallbacks(
            incompatible_qos=partial(self.diagnostics.incompatible, topic.name, "subscription")
        )
        publisher: Publisher[Any] = self.create_publisher(topic.kind, topic.name, topic.qos, event_callbacks=events)
        self._undo.append(partial(self.destroy_publisher, publisher))
        return publisher

    def advertise_bodies(self, topic: Topic, names: tuple[str, ...]) -> Callable[[Bodies], None]:
        """Publishes bodies of these names on a MultiDOFJointState topic."""
        publisher, write = self.advertise(topic), BodiesWriter(names, CODEC.bodies)
        return lambda bodies: publisher.publish(write(bodies))

    def advertise_numbers(self, topic: Topic, numbers: Numbers) -> Callable[[int, Sequence[float]], None]:
        """Publishes stamp [ns] and numbers, (numbers.count,)."""
        publisher, write = self.advertise(topic), NumbersWriter(numbers)
        return lambda stamp_ns, values: publisher.publish(write(stamp_ns, values))

    def publishers_of(self, topic: Topic) -> list[TopicPublisher]:
        """Who publishes a topic; without the killed ones that this node has been told of."""
        found = publishers_of(self, self.resolve_topic_name(topic.name))
        return [who for who in found if who.process not in self._ended]

    def listen_for_ended(self) -> None:
        """From now on, take no process that the supervisor has killed for a living one."""
        self.listen(ENDED, lambda message: self._ended.add(_process_id(message)))

    def others(self, topic: Topic) -> list[TopicPublisher]:
        """Who else publishes a topic, be it a node of this name in another process."""
        return [who for who in self.publishers_of(topic) if who != TopicPublisher(self.full_name, self.process)]

    def _claim(self, topic: Topic) -> None:
        """Make sure that no other node publishes a topic that has one publisher at a time.

        The bring-up vouches for its own processes: a namesake is the killed predecessor, which DDS gives up later.
        """
        vouched = self.full_name if PARENT_VARIABLE in os.environ else None
        others = sorted({who.node for who in self.publishers_of(topic) if who.node != vouched})
        if others:
            raise RomanError(
                f"{self.get_name()}: {topic.name} is published by {', '.join(others)}: deactivate or end it first"
            )

    def listen(
        self,
        topic: Topic,
        handle: Callable[[Any], object],
        decode: Callable[[Any], Any] | None = None,
        serialized: bool = False,
    ) -> None:
        """Subscribe: `handle` gets each message, its bytes if `serialized`, or what `decode` makes of it.

        What either of them refuses with a MessageError is counted and dropped.
        """

        def on_message(message: Any) -> None:
            try:
                handle(message if decode is None else decode(message))
            except MessageError as error:
                self.diagnostics.count(MALFORMED, str(error))

        activity = self._activities

        def guarded(message: Any) -> None:
            if activity == self._activities:
                self.protect(on_message, message)

        subscription = self.create_subscription(
            topic.kind,
            topic.name,
            guarded,
            topic.requested_qos or topic.qos,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=partial(self.diagnostics.incompatible, topic.name, "publisher")
            ),
            raw=serialized,
        )
        self._undo.append(partial(self.destroy_subscription, subscription))

    def listen_bodies(
        self, topic: Topic, names: tuple[str, ...], decode: Callable[[Bodies], T], handle: Callable[[T], None]
    ) -> None:
        """Subscribe to a MultiDOFJointState topic whose messages all name `names`."""
        read = BodiesReader(topic.name, topic.kind, names)
        self.listen(topic, handle, lambda data: decode(read(data)), serialized=True)

    def advertise_hand(self, spec: TaskSpec) -> Callable[[HandState], None]:
        layout = scene_layout(spec)
        publish = self.advertise_bodies(HAND_STATE, layout.hand_names)
        return lambda hand: publish(layout.of_hand(hand))

    def advertise_poses(self, topic: Topic, spec: TaskSpec) -> Callable[[ObjectPoses], None]:
        layout = scene_layout(spec)
        publish = self.advertise_bodies(topic, spec.object_names)
        return lambda poses: publish(layout.of_objects(poses))

    def listen_poses(self, topic: Topic, spec: TaskSpec, handle: Callable[[ObjectPoses], None]) -> None:
        self.listen_bodies(topic, spec.object_names, scene_layout(spec).poses, handle)

    def listen_twist(self, spec: TaskSpec, handle: Callable[[tuple[int, NDArray[np.float64]]], None]) -> None:
        """Subscribe to commands: `handle` gets stamp [ns] and twist, (6,), that turns about no other axis than the
        task's actions do.
        """

        def checked(stamped: tuple[int, NDArray[np.float64]]) -> None:
            check_turns(spec, stamped[1])
            handle(stamped)

        self.listen_numbers(TWIST_COMMAND, TWIST, checked)

    def listen_numbers(
        self, topic: Topic, numbers: Numbers, handle: Callable[[tuple[int, NDArray[np.float64]]], None]
    ) -> None:
        """Subscribe: `handle` gets stamp [ns] and numbers, (numbers.count,)."""
        self.listen(topic, handle, NumbersReader(topic.kind, numbers), serialized=True)

    def from_the_future(self, what: str, stamp_ns: int) -> bool:
        """Whether a stamp is ahead of this node's clock by more than the tolerance; one that is, is counted.

        In lockstep and at another speed, stamps are the lab's own time: no clock can tell.
        """
        now_ns = self.get_clock().now().nanoseconds
        ahead_ns = stamp_ns - now_ns
        if not self.real_time or ahead_ns <= FUTURE_TOLERANCE_NS or now_ns == 0:  # no /clock yet
            return False
        tolerance = FUTURE_TOLERANCE_NS / NANOSECONDS
        wrong = f"is stamped {ahead_ns / NANOSECONDS:.3f} s in the future: expected at most {tolerance} s"
        self.diagnostics.count(FUTURE, f"{what} at {stamp_ns} ns {wrong}: are the machines' clocks synchronised?")
        return True


def _process_id(message: Any) -> bytes:
    try:
        return bytes.fromhex(message.data)
    except ValueError:
        raise MessageError(f"{ENDED.name}: {message.data!r}: expected hexadecimal digits") from None
