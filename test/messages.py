"""Messages of `hand_state` and of objects' poses, and what they hold, by the layout that the nodes use."""

from __future__ import annotations

from typing import Any

from specs import ROMAN

from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import HandState, ObjectPoses
from roman_moe.wire.bodies import scene_layout
from roman_moe.wire.codec import MessageCodec, read_bodies
from roman_moe.wire.topics import HAND_STATE, OBJECT_POSES


def hand_message(codec: MessageCodec, hand: HandState) -> Any:
    layout = scene_layout(hand.spec)
    return codec.bodies(layout.hand_names, layout.of_hand(hand))


def poses_message(codec: MessageCodec, poses: ObjectPoses) -> Any:
    return codec.bodies(ROMAN.object_names, scene_layout(ROMAN).of_objects(poses))


def decode_hand(message: Any, spec: TaskSpec = ROMAN) -> HandState:
    layout = scene_layout(spec)
    return layout.hand(read_bodies(HAND_STATE, message, layout.hand_names))


def decode_poses(message: Any) -> ObjectPoses:
    return scene_layout(ROMAN).poses(read_bodies(OBJECT_POSES, message, ROMAN.object_names))
