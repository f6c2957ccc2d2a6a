"""One expert's node: answers a scene with its skill's action, or with NaN for "no answer".

While its weight is exactly 0 it idles: its network does not run, and it sends nothing. A scene may come before its
weights, the gate's or an operator's. An expert that idles keeps such a scene, and answers it as soon as the weights ask
for it; one that does not idle answers at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.limits import load_limits
from roman_moe.control.manifest import task_of_bundle
from roman_moe.control.swap import as_action
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.diagnostics import OK, WAITING, WARN
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.parameters import declare, parameter
from roman_moe.nodes.base.process import leave, run_node
from roman_moe.nodes.control.model_slot import ModelSlot
from roman_moe.nodes.control.observation import Observation, observations

IDLE = "idle: its weight is 0"


@dataclass(frozen=True)
class ExpertParameters:
    """Parameters of an expert's node."""

    bundle: str = parameter("folder of the bundle", shipped=True, formerly="controller")
    skill: str = parameter("the expert's skill, one of the bundle's")
    task: str = parameter("name or folder of a task; the bundle's if empty", "")
    model: str = parameter(
        "file (.onnx) of the network, relative to the bundle's folder; the bundle's own if empty", "", fixed=False
    )
    ramp: float = parameter("duration of the ramp from an old network's answers to a new one's [s]", 0.5, (0.0, 10.0))
    limits: str = parameter("file of the guard's limits; config/limits.yaml if empty", "", shipped=True)


class ExpertNode(RomanNode):
    """Turns `scene` into `expert/<skill>/action`, unless its weight in `gate/weights` is 0."""

    NAME = "expert"
    PARAMETERS = ExpertParameters

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._settings = settings = declare(self, ExpertParameters)
        self._slot = ModelSlot(self, settings.bundle, settings.skill, settings.ramp, as_action)

    def configure(self) -> None:
        """Load the network."""
        self._limits = load_limits(self._settings.limits)
        self._spec = task_of_bundle(self._settings.bundle, self._settings.task)
        self._slot.load()

    def clean_up(self) -> None:
        """Let go of it."""
        self._slot.unload()

    def activate(self) -> None:
        """Begin to answer."""
        spec, skills = self._spec, self._slot.manifest.skills
        self._place = skills.index(self._settings.skill)
        self._weights = {
            topics.GATE_WEIGHTS.name: math.nan,
            topics.OPERATOR_WEIGHTS.name: math.nan,
        }  # its own, latest of each
        self._kept: Observation | None = None  # last scene, while it is not answered
        self._publish = self.advertise_numbers(topics.expert_action(self._settings.skill), topics.action_of(spec))
        self.listen(topics.SCENE, observations(spec), self._on_scene, serialized=True)
        for topic in (topics.GATE_WEIGHTS, topics.OPERATOR_WEIGHTS):
            self.listen_numbers(topic, topics.weights_of(skills), partial(self._on_weights, topic.name))
        self.diagnostics.state(WARN, f"{WAITING}scene")

    def _on_scene(self, seen: Observation) -> None:
        if self._weights[topics.GATE_WEIGHTS.name] == 0.0 and not self._weights[topics.OPERATOR_WEIGHTS.name] > 0.0:
            self._kept = seen
            self._slot.idle(seen.scene.stamp_ns)
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
        rates = self._slot.manifest.rates
        return rates.gate_tick(stamp) <= rates.tick(weighed_at) <= rates.tick(stamp)

    def _answer(self, seen: Observation) -> None:
        self._kept = None
        stamp, features = seen.scene.stamp_ns, seen.features
        if features is None:
            self.diagnostics.count(NOT_FINITE, f"scene at {stamp} ns")
            return
        self._publish(stamp, self._slot.answer(stamp, features, seen.usable(self._limits.max_pose_age)).tolist())
        self.diagnostics.state(OK, "giving actions")


if __name__ == "__main__":
    leave(run_node(ExpertNode))
