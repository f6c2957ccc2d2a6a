"""A rig for real rclpy graphs in one process, closed to all others: nodes under test, injected messages, no sleeps."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_srvs.srv import Trigger

from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.process import make_executor, ros_context
from roman_moe.nodes.base.services import ParameterServices
from roman_moe.nodes.base.topics import DIAGNOSTICS, Topic

TIMEOUT = 300.0  # [s] for what takes milliseconds: only a hang reaches it

N = TypeVar("N", bound=Node)
R = TypeVar("R", bound=RomanNode)


class Rig:
    """One context with an executor: `add` nodes, `send` messages to them, look at what was `heard`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._executor = make_executor(context)
        self._nodes: list[Node] = []
        self._removed = False  # whether a node has been
        self._publishers: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self._services: ParameterServices | None = None
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

    def start_beside(self, node: R) -> R:
        """Start a node that asks the others something while it starts: they go on on another thread meanwhile."""
        done = threading.Event()

        def spin() -> None:
            while not done.is_set():
                self._executor.spin_once(timeout_sec=0.01)

        thread = threading.Thread(target=spin)
        thread.start()
        self._nodes.append(node)
        try:
            node.start()
        finally:
            done.set()
            thread.join()
        self._executor.add_node(node)
        return node

    @property
    def context(self) -> Context:
        return self._context

    def remove(self, node: Node) -> None:
        self._executor.remove_node(node)
        self._nodes.remove(node)
        self._removed = True
        node.destroy_node()

    def serve(self, *nodes: Node) -> None:
        """Serve their parameters, on the thread of their own that there is in the graph."""
        if self._services is None:
            self._services = ParameterServices(self._context, make_executor(self._context))
            self._services.__enter__()
        for node in nodes:
            self._services.add(node)

    def call(self, kind: Any, name: str, request: Any) -> Future:
        """Call a service; the answer is the future's result."""
        if name not in self._clients:
            self._clients[name] = self._probe.create_client(kind, name)
        client = self._clients[name]
        self.spin_until(client.service_is_ready)
        future: Future = client.call_async(request)
        return future

    def answer(self, future: Future) -> Any:
        self.spin_until(future.done)
        return future.result()

    def trigger(self, name: str) -> Any:
        return self.answer(self.call(Trigger, name, Trigger.Request()))

    def change_state(self, node: str, transition: int | str) -> bool:
        """Ask for a transition by id or label; whether it succeeded."""
        wanted = Transition(label=transition) if isinstance(transition, str) else Transition(id=transition)
        request = ChangeState.Request(transition=wanted)
        return bool(self.answer(self.call(ChangeState, f"{node}/change_state", request)).success)

    def state(self, node: str) -> str:
        return str(self.answer(self.call(GetState, f"{node}/get_state", GetState.Request())).current_state.label)

    def begin_to_set(self, node: str, name: str, value: Any) -> Future:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self.call(SetParameters, f"{node}/set_parameters", request)

    def set(self, node: str, name: str, value: Any) -> SetParametersResult:
        return self.answer(self.begin_to_set(node, name, value)).results[0]

    def get(self, node: str, name: str) -> str:
        request = GetParameters.Request(names=[name])
        return str(self.answer(self.call(GetParameters, f"{node}/get_parameters", request)).values[0].string_value)

    def advertised(self, node: str) -> set[str]:
        """Topics that a node publishes, but for those by which it reports its own state."""
        everywhere = {DIAGNOSTICS.name, "/rosout", "/parameter_events", f"/{node}/transition_event", f"/{node}/stopped"}
        there = self._probe.get_publisher_names_and_types_by_node(node, "/")
        return {name for name, _ in there} - everywhere

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

    def spin_until(self, condition: Callable[[], Any], timeout: float = TIMEOUT) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"did not happen; heard {[(k, len(v)) for k, v in self.heard.items()]}"
            self.pass_moment()

    def pass_moment(self) -> None:
        """Let the nodes work on what has come."""
        try:
            self._executor.spin_once(timeout_sec=0.01)
        except InvalidHandle:
            if not self._removed:  # else a timer of theirs was due already, and the executor had taken it up
                raise

    def last(self, topic: Topic, count: int = 1) -> Any:
        """The latest message once there have been `count`."""
        self.spin_until(lambda: len(self.heard[topic.name]) >= count)
        return self.heard[topic.name][-1]

    def said(self, node: str, text: str) -> bool:
        """Whether any report of a node about itself had this text."""
        return any(text in s.message for a in self.heard[DIAGNOSTICS.name] for s in a.status if s.name == node)

    def reported(self, node: str, kind: str) -> int:
        """How many cases of one kind of trouble a node's last report counts."""
        return int(self.fact(node, kind) or 0)

    def fact(self, node: str, key: str) -> str:
        """What a node's last report says of something; empty if nothing."""
        report = self.report(node)
        return next((str(v.value) for v in report.values if v.key == key), "") if report else ""

    def report(self, node: str) -> Any:
        """A node's last report about itself; None if there is none."""
        reports = [s for array in self.heard[DIAGNOSTICS.name] for s in array.status if s.name == node]
        return reports[-1] if reports else None

    def close(self) -> None:
        if self._services is not None:
            self._services.__exit__()
        self._executor.shutdown()
        for node in [*self._nodes, self._probe]:
            node.destroy_node()


@contextlib.contextmanager
def open_rig() -> Iterator[Rig]:
    """A rig in a context of its own, both closed in the end, whatever happens."""
    with ros_context() as context, contextlib.closing(Rig(context)) as rig:
        yield rig
