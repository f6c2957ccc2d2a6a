"""One expert's node: answers every scene with its skill's action. It remembers nothing from one scene to the next."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from roman_moe.control.bundle import load_expert
from roman_moe.core.action import ACTION_SIZE
from roman_moe.core.bodies import SCENE_NAMES, scene_of
from roman_moe.core.features import feature_vector
from roman_moe.core.state import SceneState
from roman_moe.nodes.base import NOT_FINITE, RomanNode
from roman_moe.nodes.diagnostics import OK, WARN
from roman_moe.nodes.parameters import declare, parameter
from roman_moe.nodes.process import leave, run_node
from roman_moe.nodes.topics import CODEC, SCENE, expert_action


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
        topic = expert_action(parameters.skill)
        self._publish = self.advertise_numbers(topic, partial(CODEC.action, 0), ACTION_SIZE)
        self.listen_bodies(SCENE, SCENE_NAMES, scene_of, self._on_scene)
        self.diagnostics.state(WARN, "waiting for scene")

    def _on_scene(self, scene: SceneState) -> None:
        if not scene.is_finite():
            self.diagnostics.count(NOT_FINITE, f"scene at {scene.stamp_ns} ns")
            return
        action = self._expert.action(feature_vector(scene))
        self._publish(scene.stamp_ns, action.tolist())
        self.diagnostics.state(OK, "giving actions")


def main() -> int:
    """Run the node in this process."""
    return run_node(ExpertNode)


if __name__ == "__main__":
    leave(main())
