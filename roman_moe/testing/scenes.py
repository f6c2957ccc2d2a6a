"""Scenes to measure with: numbers of ordinary size, of no scene in particular."""

from __future__ import annotations

import numpy as np

from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState


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
