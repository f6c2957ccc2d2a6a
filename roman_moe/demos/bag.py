"""What writer and reader agree on: topics and message types of an episode's bag."""

from __future__ import annotations

import functools
import struct

from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from roman_moe.core.messages import JOINT_STATE, MULTI_DOF, TWIST_STAMPED, MessageCodec
from roman_moe.core.spec import GATE
from roman_moe.core.state import NANOSECONDS

SCENE_TOPIC = "scene"
TWIST_TOPIC = "delta_twist_cmds"
GRIPPER_TOPIC = "gripper_cmd"

TOPIC_TYPES = {SCENE_TOPIC: MULTI_DOF, TWIST_TOPIC: TWIST_STAMPED, GRIPPER_TOPIC: JOINT_STATE}
"""Types by relative name. A bag holds full names: these behind "/" or behind a graph's namespace."""

METADATA_FILE = "metadata.yaml"
MCAP_SUFFIX = ".mcap"

TICKS = "ticks"
"""Key of the custom data that says how many ticks were recorded: none of them may be missing."""


def answer_topic(network: str) -> str:
    """Relative name of the topic of what is taught: `gate/weights`, or `expert/<skill>/action`."""
    return "gate/weights" if network == GATE else f"expert/{network}/action"


def episode_types(network: str) -> dict[str, str]:
    """Message types by relative topic of all that an episode of a network consists of."""
    return {**TOPIC_TYPES, answer_topic(network): JOINT_STATE}


def header_stamp(data: bytes) -> int:
    """Stamp [ns] in the header with which the CDR bytes of all these messages begin.

    Raises:
        ValueError: if there is none.
    """
    if len(data) < 12:
        raise ValueError(f"{len(data)} bytes: expected a message with a header")
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds) * NANOSECONDS + int(nanoseconds)


@functools.lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Message definitions; the types used here are the same in Jazzy and Kilted."""
    return get_typestore(Stores.ROS2_JAZZY)


@functools.lru_cache(maxsize=1)
def codec() -> MessageCodec:
    """Builds the type store's messages."""
    return MessageCodec(typestore().types.__getitem__)
