"""Reading bytes in place gives what decoding the message gives, and refuses what that refuses."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rclpy.serialization import deserialize_message, serialize_message
from scenes import scene_at
from sensor_msgs.msg import JointState
from specs import ACTION_LAYOUT, FLAGS, OBJECTS, ROMAN, SCENE_NAMES, SCENES, SKILLS

from roman_moe.core.state import SceneState
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.serialized import (
    BodiesReader,
    BodiesWriter,
    NumbersReader,
    NumbersWriter,
    serialized_stamp,
)
from roman_moe.wire.bodies import MessageError
from roman_moe.wire.codec import message_stamp, read_bodies

NUMBERS = st.floats(width=64)
ACTION = topics.action_of(ROMAN)


def state(rng: np.random.Generator, stamp_ns: int = 0) -> SceneState:
    objects = rng.normal(size=(len(OBJECTS), 3))
    return SceneState(
        spec=ROMAN,
        stamp_ns=stamp_ns,
        hand_position=rng.normal(size=3),
        hand_velocity=rng.normal(size=3),
        finger_opening=0.04,
        finger_forces=rng.normal(size=2),
        object_positions=objects,
        flags=np.ones(len(FLAGS), dtype=bool),
    )


def reader() -> BodiesReader:
    """One that has seen a good message, so that it reads in place."""
    read = BodiesReader(topics.SCENE.name, topics.SCENE.kind, SCENE_NAMES)
    read(serialize_message(topics.CODEC.scene(state(np.random.default_rng(0)))))
    assert read._frame
    return read


@settings(max_examples=50)
@given(
    stamp=st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1),
    hand=arrays(np.float64, (3, 3), elements=NUMBERS),
    objects=arrays(np.float64, (len(OBJECTS), 3), elements=NUMBERS),
    turned=arrays(np.float64, (1 + len(OBJECTS), 4), elements=NUMBERS),
    ages=arrays(np.float64, len(OBJECTS), elements=st.floats(min_value=0.0)),
    valid=arrays(np.bool_, len(OBJECTS)),
    pressed=st.booleans(),
    in_place=st.booleans(),
)
def test_read_or_written_in_place_or_in_full_is_the_same(
    stamp: int,
    hand: np.ndarray,
    objects: np.ndarray,
    turned: np.ndarray,
    ages: np.ndarray,
    valid: np.ndarray,
    pressed: bool,
    in_place: bool,
) -> None:
    scene = scene_at(
        stamp,
        hand_position=hand[0],
        hand_velocity=hand[1],
        hand_orientation=turned[0],
        hand_angular_velocity=hand[2],
        finger_opening=0.05,
        finger_forces=hand[0, :2],
        flags=np.array([pressed]),
        object_positions=objects,
        object_orientations=turned[1:],
        object_valid=valid,
        object_ages=ages,
    )
    message = topics.CODEC.scene(scene)
    data = serialize_message(message)
    found, expected = reader()(data), read_bodies(topics.SCENE.name, message, SCENE_NAMES)
    written = BodiesWriter(SCENE_NAMES, topics.CODEC.bodies)(SCENES.of_scene(scene))
    data = [data, written][in_place]
    assert found.stamp_ns == expected.stamp_ns == serialized_stamp(data) == stamp
    for field in ("translations", "velocities", "forces", "rotations", "turns"):
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field), err_msg=field)
    read = SCENES.scene(found)
    np.testing.assert_array_equal(read.object_positions, objects)
    np.testing.assert_array_equal(read.hand_orientation, turned[0])


def _rename(message: Any) -> None:
    message.joint_names[3] = "c0ver"  # as long as the right one


def _swap(message: Any) -> None:
    message.joint_names[2:4] = message.joint_names[3:1:-1]


def _move_one(message: Any) -> None:
    """As many bytes as a good message."""
    message.wrench.append(message.wrench[0])
    message.twist.pop()


def _shorten(message: Any) -> None:
    message.wrench.pop()


def _late_stamp(message: Any) -> None:
    message.header.stamp.nanosec = 2_000_000_000


@pytest.mark.parametrize("damage", [_rename, _swap, _move_one, _shorten, _late_stamp])
def test_what_full_decoding_refuses_is_refused(damage: Any) -> None:
    read = reader()
    message = topics.CODEC.scene(state(np.random.default_rng(1)))
    damage(message)
    with pytest.raises(MessageError):
        read(serialize_message(message))
    good = state(np.random.default_rng(2), stamp_ns=7)
    assert read(serialize_message(topics.CODEC.scene(good))).stamp_ns == 7


def test_bytes_without_a_stamp_are_refused() -> None:
    with pytest.raises(MessageError, match="stamp"):
        serialized_stamp(b"\0\1\0\0")


@settings(max_examples=50)
@given(
    stamp=st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1),
    weights=arrays(np.float64, len(SKILLS), elements=NUMBERS),
    action=arrays(np.float64, 4, elements=NUMBERS),
    velocity=arrays(np.float64, 6, elements=NUMBERS),
    opening=NUMBERS,
)
def test_numbers_written_and_read_in_place_are_decoded_as_they_were(
    stamp: int, weights: np.ndarray, action: np.ndarray, velocity: np.ndarray, opening: float
) -> None:
    for topic, numbers, values in (
        (topics.GATE_WEIGHTS, topics.weights_of(SKILLS), weights),
        (topics.expert_action("push"), ACTION, action),
        (topics.TWIST_COMMAND, topics.TWIST, velocity),
        (topics.GRIPPER_COMMAND, topics.GRIPPER, np.array([opening])),
    ):
        write, read = NumbersWriter(numbers), NumbersReader(topic.kind, numbers)
        data = write(stamp, values)
        message = deserialize_message(data, topic.kind)
        assert message_stamp(message) == stamp
        np.testing.assert_array_equal(numbers.decode(message), values)
        read(write(0, np.zeros(numbers.count)))
        with mock.patch.object(NumbersReader, "_read_in_full", side_effect=AssertionError):  # from now on in place
            found_stamp, found = read(data)
        assert found_stamp == stamp
        np.testing.assert_array_equal(found, values)


def _late(message: Any) -> None:
    message.header.stamp.nanosec = 2_000_000_000


def _other_name(message: Any) -> None:
    message.name[1] = "Y"


def _too_few(message: Any) -> None:
    message.velocity.pop()


@pytest.mark.parametrize("damage", [_late, _other_name, _too_few])
def test_numbers_that_full_decoding_refuses_are_refused(damage: Any) -> None:
    read, message = NumbersReader(JointState, ACTION), topics.CODEC.action(5, ACTION_LAYOUT, np.ones(4))
    read(serialize_message(message))
    damage(message)
    with pytest.raises(MessageError):
        read(serialize_message(message))


def test_numbers_in_an_unusual_but_good_message_are_read() -> None:
    message = topics.CODEC.action(5, ACTION_LAYOUT, np.arange(4.0))
    message.header.frame_id = "somewhere/else"
    message.position.extend([1.0, 2.0])
    data, read = serialize_message(message), NumbersReader(JointState, ACTION)
    for _ in range(2):
        stamp, found = read(data)
        assert stamp == 5
        np.testing.assert_array_equal(found, np.arange(4.0))
