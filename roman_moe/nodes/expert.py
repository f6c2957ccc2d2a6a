"""One expert's node: answers every scene with its skill's action. It remembers nothing from one scene to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.bundle import load_expert
from roman_moe.nodes.base import NOT_FINITE, RomanNode
from roman_moe.nodes.diagnostics import OK, WARN
from roman_moe.nodes.observation import scene_features
from roman_moe.nodes.parameters import declare, parameter
from roman_moe.nodes.process import leave, run_node
from roman_moe.nodes.topics import ACTION, SCENE, expert_action


@dataclass(frozen=True)
class ExpertParameters:
    """Parameters of an expert's node."""

    controller: str = parameter("folder of the controller bundle")
    skill: str = parameter("skill of the bundle whose expert this is")


class ExpertNode(RomanNode):
    """Turns `scene` into `expert/<skill>/action`."""

    NAME = "expert"
    PARAMETERS = ExpertParameters

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        parameters = declare(self, ExpertParameters)
        self._expert = load_expert(parameters.controller, parameters.skill)
        self._publish = self.advertise_numbers(expert_action(parameters.skill), ACTION)
        self.listen(SCENE, scene_features, self._on_scene, serialized=True)
        self.diagnostics.state(WARN, "waiting for scene")

    def _on_scene(self, scene: tuple[int, NDArray[np.float64] | None]) -> None:
        stamp, features = scene
        if features is None:
            self.diagnostics.count(NOT_FINITE, f"scene at {stamp} ns")
            return
        self._publish(stamp, self._expert.action(features).tolist())
        self.diagnostics.state(OK, "giving actions")


def main() -> int:
    """Run the node in this process."""
    return run_node(ExpertNode)


if __name__ == "__main__":
    leave(main())
