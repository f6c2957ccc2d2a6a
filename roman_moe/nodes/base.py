"""What all nodes share: parameters, strict subscriptions, publishers from the topic table, and diagnostics.

No message, however malformed, and no fault in a callback ends a node: both are counted and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.timer import Timer

from roman_moe.core.bodies import Bodies, MessageError
from roman_moe.nodes.diagnostics import Diagnostics
from roman_moe.nodes.topics import CODEC, Topic
from roman_moe.nodes.wire import BodiesReader, BodiesWriter, Numbers, NumbersReader, NumbersWriter

T = TypeVar("T")

MALFORMED = "malformed_messages"
NOT_FINITE = "non_finite_messages"
FAULTS = "faults"


class RomanNode(Node):
    """Base of all nodes of the graph.

    Args:
        name: of the node; the class's own if None.
        context: to live in; rclpy's default one if None.
        namespace: of node and topics.
        parameters: values that replace defaults, as a parameter file or the command line would.

    Attributes:
        NAME: the class's usual name as a node.
        PARAMETERS: the dataclass of its parameters.
        diagnostics: what the node says about itself.
    """

    NAME: ClassVar[str]
    PARAMETERS: ClassVar[type]

    def __init__(
        self,
        name: str | None = None,
        *,
        context: Context | None = None,
        namespace: str = "",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            name or self.NAME,
            context=context,
            namespace=namespace,
            parameter_overrides=[Parameter(key, value=value) for key, value in (parameters or {}).items()],
        )
        self.diagnostics = Diagnostics(self)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)

    def advertise(self, topic: Topic) -> Publisher[Any]:
        """Publisher of a topic of the table."""
        return self.create_publisher(topic.kind, topic.name, topic.qos)

    def advertise_bodies(self, topic: Topic, names: tuple[str, ...]) -> Callable[[Bodies], None]:
        """Publishes bodies of these names on a MultiDOFJointState topic."""
        publisher, write = self.advertise(topic), BodiesWriter(names, CODEC.bodies)

        def publish(bodies: Bodies) -> None:
            publisher.publish(write(bodies))

        return publish

    def advertise_numbers(self, topic: Topic, numbers: Numbers) -> Callable[[int, Sequence[float]], None]:
        """Publishes stamp [ns] and numbers, (numbers.count,)."""
        publisher, write = self.advertise(topic), NumbersWriter(numbers)

        def publish(stamp_ns: int, values: Sequence[float]) -> None:
            publisher.publish(write(stamp_ns, values))

        return publish

    def listen(
        self, topic: Topic, decode: Callable[[Any], T], handle: Callable[[T], None], serialized: bool = False
    ) -> None:
        """Subscribe: `handle` gets what `decode` makes of each message, or of its bytes if `serialized`.

        What `decode` refuses with a MessageError is counted and dropped.
        """

        def on_message(message: Any) -> None:
            try:
                value = decode(message)
            except MessageError as error:
                self.diagnostics.count(MALFORMED, str(error))
                return
            handle(value)

        def guarded(message: Any) -> None:
            self.guard(on_message, message)

        self.create_subscription(topic.kind, topic.name, guarded, topic.qos, raw=serialized)

    def listen_bodies(
        self, topic: Topic, names: tuple[str, ...], decode: Callable[[Bodies], T], handle: Callable[[T], None]
    ) -> None:
        """Subscribe to a MultiDOFJointState topic whose messages all name `names`."""
        read = BodiesReader(topic.name, topic.kind, names)
        self.listen(topic, lambda data: decode(read(data)), handle, serialized=True)

    def listen_numbers(
        self, topic: Topic, numbers: Numbers, handle: Callable[[tuple[int, NDArray[np.float64]]], None]
    ) -> None:
        """Subscribe: `handle` gets stamp [ns] and numbers, (numbers.count,)."""
        self.listen(topic, NumbersReader(topic.kind, numbers), handle, serialized=True)

    def timer(self, period: float, handle: Callable[[], None]) -> Timer:
        """Timer of `period` [s] wall time; with use_sim_time too."""

        def guarded() -> None:  # rclpy hands more arguments to whatever could take them: no partial, no lambda default
            self.guard(handle)

        return self.create_timer(period, guarded, clock=self._steady)

    def guard(self, handle: Callable[..., None], *arguments: Any) -> None:
        """Call `handle`; a fault in it is counted, and the node lives on."""
        try:
            handle(*arguments)
        except Exception as error:  # noqa: BLE001 (whatever it is, a control node must go on)
            self.diagnostics.count(FAULTS, f"{type(error).__name__}: {error}")
