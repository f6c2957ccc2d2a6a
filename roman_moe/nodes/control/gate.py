"""The gate's node: weighs the experts at its own rate, every second scene by default, chosen by the scene's stamp.

If the gate has no answer at its tick, because an observed object was not usable or the scene was lost, it tries again
with each later scene.
"""

from __future__ import annotations

import math

from roman_moe.nodes.base.diagnostics import OK, WAITING, WARN
from roman_moe.nodes.base.node import NOT_FINITE
from roman_moe.nodes.base.topics import GATE_WEIGHTS, SCENE, weights_of
from roman_moe.nodes.control.network_node import NetworkNode, NetworkParameters
from roman_moe.nodes.control.observation import Observation, observations


class GateNode(NetworkNode):
    """Turns `scene` into `gate/weights`."""

    NAME = "gate"
    PARAMETERS = NetworkParameters

    def activate(self) -> None:
        self._rates = self._manifest.rates
        self._stamp = -1  # of the last scene
        self._weighed: tuple[int, list[float]] | None = None  # last weights sent, with their stamp
        self._publish = self.advertise_numbers(GATE_WEIGHTS, weights_of(self._manifest.skills))
        self.listen(SCENE, self._on_scene, observations(self._spec), serialized=True)
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
            weighed = self._weighed = stamp, self.answer(seen, features)
        elif not repeated:
            return
        # a repeated scene between gate ticks: the blender may have missed the weights that still hold
        self._publish(*weighed)
        self.diagnostics.state(OK, "giving weights")

    def _hold(self, weighed_at: int, weights: list[float], stamp: int) -> bool:
        """Whether weights are of a scene's gate tick, or since."""
        since = self._rates.tick(weighed_at) - self._rates.gate_tick(stamp)
        return all(map(math.isfinite, weights)) and 0 <= since < self._rates.gate_divider
