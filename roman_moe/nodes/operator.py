"""What a person does to a running graph from outside of it: look, swap a model, stop, re-arm. All over its own topics
and services, so `ros2 param set`, `ros2 service call` and `ros2 topic echo` do the same.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_srvs.srv import Trigger

from roman_moe.control.metadata import GATE
from roman_moe.core.bodies import MessageError
from roman_moe.core.errors import RomanError
from roman_moe.core.messages import decode_weights
from roman_moe.nodes.diagnostics import local_name
from roman_moe.nodes.environment import ros_environment
from roman_moe.nodes.process import make_executor, ros_context
from roman_moe.nodes.topics import DIAGNOSTICS, GATE_WEIGHTS, SCENE, TWIST_COMMAND, Topic

BLENDER = "blender"
COMMANDERS = (BLENDER, "arm_bridge")
"""Nodes that have a software stop, in the order of the commands' way."""
SETTLE = 1.0  # [s] from the first of them that is found to the rest
FIND_PATIENCE = 5.0  # [s] for a node to be found: discovery takes up to a second
ANSWER_PATIENCE = 10.0  # [s] for its answer: a network is read, checked and warmed up in 20 ms


def node_of(network: str) -> str:
    """Name of the node that runs a network: the gate's, or a skill's expert's."""
    return "manipulation_network" if network == GATE else f"expert_{network}"


class Refusal(RomanError):
    """A node has said no, and is as it was."""


@dataclass
class Sight:
    """What was seen of a graph for a while.

    Attributes:
        statuses: last report of each node, by name.
        rates: of each topic's messages [Hz].
        ages: since the last message of each topic [s].
        skills: that the gate weighs.
        leading: skill of the largest weight, and that weight; empty if no weights came.
    """

    statuses: dict[str, DiagnosticStatus] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    ages: dict[str, float] = field(default_factory=dict)
    skills: tuple[str, ...] = ()
    leading: tuple[str, float] | None = None


