"""The first task, and what tests need of it."""

from __future__ import annotations

import numpy as np

from roman_moe.core.bodies import scene_layout
from roman_moe.core.features import feature_layout
from roman_moe.core.tasks import load_spec

ROMAN = load_spec("roman")
LAYOUT = feature_layout(ROMAN)
SCENES = scene_layout(ROMAN)
SKILLS, OBJECTS, FLAGS, NETWORKS = ROMAN.skill_names, ROMAN.object_names, ROMAN.flags, ROMAN.networks
SCENARIOS = tuple(range(len(ROMAN.scenarios)))
FEATURES, OBSERVATIONS = LAYOUT.names, LAYOUT.observations
HAND_NAMES, SCENE_NAMES = SCENES.hand_names, SCENES.scene_names
ACTION_LAYOUT, ACTION_SIZE = ROMAN.action.layout, ROMAN.action.size
GRIPPER_OPEN, GRIPPER_CLOSED = ROMAN.gripper.open, ROMAN.gripper.closed
TOP_SPEED = ROMAN.action.top_speed
OBJECT_INDEX, FEATURE_INDEX = ROMAN.object_index, LAYOUT.index
HOME_POSITION = np.array(ROMAN.home.position)
feature_vector, feature_indices = LAYOUT.vector, LAYOUT.indices
FORCE_SCALE = ROMAN.gripper.force_scale
