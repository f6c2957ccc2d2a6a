"""A blender, and everything around it played by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bundles import write_loose_limits
from ros_rig import Rig
from scenes import scene_at
from specs import ACTION_LAYOUT, SKILLS

from roman_moe.nodes.base.topics import CODEC, GATE_WEIGHTS, GRIPPER_COMMAND, SCENE, TWIST_COMMAND, expert_action
from roman_moe.nodes.control.blender import Blender
from roman_moe.wire.codec import command_of, decode_gripper, decode_twist, message_stamp

TICK_NS = 50_000_000
WEIGHTS = np.array([0.6, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0])  # three experts matter
ACTIONS = np.random.default_rng(0).uniform(-1.0, 1.0, (len(SKILLS), 4))
ACTIVE = (0, 1, 2)


class Harness:
    """A blender, and everything around it played by hand."""

    def __init__(self, rig: Rig, bundle: Path, **parameters: Any) -> None:
        self.rig = rig
        parameters.setdefault("limits", str(write_loose_limits(bundle.parent)))
        self.node = rig.add(Blender, bundle=str(bundle), **parameters)
        rig.listen(TWIST_COMMAND)
        rig.listen(GRIPPER_COMMAND)

    def scene(self, tick: int) -> None:
        self.rig.send(SCENE, CODEC.scene(scene_at(tick * TICK_NS)))

    def weights(self, tick: int, weights: np.ndarray = WEIGHTS) -> None:
        self.rig.send(GATE_WEIGHTS, CODEC.weights(tick * TICK_NS, SKILLS, weights))

    def action(self, tick: int, expert: int, action: np.ndarray | None = None) -> None:
        chosen = ACTIONS[expert] if action is None else action
        self.rig.send(expert_action(SKILLS[expert]), CODEC.action(tick * TICK_NS, ACTION_LAYOUT, chosen))

    def whole_tick(self, tick: int) -> Any:
        before = len(self.rig.heard[TWIST_COMMAND.name])
        self.scene(tick)
        self.weights(tick)
        for expert in ACTIVE:
            self.action(tick, expert)
        return self.command(before + 1)

    def command(self, count: int) -> Any:
        """The command once there have been `count`."""
        twist = self.rig.last(TWIST_COMMAND, count)
        gripper = self.rig.last(GRIPPER_COMMAND, count)
        assert message_stamp(gripper) == message_stamp(twist)
        return command_of(message_stamp(twist), decode_twist(twist), decode_gripper(gripper))

    @property
    def commands(self) -> int:
        return len(self.rig.heard[TWIST_COMMAND.name])

    @property
    def counts(self) -> dict[str, int]:
        return self.node.diagnostics.counts
