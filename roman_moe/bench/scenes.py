"""Scenes to measure with: numbers of ordinary size, of no scene in particular."""

from __future__ import annotations

import numpy as np

from roman_moe.core.roman import FLAGS, GRIPPER_OPEN, HOME_POSITION, OBJECTS, ROMAN
from roman_moe.core.state import SceneState


def random_scene(stamp_ns: int, rng: np.random.Generator) -> SceneState:
    """A scene of this stamp [ns] with hand and objects anywhere about home."""
    return SceneState(
        spec=ROMAN,
        stamp_ns=stamp_ns,
        hand_position=HOME_POSITION + rng.normal(0.0, 0.2, 3),
        hand_velocity=rng.normal(0.0, 0.1, 3),
        finger_opening=GRIPPER_OPEN,
        finger_forces=rng.random(2),
        object_positions=HOME_POSITION + rng.normal(0.0, 0.3, (len(OBJECTS), 3)),
        flags=np.zeros(len(FLAGS), dtype=bool),
    )
