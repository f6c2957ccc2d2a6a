"""Which scenes a network can learn from: those to which it would answer."""

from __future__ import annotations

from functools import lru_cache

from roman_moe.control.limits import load_limits
from roman_moe.core.features import feature_layout
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState


def is_teachable(scene: SceneState, network: str) -> bool:
    """Whether all is finite, and each object that the network observes is seen, or hidden and remembered."""
    if not scene.is_finite():
        return False
    if scene.object_valid.all():
        return True
    usable = scene.usable(_max_pose_age())
    return all(usable[row] or scene.object_valid[row] for row in _observed(scene.spec, network))


@lru_cache(maxsize=32)
def _observed(spec: TaskSpec, network: str) -> tuple[int, ...]:
    """Rows of the objects that a network observes."""
    layout = feature_layout(spec)
    return tuple(layout.objects_of(layout.observations[network]).tolist())


@lru_cache(maxsize=1)
def _max_pose_age() -> float:
    return load_limits().max_pose_age
