"""What an episode holds besides its ticks, by stamps of their own: cameras' images, and what a lab's arm followed."""

from __future__ import annotations

import re

from rosbags.rosbag2 import Reader

from roman_moe.demos.reader import Episode
from roman_moe.wire.bag_types import typestore
from roman_moe.wire.codec import LabTick, decode_lab_tick, serialized_stamp
from roman_moe.wire.topics import COMPRESSED, JOINT_STATE, LAB_TICK, camera

_IMAGES = re.compile(camera("([a-z][a-z0-9_]*)", COMPRESSED) + "$")
_LAB_TICKS = re.compile(f"({LAB_TICK})$")


def images(episode: Episode) -> list[tuple[str, int, bytes]]:
    """Camera, stamp [ns] and serialized CompressedImage of each image of an episode."""
    return [(name, serialized_stamp(data), data) for name, data in _read(episode, _IMAGES)]


def lab_ticks(episode: Episode) -> list[LabTick]:
    """What the lab's arm followed since the start of the lab's episode; empty if the recording does not say."""
    return [decode_lab_tick(typestore().deserialize_cdr(data, JOINT_STATE)) for _, data in _read(episode, _LAB_TICKS)]


def _read(episode: Episode, wanted: re.Pattern[str]) -> list[tuple[str, bytes]]:
    """What a pattern finds in topics' names, and their messages."""
    with Reader(episode.path) as bag:
        found = {each.topic: match[1] for each in bag.connections if (match := wanted.search(each.topic))}
        connections = [each for each in bag.connections if each.topic in found]
        messages = bag.messages(connections) if connections else ()
        return [(found[each.topic], bytes(data)) for each, _, data in messages]
