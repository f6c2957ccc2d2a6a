"""What writer and reader agree on: topics and message types of an episode's bag."""

from __future__ import annotations

import functools

from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from roman_moe.core.messages import JOINT_STATE, MULTI_DOF, TWIST_STAMPED, MessageCodec
from roman_moe.demos.metadata import GATE

SCENE_TOPIC = "scene"
TWIST_TOPIC = "delta_twist_cmds"
GRIPPER_TOPIC = "gripper_cmd"

TOPIC_TYPES = {SCENE_TOPIC: MULTI_DOF, TWIST_TOPIC: TWIST_STAMPED, GRIPPER_TOPIC: JOINT_STATE}

METADATA_FILE = "metadata.yaml"


def answer_topic(network: str) -> str:
    """Topic of what is taught: `gate/weights`, or `expert/<skill>/action`."""
    return "gate/weights" if network == GATE else f"expert/{network}/action"


@functools.lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Message definitions; the types used here are the same in Jazzy and Kilted."""
    return get_typestore(Stores.ROS2_JAZZY)


@functools.lru_cache(maxsize=1)
def codec() -> MessageCodec:
    """Builds the type store's messages."""
    return MessageCodec(typestore().types.__getitem__)
