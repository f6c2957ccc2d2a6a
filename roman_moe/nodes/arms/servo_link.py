"""The bridge's link to MoveIt Servo: whether it is there, and takes twists in the units of the arm's file.

Servo's parameters are read before the first twist, and again whenever they change or Servo comes back.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import ParameterEvent
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.qos import qos_profile_parameter_events

from roman_moe.arms.servo_parameters import NAMES, PREFIX, SINCE_JAZZY, ServoParameters, mismatch, servo_parameters
from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.nodes.base.peers import UNNAMED, subscribers
from roman_moe.nodes.base.process import make_executor
from roman_moe.nodes.base.topics import Topic

if TYPE_CHECKING:
    from roman_moe.arms.config import TwistConfig
    from roman_moe.nodes.base.node import RomanNode

POLL_PERIOD = 0.02  # [s]
READ_TIMEOUT = 10.0  # [s] to read the parameters, from when Servo is there
ANSWER_TIMEOUT = 2.0  # [s] after which an answer counts as lost, and Servo is asked again
EVENTS = Topic("/parameter_events", ParameterEvent, qos_profile_parameter_events)


class _Reader:
    """Asks a node for Servo's parameters."""

    def __init__(self, node: Node, servo: str) -> None:
        self._node = node
        self._client: Any = node.create_client(GetParameters, f"{servo}/get_parameters")
        self._asked: list[Any] = []
        self._asked_at = 0.0  # [s]

    def poll(self) -> ServoParameters | str | None:
        """What was found, why nothing can be, or None for not yet."""
        now = time.monotonic()
        if not self._asked or now - self._asked_at > ANSWER_TIMEOUT:
            if self._client.service_is_ready():
                self._asked, self._asked_at = [self._ask(NAMES), self._ask(SINCE_JAZZY)], now
            return None
        if not all(future.done() for future in self._asked):
            return None
        values, since_jazzy = (future.result().values for future in self._asked)
        self._asked = []
        return servo_parameters(values, since_jazzy) or f"it has no parameter {PREFIX}{NAMES[0]}"

    def _ask(self, names: tuple[str, ...]) -> Any:
        return self._client.call_async(GetParameters.Request(names=[PREFIX + name for name in names]))

    def again(self) -> None:
        """What has been asked is out of date."""
        self._asked = []

    def close(self) -> None:
        self._node.destroy_client(self._client)


class ServoLink:
    """Watches over Servo on behalf of an active bridge.

    Args:
        speed: highest that the guard lets through [m/s].
        angular_speed: highest that the hand turns at [rad/s].
        unchecked: whether Servo's parameters are the user's own affair.

    Attributes:
        fault: why nothing may be sent to Servo now; empty if all is well.
    """

    def __init__(
        self, node: RomanNode, twist: TwistConfig, speed: float, angular_speed: float, unchecked: bool
    ) -> None:
        self._node, self._twist, self._speeds = node, twist, (speed, angular_speed)
        self._topic = node.resolve_topic_name(twist.topic)
        self._servo = self._topic.rpartition("/")[0]
        self._found: str | None = "" if unchecked else None  # what is wrong with its parameters; None: not known
        self._reader = None if unchecked else _Reader(node, self._servo)
        self.fault = ""
        self._known: set[bytes] = set()  # ids of its subscriptions
        node.listen(EVENTS, self._on_event)

    def require(self, timeout: float) -> None:
        """Wait until Servo is there, for up to `timeout` [s], and its parameters are read and fit.

        An activation on request does not wait: without Servo it is refused, and `look` reads the parameters.

        Raises:
            RomanError: naming what is missing or does not fit.
        """
        timeout = timeout if self._node.starting else 0.0
        if reason := self._node.wait_while("MoveIt Servo", self.missing, timeout):
            raise RomanError(f"{self._node.get_name()}: {reason} (waited {timeout:g} s)")
        self._known = self._subscribers()
        if self._found is None and self._node.starting:
            self._found = self._judged(self._read())
        if self._found:
            raise ConfigError(f"{self._node.get_name()}: {self._found}")

    def look(self) -> None:
        """Whether all is still well: `fault` says so."""
        self.fault = self.missing()
        known, self._known = self._known, self._subscribers()
        # a killed Servo stays visible for 20 s: its successor, which may have other parameters, is seen by its id
        if self._reader is not None and (self.fault or self._known - known):
            self._found = None
            self._reader.again()
        elif self._found is None and self._reader is not None:
            answer = self._reader.poll()
            self._found = None if answer is None else self._judged(answer)
        if not self.fault:
            self.fault = f"reading the parameters of {self._servo}" if self._found is None else self._found

    def missing(self) -> str:
        """What is not there; empty if Servo is."""
        if self._subscribers():
            return ""
        return f"nobody subscribes to {self._topic}: is MoveIt Servo running?"

    def _subscribers(self) -> set[bytes]:
        """Ids of Servo's subscriptions; of all if nobody knows which node it is."""
        found = subscribers(self._node, self._topic)
        names = (self._servo.lstrip("/"), UNNAMED)
        return {gid for gid, name in found.items() if self._reader is None or name in names}

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _on_event(self, event: Any) -> None:
        parameters = (*event.new_parameters, *event.changed_parameters, *event.deleted_parameters)
        changed = {parameter.name.removeprefix(PREFIX) for parameter in parameters}
        if self._reader is not None and event.node == self._servo and changed & {*NAMES, *SINCE_JAZZY}:
            self._found = None
            self._reader.again()

    def _judged(self, answer: ServoParameters | str) -> str:
        if isinstance(answer, str):
            return (
                f"{self._servo}: {answer}, so its units are not known: compare them by hand and set "
                "servo_unchecked (run --servo-unchecked)"
            )
        reason = mismatch(answer, self._twist, *self._speeds)
        return f"{self._servo}: {reason}" if reason else ""

    def _read(self) -> ServoParameters | str:
        """Read them by a node and an executor of our own: the bridge's own may be what calls this."""
        context = self._node.context
        node = Node(
            "_servo_reader",
            context=context,
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
        executor = make_executor(context)
        executor.add_node(node)
        reader = _Reader(node, self._servo)
        answers: list[ServoParameters | str] = []

        def missing() -> str:
            if (answer := reader.poll()) is not None:
                answers.append(answer)
            return "" if answers else f"reading the parameters of {self._servo}"

        try:
            self._node.wait_while(
                "MoveIt Servo", missing, READ_TIMEOUT, lambda: executor.spin_once(timeout_sec=POLL_PERIOD)
            )
        finally:
            executor.shutdown()
            node.destroy_node()
        return answers[0] if answers else "its parameter service does not answer"
