"""A probe: a node of the benches in a graph's own process, which listens and asks for other networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from roman_moe.core.features import feature_layout
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.core.state import begins_anew
from roman_moe.nodes.base.serialized import Numbers, NumbersReader
from roman_moe.nodes.base.topics import GATE_WEIGHTS, SCENE, Topic, action_of, expert_action, weights_of
from roman_moe.nodes.bringup.graph_client import node_of
from roman_moe.nodes.control.observation import observations

Moment = tuple[int, int]  # episode, counted from the first that was heard of, and stamp [ns]


class Probe(Node):
    """Made by `Graph.add`."""

    def __init__(self, name: str, context: Context) -> None:
        super().__init__(name, context=context)
        self._setters: dict[str, Any] = {}

    def finds(self, network: str) -> bool:
        """Whether the node of a network can be asked."""
        if network not in self._setters:
            self._setters[network] = self.create_client(SetParameters, f"{node_of(network)}/set_parameters")
        return bool(self._setters[network].service_is_ready())

    def set_model(self, network: str, file: Path) -> Any:
        """Ask the node of a network, which must have been found, for another one; the future of its answer."""
        message = Parameter("model", value=str(file)).to_parameter_msg()
        return self._setters[network].call_async(SetParameters.Request(parameters=[message]))


class Listener(Probe):
    """A probe that keeps every scene, and what gate and experts answered to it.

    Args:
        skills: of the bundle, in its order.

    Attributes:
        scenes: all features of each scene, (F,).
        answers: by skill, or "gate": to each scene.
    """

    def __init__(self, name: str, context: Context, spec: TaskSpec, skills: tuple[str, ...]) -> None:
        super().__init__(name, context)
        self._observe, self._features = observations(spec), feature_layout(spec)
        self.scenes: dict[Moment, NDArray[np.float64]] = {}
        self.answers: dict[str, dict[Moment, NDArray[np.float64]]] = {}
        self._episode, self._stamp = 0, -1
        self.create_subscription(SCENE.kind, SCENE.name, self._on_scene, SCENE.qos, raw=True)
        self._listen(GATE, GATE_WEIGHTS, weights_of(skills))
        for skill in skills:
            self._listen(skill, expert_action(skill), action_of(spec))

    def _on_scene(self, data: bytes) -> None:
        scene = self._observe(data).scene
        self._episode += self._stamp >= 0 and begins_anew(scene.stamp_ns, self._stamp)
        self._stamp = scene.stamp_ns
        self.scenes[self._episode, scene.stamp_ns] = self._features.vector(scene)

    def _listen(self, name: str, topic: Topic, numbers: Numbers) -> None:
        read, found = NumbersReader(topic.kind, numbers), self.answers.setdefault(name, {})

        def on_answer(data: bytes) -> None:
            stamp, values = read(data)
            found[self._episode, stamp] = values

        self.create_subscription(topic.kind, topic.name, on_answer, topic.qos, raw=True)
