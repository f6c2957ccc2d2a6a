"""A decoded `scene`, shared by gate, experts and blender when they run in one process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.features import FeatureLayout, feature_layout
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState
from roman_moe.nodes.base.serialized import BodiesReader
from roman_moe.nodes.base.topics import SCENE
from roman_moe.wire.bodies import scene_layout


class Observation:
    """One scene, with its decoded state computed at most once."""

    def __init__(self, scene: SceneState, layout: FeatureLayout) -> None:
        self.scene = scene
        self._layout = layout
        self._usable: dict[float, list[bool]] = {}

    @cached_property
    def features(self) -> NDArray[np.float64] | None:
        """All features, (F,); None for a scene that is not finite."""
        if not self.scene.is_finite():
            return None
        features = self._layout.vector(self.scene)
        features.setflags(write=False)
        return features

    def usable(self, max_age: float) -> list[bool]:
        """Which objects are valid and no older than `max_age` [s], (n,)."""
        if max_age not in self._usable:
            self._usable[max_age] = self.scene.usable(max_age)
        return self._usable[max_age]


@lru_cache(maxsize=16)
def observations(spec: TaskSpec) -> Callable[[bytes], Observation]:
    """What makes a task's observations of serialized scenes; it raises a MessageError for what is no scene."""
    scenes, features = scene_layout(spec), feature_layout(spec)
    read = BodiesReader(SCENE.name, SCENE.kind, scenes.scene_names)

    @lru_cache(maxsize=1)
    def observation(data: bytes) -> Observation:
        return Observation(scenes.scene(read(data)), features)

    return observation
