"""What gate and experts take from `scene`: composed, they share one process, and the first to ask decodes for all."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.bodies import SCENE_NAMES, scene_of
from roman_moe.core.features import feature_vector
from roman_moe.nodes.topics import SCENE
from roman_moe.nodes.wire import BodiesReader

_read = BodiesReader(SCENE.name, SCENE.kind, SCENE_NAMES)


@lru_cache(maxsize=1)
def scene_features(data: bytes) -> tuple[int, NDArray[np.float64] | None]:
    """Stamp [ns] and all features, (len(FEATURES),), of a serialized scene; None for those of one that is not finite.

    Raises:
        MessageError: if it is no scene.
    """
    scene = scene_of(_read(data))
    if not scene.is_finite():
        return scene.stamp_ns, None
    features = feature_vector(scene)
    features.setflags(write=False)
    return scene.stamp_ns, features
