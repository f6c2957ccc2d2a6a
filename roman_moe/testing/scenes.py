"""Scenes to measure with: numbers of ordinary size, of no scene in particular."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.guard import GuardStatus
from roman_moe.core.action import Command
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState
from roman_moe.wire.codec import BlenderTick


def random_scene(spec: TaskSpec, stamp_ns: int, rng: np.random.Generator) -> SceneState:
    """A scene of this stamp [ns] with hand and objects anywhere about home."""
    home = np.array(spec.home.position)
    return SceneState(
        spec=spec,
        stamp_ns=stamp_ns,
        hand_position=home + rng.normal(0.0, 0.2, 3),
        hand_velocity=rng.normal(0.0, 0.1, 3),
        finger_opening=spec.gripper.open,
        finger_forces=rng.random(2),
        object_positions=home + rng.normal(0.0, 0.3, (len(spec.objects), 3)),
        flags=np.zeros(len(spec.flags), dtype=bool),
    )


def driven_tick(
    spec: TaskSpec, stamp_ns: int, rng: np.random.Generator
) -> tuple[SceneState, NDArray[np.float64], BlenderTick]:
    """A random scene, an operator's answer to it, and what the blender made of it."""
    command = Command(stamp_ns, rng.normal(0.0, 0.1, 3), spec.gripper.open)
    tick = BlenderTick(spec.skill_names, np.zeros(len(spec.skills)), command, GuardStatus.NO_WARNING, drove=True)
    return random_scene(spec, stamp_ns, rng), rng.uniform(-1.0, 1.0, spec.action.size), tick
