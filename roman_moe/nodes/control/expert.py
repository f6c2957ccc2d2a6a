"""One expert's node: answers every scene with its skill's action, or with NaN for "no answer"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from roman_moe.control.limits import load_limits
from roman_moe.control.swap import as_action
from roman_moe.nodes.base.diagnostics import OK, WAITING, WARN
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.parameters import declare, parameter
from roman_moe.nodes.base.process import leave, run_node
from roman_moe.nodes.base.topics import SCENE, action_of, expert_action
from roman_moe.nodes.control.model_slot import ModelSlot
from roman_moe.nodes.control.observation import Observation, observations


@dataclass(frozen=True)
class ExpertParameters:
    """Parameters of an expert's node."""

    controller: str = parameter("folder of the controller bundle", shipped=True)
    skill: str = parameter("skill of the bundle whose expert this is")
    model: str = parameter("file (.onnx) of the network, from the bundle's folder; its own if empty", "", fixed=False)
    ramp: float = parameter("from the old network's answers to the new one's [s]", 0.5, (0.0, 10.0))
    limits: str = parameter("file of the guard's limits; config/limits.yaml if empty", "", shipped=True)


class ExpertNode(RomanNode):
    """Turns `scene` into `expert/<skill>/action`."""

    NAME = "expert"
    PARAMETERS = ExpertParameters

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._settings = settings = declare(self, ExpertParameters)
        self._slot = ModelSlot(self, settings.controller, settings.skill, settings.ramp, as_action)

    def configure(self) -> None:
        """Load the network."""
        self._limits = load_limits(self._settings.limits)
        self._slot.load()

    def clean_up(self) -> None:
        """Let go of it."""
        self._slot.unload()

    def activate(self) -> None:
        """Begin to answer."""
        spec = self._slot.manifest.task
        self._publish = self.advertise_numbers(expert_action(self._settings.skill), action_of(spec))
        self.listen(SCENE, observations(spec), self._on_scene, serialized=True)
        self.diagnostics.state(WARN, f"{WAITING}scene")

    def _on_scene(self, seen: Observation) -> None:
        stamp, features = seen.scene.stamp_ns, seen.features
        if features is None:
            self.diagnostics.count(NOT_FINITE, f"scene at {stamp} ns")
            return
        self._publish(stamp, self._slot.answer(stamp, features, seen.usable(self._limits.max_pose_age)).tolist())
        self.diagnostics.state(OK, "giving actions")


if __name__ == "__main__":
    leave(run_node(ExpertNode))
