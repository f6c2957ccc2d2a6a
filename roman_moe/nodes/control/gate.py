"""The gate's node: weighs the experts at its own rate, every second scene by default, chosen by the scene's stamp.

If the gate has no answer at its tick, because an observed object was not usable or the scene was lost, it tries again
with each later scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from roman_moe.control.limits import load_limits
from roman_moe.control.manifest import task_of_bundle
from roman_moe.control.swap import as_weights
from roman_moe.core.spec import GATE
from roman_moe.nodes.base.diagnostics import OK, WAITING, WARN
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.parameters import declare, parameter
from roman_moe.nodes.base.process import leave, run_node
from roman_moe.nodes.base.topics import GATE_WEIGHTS, SCENE, weights_of
from roman_moe.nodes.control.model_slot import ModelSlot
from roman_moe.nodes.control.observation import Observation, observations


@dataclass(frozen=True)
class GateParameters:
    """Parameters of the gate's node."""

    bundle: str = parameter("folder of the bundle", shipped=True, formerly="controller")
    task: str = parameter("name or folder of a task; the bundle's if empty", "")
    model: str = parameter(
        "file (.onnx) of the network, relative to the bundle's folder; the bundle's own if empty", "", fixed=False
    )
    ramp: float = parameter("duration of the ramp from an old network's weights to a new one's [s]", 0.5, (0.0, 10.0))
    limits: str = parameter("file of the guard's limits; config/limits.yaml if empty", "", shipped=True)


class GateNode(RomanNode):
    """Turns `scene` into `gate/weights`."""

    NAME = "gate"
    PARAMETERS = GateParameters

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._settings = settings = declare(self, GateParameters)
        self._slot = ModelSlot(self, settings.bundle, GATE, settings.ramp, as_weights)

    def configure(self) -> None:
        """Load the network."""
        self._max_age = load_limits(self._settings.limits).max_pose_age
        self._spec = task_of_bundle(self._settings.bundle, self._settings.task)
        self._slot.load()

    def clean_up(self) -> None:
        """Let go of it."""
        self._slot.unload()

    def activate(self) -> None:
        """Begin to answer."""
        self._rates = self._slot.manifest.rates
        self._stamp = -1  # of the last scene
        self._weighed: tuple[int, list[float]] | None = None  # last weights sent, with their stamp
        self._publish = self.advertise_numbers(GATE_WEIGHTS, weights_of(self._slot.manifest.skills))
        self.listen(SCENE, observations(self._spec), self._on_scene, serialized=True)
        self.diagnostics.state(WARN, f"{WAITING}scene")

    def _on_scene(self, seen: Observation) -> None:
        stamp, features = seen.scene.stamp_ns, seen.features
        repeated = stamp == self._stamp
        self._stamp = stamp
        if features is None:
            self.diagnostics.count(NOT_FINITE, f"scene at {stamp} ns")
            return
        weighed = self._weighed
        if weighed is None or self._rates.gate_due(stamp) or not self._hold(*weighed, stamp):
            weighed = self._weighed = stamp, self._slot.answer(stamp, features, seen.usable(self._max_age)).tolist()
        elif not repeated:
            return
        # a repeated scene between gate ticks: the blender may have missed the weights that still hold
        self._publish(*weighed)
        self.diagnostics.state(OK, "giving weights")

    def _hold(self, weighed_at: int, weights: list[float], stamp: int) -> bool:
        """Whether weights are of a scene's gate tick, or since."""
        since = self._rates.tick(weighed_at) - self._rates.gate_tick(stamp)
        return all(map(math.isfinite, weights)) and 0 <= since < self._rates.gate_divider


if __name__ == "__main__":
    leave(run_node(GateNode))
