"""The first task, and what tests need of it."""

from __future__ import annotations

import numpy as np

from roman_moe.core.features import feature_layout
from roman_moe.core.tasks import load_spec
from roman_moe.wire.bodies import scene_layout

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

TURN_KEY = """\
name: turn_key
title: A key turned in its lock
home: {position: [0.4, 0.0, 0.3]}
gripper: {open: 0.06, closed: 0.01, force_scale: 5.0}
action: {top_speed: 0.1, angular: [rz], top_angular_speed: 2.0}
objects:
  key: {orientation: yaw, position: [0.5, 0.1, 0.02]}
  peg: {orientation: yaw, symmetry: 4}
  lid: {orientation: full}
  lock: {moves: false}
flags: [locked, lit]
skills:
  insert: {observes: [key, lock], time_limit: 20.0, label: Insert, color: "#123456"}
  turn: {observes: [key, locked]}
gate: {observes: [key, lock, locked]}
scenarios:
  - {first: turn, time_limit: 30.0}
  - {first: insert, time_limit: 60.0, min_time: 1.0}
"""
"""task.yaml of a made-up task whose hand and objects turn."""
