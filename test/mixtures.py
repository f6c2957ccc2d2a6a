"""A whole graph of tiny networks that always sees the same scene, and what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bundles import write_loose_limits
from rcl_interfaces.msg import SetParametersResult
from ros_rig import Rig
from scenes import scene_at
from specs import LAYOUT, OBJECTS, ROMAN, SKILLS

from roman_moe.control.bundle import load_model
from roman_moe.control.manifest import load_manifest
from roman_moe.core.action import to_command
from roman_moe.core.state import SceneState
from roman_moe.nodes.base.topics import CODEC, SCENE, TWIST_COMMAND
from roman_moe.nodes.control.blender import TAKEN_OUT, Blender
from roman_moe.nodes.control.expert import ExpertNode
from roman_moe.nodes.control.gate import GateNode
from roman_moe.wire.codec import decode_twist

TICK_NS = 50_000_000
RAMP = 0.5  # [s] the default of all nodes
RAMP_TICKS = 10


def state_at(tick: int) -> SceneState:
    """The scene of a tick: always the same one, so that nothing but a swap changes an answer."""
    objects = np.random.default_rng(5).uniform(-0.2, 0.2, (len(OBJECTS), 3))
    return scene_at(tick * TICK_NS, object_positions=objects)


def action_of(bundle: Path, skill: str) -> np.ndarray:
    """What a bundle's expert does in that scene."""
    state = state_at(0)
    manifest = load_manifest(bundle)
    expert = load_model(bundle / manifest.experts[skill].file, skill, manifest).network
    return np.asarray(expert.answer(LAYOUT.vector(state), state.usable(1.0)))


def weights_of(bundle: Path) -> np.ndarray:
    """What a bundle's gate says of that scene."""
    gate = load_model(bundle / "gate.onnx", "gate", load_manifest(bundle)).network
    return np.asarray(gate(LAYOUT.vector(state_at(0))))


class Mixture:
    """Gate, experts and blender, all real, in lockstep with scenes that are sent one by one."""

    def __init__(self, rig: Rig, bundle: Path, **parameters: Any) -> None:
        self.rig = rig
        limits = str(write_loose_limits(bundle.parent))
        self.gate = rig.add(GateNode, bundle=str(bundle))
        self.experts = {s: rig.add(ExpertNode, f"expert_{s}", bundle=str(bundle), skill=s) for s in SKILLS}
        self.blender = rig.add(Blender, bundle=str(bundle), lockstep=True, limits=limits, **parameters)
        self.nodes = [self.gate, *self.experts.values(), self.blender]
        rig.serve(*self.nodes)
        rig.listen(TWIST_COMMAND)
        self.tick = -1
        self.weights = weights_of(bundle)
        self.actions = np.array([action_of(bundle, skill) for skill in SKILLS])
        self.weakest = SKILLS[int(np.argmin(self.weights))]

    def next(self) -> np.ndarray:
        self.tick += 1
        before = len(self.rig.heard[TWIST_COMMAND.name])
        self.rig.send(SCENE, CODEC.scene(state_at(self.tick)))
        return decode_twist(self.rig.last(TWIST_COMMAND, before + 1))

    def without(self, *out: str) -> np.ndarray:
        """Twist of the mixture of all others, (6,) [m/s, rad/s]."""
        share = self.weights * [skill not in out for skill in SKILLS]
        return to_command(ROMAN, 0, share @ self.actions / share.sum(), 0.0).twist

    def take_out(self, *skills: str) -> SetParametersResult:
        return self.rig.set("blender", TAKEN_OUT, list(skills))
