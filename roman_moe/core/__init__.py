"""The types that all other rooms share: skills, scene state, action, features, errors. numpy only."""

from typing import TYPE_CHECKING

from roman_moe.core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from roman_moe.core.features import feature_layout
    from roman_moe.core.spec import TaskSpec
    from roman_moe.core.state import SceneState
    from roman_moe.core.tasks import load_spec

__all__ = ["SceneState", "TaskSpec", "feature_layout", "load_spec"]
__getattr__ = lazy_exports(
    __name__,
    SceneState="state",
    TaskSpec="spec",
    feature_layout="features",
    load_spec="tasks",
)
