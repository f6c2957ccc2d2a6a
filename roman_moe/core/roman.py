"""The first task's spec, for what does not yet take the task at hand."""

from __future__ import annotations

from roman_moe.core.features import feature_layout
from roman_moe.core.tasks import load_spec

ROMAN = load_spec("roman")
LAYOUT = feature_layout(ROMAN)
SKILLS, OBJECTS, FLAGS = ROMAN.skill_names, ROMAN.object_names, ROMAN.flags
NETWORKS, SCENARIOS = ROMAN.networks, tuple(range(len(ROMAN.scenarios)))
FEATURES, OBSERVATIONS = LAYOUT.names, LAYOUT.observations
HOME_POSITION = LAYOUT._home
GRIPPER_OPEN, GRIPPER_CLOSED = ROMAN.gripper.open, ROMAN.gripper.closed
TOP_SPEED = ROMAN.action.top_speed
ACTION_LAYOUT, ACTION_SIZE = ROMAN.action.layout, ROMAN.action.size
FORCE_SCALE = ROMAN.gripper.force_scale
feature_vector, feature_indices = LAYOUT.vector, LAYOUT.indices
FEATURE_INDEX = LAYOUT.index