class Operator:
    """A node of one's own beside the graph; made by `operator`."""

    def __init__(self, context: Context) -> None:
        self._node = Node("_operator", context=context, start_parameter_services=False, enable_rosout=False)
        self._executor = make_executor(context)
        self._executor.add_node(self._node)
        self._clients: dict[str, Any] = {}  # by service; kept, since an answer may come after our patience has ended

    @property
    def namespace(self) -> str:
        """Of the graph that it talks to."""
        return str(self._node.get_namespace())

    def absent(self, node: str) -> str:
        """What to say of a node that is not found: where else there is one of its name."""
        there = {space for name, space in self._node.get_node_names_and_namespaces() if name == node}
        if there - {self.namespace}:
            graphs = f"{'graphs run' if len(there) > 1 else 'a graph runs'} in {', '.join(sorted(there))}"
            return f"node {node} is not running in {self.namespace}: {graphs}: add --namespace {min(there)}"
        return (
            f"node {node} is not running in {self.namespace}, or not to be seen from here: start the graph with "
            "roman-moe run, and use its ROS_DOMAIN_ID"
        )

    def close(self) -> None:
        """End it."""
        self._executor.shutdown()
        self._node.destroy_node()

    def get(self, node: str, parameter: str) -> Any:
        """Value of a node's parameter.

        Raises:
            RomanError: if there is no such node, or it has no such parameter.
        """
        response = self._call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=[parameter]), node)
        if not response.values:
            raise RomanError(f"node {node} has no parameter {parameter!r}")
        return Parameter.from_parameter_msg(_named(parameter, response.values[0])).value

    def set(self, node: str, parameter: str, value: Any) -> None:
        """Set a node's parameter.

        Raises:
            Refusal: why the node refuses the value.
            RomanError: if there is no such node, or it does not answer.
        """
        message = Parameter(parameter, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[message])
        response = self._call(SetParameters, f"{node}/set_parameters", request, node)
        result = response.results[0]
        if not result.successful:
            raise Refusal(f"{node} refuses: {result.reason}")

    def command(self, service: str) -> list[str]:
        """Call the std_srvs/Trigger service of all that command the arm: the blender, and a robot's bridge if any.

        A blender that is dead or deaf does not keep the bridge from stopping the robot.

        Returns:
            What each says it did.

        Raises:
            RomanError: if none of them is there, or why one refuses.
        """
        clients = {node: self._client(Trigger, f"{node}/{service}") for node in COMMANDERS}
        if not self._spin_until(lambda: any(c.service_is_ready() for c in clients.values()), FIND_PATIENCE):
            raise RomanError(self.absent(BLENDER))
        self._spin_until(lambda: all(c.service_is_ready() for c in clients.values()), SETTLE)
        there = [node for node, client in clients.items() if client.service_is_ready()]
        futures = {node: clients[node].call_async(Trigger.Request()) for node in there}
        self._spin_until(lambda: all(future.done() for future in futures.values()), ANSWER_PATIENCE)
        said = {node: future.result() if future.done() else None for node, future in futures.items()}
        wrong = [
            f"{node} {f'refuses: {answer.message}' if answer else 'does not answer'}"
            for node, answer in said.items()
            if not (answer and answer.success)
        ]
        if wrong:
            raise RomanError("; ".join(wrong))
        return [f"{node}: {answer.message}" for node, answer in said.items() if answer]

    def watch(self, seconds: float) -> Sight:
        """Look at the graph for a while [s], once anything of it has been found."""
        sight, times = Sight(), dict[str, list[float]]()

        def listen(topic: Topic, handle: Callable[[Any], None], raw: bool) -> Any:
            def on_message(message: Any) -> None:
                times.setdefault(topic.name, []).append(time.monotonic())
                handle(message)

            return self._node.create_subscription(topic.kind, topic.name, on_message, topic.qos, raw=raw)

        def on_weights(message: Any) -> None:
            with contextlib.suppress(MessageError):
                weights = decode_weights(message, message.name)
                sight.skills = tuple(message.name)
                leading = int(np.argmax(weights))
                sight.leading = message.name[leading], float(weights[leading])

        def on_diagnostics(message: DiagnosticArray) -> None:
            for status in message.status:
                name = local_name(status, self.namespace)
                if name is not None:
                    sight.statuses[name] = status

        subscriptions = [
            listen(SCENE, lambda _: None, True),
            listen(GATE_WEIGHTS, on_weights, False),
            listen(TWIST_COMMAND, lambda _: None, True),
            listen(DIAGNOSTICS, on_diagnostics, False),
        ]
        self._spin_until(lambda: bool(sight.statuses), FIND_PATIENCE)
        self._spin_until(lambda: False, seconds)
        now = time.monotonic()
        for name, moments in times.items():
            sight.ages[name] = now - moments[-1]
            # the median: what was sent before we were found comes in a heap
            sight.rates[name] = 1.0 / float(np.median(np.diff(moments))) if len(moments) > 1 else 0.0
        for subscription in subscriptions:
            self._node.destroy_subscription(subscription)
        return sight

    def _call(self, kind: Any, name: str, request: Any, node: str) -> Any:
        client = self._client(kind, name)
        if not self._spin_until(client.service_is_ready, FIND_PATIENCE):
            raise RomanError(self.absent(node))
        future: Future = client.call_async(request)
        if not self._spin_until(future.done, ANSWER_PATIENCE):
            raise RomanError(f"node {node} does not answer within {ANSWER_PATIENCE:.0f} s")
        return future.result()

    def _client(self, kind: Any, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self._node.create_client(kind, name)
        return self._clients[name]

    def _spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True


def _named(name: str, value: Any) -> Any:
    from rcl_interfaces.msg import Parameter as Message

    return Message(name=name, value=value)


@contextlib.contextmanager
def operator(ros_arguments: Sequence[str] = ()) -> Iterator[Operator]:
    """An operator beside the graph of this machine and ROS_DOMAIN_ID; ROS arguments may say which namespace."""
    with ros_environment(separate=True, private=False), ros_context(ros_arguments) as context:
        person = Operator(context)
        try:
            yield person
        finally:
            person.close()
