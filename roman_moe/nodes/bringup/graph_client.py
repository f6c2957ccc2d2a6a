"""What commands do to a running graph from outside of it: swap a model, stop, re-arm. All over its own services, so
`ros2 param set` and `ros2 service call` do the same.

A stop must be quick, and most of it is start-up: nothing is imported here that it does not need, such as messages.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.task import Future
from std_srvs.srv import Trigger

from roman_moe.core.errors import RomanError
from roman_moe.nodes.base.environment import ros_environment
from roman_moe.nodes.base.process import PLACEHOLDER, ros_context
from roman_moe.wire.topics import GRIPPER_COMMAND

BLENDER, BRIDGE, GATE_NODE = "blender", "arm_bridge", "gate"
COMMANDERS = (BLENDER, BRIDGE)
"""Nodes that have a software stop, in the order of the commands' way."""
SETTLE = 1.0  # [s] from the first of them that is found to the other one, unless it turns out that there is none
FIND_TIMEOUT = 5.0  # [s] for a node to be found: discovery takes up to a second
ANSWER_TIMEOUT = 10.0  # [s] for its answer: a network is read, checked and warmed up in 20 ms
ASK_AGAIN = 1.0  # [s] after which a stop is asked for again: DDS drops an answer to a client that it has yet to find


def node_of(network: str) -> str:
    """Name of the node that runs a network: the gate's, or a skill's expert's."""
    from roman_moe.control.metadata import GATE

    return GATE_NODE if network == GATE else f"expert_{network}"


class Refusal(RomanError):
    """A node has said no, and is as it was."""


class GraphClient:
    """A node of one's own beside the graph; made by `graph_client`."""

    def __init__(self, context: Context) -> None:
        self.node = Node("_graph_client", context=context, start_parameter_services=False, enable_rosout=False)
        # not the events executor, which fails at callbacks that ask for a message's time of sending (Kilted's)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}  # by service; kept, since an answer may come after its timeout

    @property
    def namespace(self) -> str:
        """Of the graph that it talks to."""
        return str(self.node.get_namespace())

    def absent(self, node: str) -> str:
        """What to say of a node that is not found: where else there is one of its name."""
        there = {space for name, space in self.node.get_node_names_and_namespaces() if name == node}
        if there - {self.namespace}:
            graphs = f"{'graphs run' if len(there) > 1 else 'a graph runs'} in {', '.join(sorted(there))}"
            return f"node {node} is not running in {self.namespace}: {graphs}: add --namespace {min(there)}"
        return (
            f"node {node} is not running in {self.namespace}, or not to be seen from here: start the graph with "
            "roman-moe run, and use its ROS_DOMAIN_ID"
        )

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def get(self, node: str, parameter: str) -> Any:
        """Value of a node's parameter.

        Raises:
            RomanError: if there is no such node, or it has no such parameter.
        """
        response = self._call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=[parameter]), node)
        if not response.values:
            raise RomanError(f"node {node} has no parameter {parameter!r}")
        return parameter_value_to_python(response.values[0])

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

    def change_state(self, node: str, transition: str) -> None:
        """Ask a managed node for a transition, such as "deactivate".

        Raises:
            Refusal: if the node refuses; why, its diagnostics say.
            RomanError: if there is no such node, or it does not answer.
        """
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request(transition=Transition(label=transition))
        if not self._call(ChangeState, f"{node}/change_state", request, node).success:
            raise Refusal(f"{node} refuses to {transition}")

    def command(self, service: str) -> list[str]:
        """Call the std_srvs/Trigger service of all that command the arm: the blender, and a robot's bridge if any.

        Each is called as soon as it is found: a dead blender does not keep the bridge from stopping the robot. Who does
        not answer is called again, so the service must do no more when it is called twice.

        Returns:
            What each says it did.

        Raises:
            RomanError: if none of them is there, or why one refuses or does not answer.
        """
        calls = Calls({node: self._client(Trigger, f"{node}/{service}") for node in COMMANDERS})
        if not self.spin_until(lambda: bool(calls.made()), FIND_TIMEOUT):
            raise RomanError(self.absent(BLENDER))
        self.spin_until(
            lambda: len(calls.made()) == len(COMMANDERS) or (BLENDER in calls.made() and self._has_no_bridge()), SETTLE
        )
        if self._has_bridge():
            self.spin_until(lambda: BRIDGE in calls.made(), ANSWER_TIMEOUT)
        self.spin_until(lambda: all(calls.answer(node) for node in calls.made()), ANSWER_TIMEOUT)
        said = {node: calls.answer(node) for node in calls.made()}
        if self._has_bridge():
            said.setdefault(BRIDGE, None)
        wrong = [
            f"{node} {f'refuses: {answer.message}' if answer else 'does not answer'}"
            for node, answer in said.items()
            if not (answer and answer.success)
        ]
        if wrong:
            raise RomanError("; ".join(wrong))
        return [f"{node}: {answer.message}" for node, answer in said.items() if answer]

    def _arms(self) -> frozenset[str]:
        """Names of the nodes that play the arm, as far as discovered: nothing else subscribes to this topic."""
        ends = self.node.get_subscriptions_info_by_topic(self.node.resolve_topic_name(GRIPPER_COMMAND))
        return frozenset(end.node_name for end in ends)

    def _has_bridge(self) -> bool:
        return BRIDGE in self._arms()

    def _has_no_bridge(self) -> bool:
        # rclpy's placeholder for an endpoint whose node is not discovered yet may be a bridge's
        arms = self._arms()
        return bool(arms) and BRIDGE not in arms and not any(PLACEHOLDER in arm for arm in arms)

    def _call(self, kind: Any, name: str, request: Any, node: str) -> Any:
        client = self._client(kind, name)
        if not self.spin_until(client.service_is_ready, FIND_TIMEOUT):
            raise RomanError(self.absent(node))
        future: Future = client.call_async(request)
        if not self.spin_until(future.done, ANSWER_TIMEOUT):
            raise RomanError(f"node {node} does not answer within {ANSWER_TIMEOUT:.0f} s")
        return future.result()

    def _client(self, kind: Any, name: str) -> Any:
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
        return self._clients[name]

    def spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until `condition` holds; False if it did not within `timeout` [s]."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True


class Calls:
    """Calls of a Trigger service at several nodes: of each as soon as it is found, and again until it answers."""

    def __init__(self, clients: Mapping[str, Any]) -> None:
        self._clients = clients
        self._futures: dict[str, list[Future]] = {node: [] for node in clients}
        self._asked = dict.fromkeys(clients, -math.inf)  # when last [s]

    def made(self) -> list[str]:
        """Call those that can be called; the nodes that have been called so far."""
        now = time.monotonic()
        for node, client in self._clients.items():
            due = now - self._asked[node] > ASK_AGAIN and self.answer(node) is None
            if due and client.service_is_ready():
                self._futures[node].append(client.call_async(Trigger.Request()))
                self._asked[node] = now
        return [node for node, futures in self._futures.items() if futures]

    def answer(self, node: str) -> Any:
        """What a node has answered; None so far."""
        return next((future.result() for future in self._futures[node] if future.done()), None)


@contextlib.contextmanager
def graph_client(ros_arguments: Sequence[str] = ()) -> Iterator[GraphClient]:
    """A client of the graph of this machine and ROS_DOMAIN_ID; ROS arguments may say which namespace."""
    with ros_environment(separate=True, private=False), ros_context(ros_arguments) as context:
        client = GraphClient(context)
        try:
            yield client
        finally:
            client.close()
