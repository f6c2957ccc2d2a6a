"""One expert's node: answers a scene with its skill's action, or with NaN for "no answer".

While its weight is exactly 0 it idles: its network does not run, and it sends nothing. A scene may come before its
weights, the gate's or an operator's. An expert that idles keeps such a scene, and answers it as soon as the weights ask
for it; one that does not idle answers at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from roman_moe.nodes.base import topics
from roman_moe.nodes.base.diagnostics import OK, WAITING, WARN
from roman_moe.nodes.base.node import NOT_FINITE
from roman_moe.nodes.base.parameters import parameter
from roman_moe.nodes.control.network_node import NetworkNode, NetworkParameters
from roman_moe.nodes.control.observation import Observation, observations

IDLE = "idle: its weight is 0"


@dataclass(frozen=True, kw_only=True)
class ExpertParameters(NetworkParameters):
    """Parameters of an expert's node."""

    skill: str = parameter("the expert's skill, one of the bundle's")


class ExpertNode(NetworkNode):
    """Turns `scene` into `expert/<skill>/action`, unless its weight in `gate/weights` is 0."""

    NAME = "expert"
    PARAMETERS = ExpertParameters

    def activate(self) -> None:
        spec, skills = self._spec, self._manifest.skills
        self._place = skills.index(self._network)
        # its own, latest of each
        self._weights = {topics.GATE_WEIGHTS.name: math.nan, topics.OPERATOR_WEIGHTS.name: math.nan}
        self._kept: Observation | None = None  # last scene, while it is not answered
        self._publish = self.advertise_numbers(topics.expert_action(self._network), topics.action_of(spec))
        self.listen(topics.SCENE, self._on_scene, observations(spec), serialized=True)
        for topic in (topics.GATE_WEIGHTS, topics.OPERATOR_WEIGHTS):
            self.listen_numbers(topic, topics.weights_of(skills), partial(self._on_weights, topic.name))
        self.diagnostics.state(WARN, f"{WAITING}scene")

    def _on_scene(self, seen: Observation) -> None:
        if self._weights[topics.GATE_WEIGHTS.name] == 0.0 and not self._weights[topics.OPERATOR_WEIGHTS.name] > 0.0:
            self._kept = seen
            self._idle(seen.scene.stamp_ns)
            self.diagnostics.state(OK, IDLE)
        else:
            self._answer(seen)

    def _on_weights(self, topic: str, stamped: tuple[int, NDArray[np.float64]]) -> None:
        stamp, weights = stamped
        weight = self._weights[topic] = float(weights[self._place])
        if self._kept is not None and weight > 0.0 and self._holds(stamp, self._kept.scene.stamp_ns):
            self._answer(self._kept)

    def _holds(self, weighed_at: int, stamp: int) -> bool:
        """Whether weights are of a scene's gate tick, or since: not of an earlier or another episode's scene."""
        rates = self._manifest.rates
        return rates.gate_tick(stamp) <= rates.tick(weighed_at) <= rates.tick(stamp)

    def _answer(self, seen: Observation) -> None:
        self._kept = None
        stamp, features = seen.scene.stamp_ns, seen.features
        if features is None:
            self.diagnostics.count(NOT_FINITE, f"scene at {stamp} ns")
            return
        self._publish(stamp, self.answer(seen, features))
        self.diagnostics.state(OK, "giving actions")
