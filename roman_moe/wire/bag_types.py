"""The message classes of bags: rosbags' dataclasses, which need no ROS installation."""

from __future__ import annotations

import functools

from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from roman_moe.wire.codec import MessageCodec


@functools.lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Message definitions; the types used here are the same in Jazzy and Kilted."""
    return get_typestore(Stores.ROS2_JAZZY)


@functools.lru_cache(maxsize=1)
def codec() -> MessageCodec:
    """Builds the type store's messages."""
    return MessageCodec(typestore().types.__getitem__)
