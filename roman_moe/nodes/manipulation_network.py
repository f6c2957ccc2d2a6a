"""The gate's node: weighs the experts at its own rate, every second scene by default, chosen by the scene's stamp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.bundle import load_gate
from roman_moe.control.manifest import load_manifest
from roman_moe.nodes.base import NOT_FINITE, RomanNode
from roman_moe.nodes.diagnostics import OK, WARN
from roman_moe.nodes.observation import scene_features
from roman_moe.nodes.parameters import declare, parameter
from roman_moe.nodes.process import leave, run_node
from roman_moe.nodes.topics import GATE_WEIGHTS, SCENE, weights_of


@dataclass(frozen=True)
class ManipulationNetworkParameters:
    """Parameters of the gate's node."""

    controller: str = parameter("folder of the controller bundle")


class ManipulationNetwork(RomanNode):
    """Turns `scene` into `gate/weights`."""

    NAME = "manipulation_network"
    PARAMETERS = ManipulationNetworkParameters

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        path = declare(self, ManipulationNetworkParameters).controller
        self._rates = load_manifest(path).rates
        self._gate = load_gate(path)
        self._stamp = -1  # of the last scene
        self._weighed: tuple[int, list[float]] | None = None  # last weights sent, with their stamp
        self._publish = self.advertise_numbers(GATE_WEIGHTS, weights_of(self._gate.skills))
        self.listen(SCENE, scene_features, self._on_scene, serialized=True)
        self.diagnostics.state(WARN, "waiting for scene")

    def _on_scene(self, scene: tuple[int, NDArray[np.float64] | None]) -> None:
        stamp, features = scene
        repeated = stamp == self._stamp
        self._stamp = stamp
        if features is None:
            self.diagnostics.count(NOT_FINITE, f"scene at {stamp} ns")
            return
        if self._rates.gate_due(stamp):
            self._weighed = stamp, self._gate.weights(features).tolist()
        elif not repeated or self._weighed is None:
            return
        # a repeated scene between gate ticks: the blender may have missed the weights that still hold
        self._publish(*self._weighed)
        self.diagnostics.state(OK, "giving weights")


def main() -> int:
    """Run the node in this process."""
    return run_node(ManipulationNetwork)


if __name__ == "__main__":
    leave(main())
