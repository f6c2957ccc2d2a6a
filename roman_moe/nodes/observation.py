"""What gate, experts and blender take from `scene`: composed, they share one process, and the first decodes for all."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.bodies import SCENE_NAMES, scene_of
from roman_moe.core.features import feature_vector
from roman_moe.core.state import SceneState
from roman_moe.nodes.topics import SCENE
from roman_moe.nodes.wire import BodiesReader

_read = BodiesReader(SCENE.name, SCENE.kind, SCENE_NAMES)


class Observation:
    """One scene, and what is made of it at most once.

    Attributes:
        scene: as it was sent.
    """

    def __init__(self, scene: SceneState) -> None:
        self.scene = scene
        self._features: NDArray[np.float64] | None = None
        self._finite: bool | None = None
        self._usable: dict[float, NDArray[np.bool_]] = {}

    @property
    def features(self) -> NDArray[np.float64] | None:
        """All features, (len(FEATURES),); None for a scene that is not finite."""
        if self._finite is None:
            self._finite = self.scene.is_finite()
            if self._finite:
                self._features = feature_vector(self.scene)
                self._features.setflags(write=False)
        return self._features

    def usable(self, max_age: float) -> NDArray[np.bool_]:
        """Which objects are valid and no older than `max_age` [s], (len(OBJECTS),)."""
        usable = self._usable.get(max_age)
        if usable is None:
            usable = self._usable[max_age] = self.scene.usable(max_age)
        return usable


@lru_cache(maxsize=1)
def observation(data: bytes) -> Observation:
    """Observation of a serialized scene.

    Raises:
        MessageError: if it is no scene.
    """
    return Observation(scene_of(_read(data)))
