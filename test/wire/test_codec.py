"""Messages carry states, weights, actions and commands exactly, in rclpy's classes and in rosbags' alike."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from messages import decode_hand, decode_poses, hand_message, poses_message
from scenes import scene_at
from specs import ACTION_LAYOUT, FLAGS, OBJECTS, ROMAN, SCENE_NAMES, SKILLS

from roman_moe.core.action import Command
from roman_moe.core.state import HandState, ObjectPoses, SceneState, upright
from roman_moe.wire.bodies import MessageError
from roman_moe.wire.codec import (
    MessageCodec,
    decode_action,
    decode_gripper,
    decode_scene,
    decode_twist,
    decode_weights,
    message_stamp,
)

Wire = Callable[[Any], Any]


def _rosbags() -> tuple[MessageCodec, Wire]:
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS2_KILTED)

    def wire(message: Any) -> Any:
        return store.deserialize_cdr(store.serialize_cdr(message, message.__msgtype__), message.__msgtype__)

    return MessageCodec(store.types.__getitem__), wire


def _rclpy() -> tuple[MessageCodec, Wire]:
    serialization = pytest.importorskip("rclpy.serialization")

    def types(name: str) -> Any:
        package, _, kind = name.split("/")
        return getattr(importlib.import_module(f"{package}.msg"), kind)

    def wire(message: Any) -> Any:
        return serialization.deserialize_message(serialization.serialize_message(message), type(message))

    return MessageCodec(types), wire


@pytest.fixture(scope="module", params=[_rosbags, _rclpy], ids=["rosbags", "rclpy"])
def family(request: pytest.FixtureRequest) -> tuple[MessageCodec, Wire]:
    """A codec and a way over the wire (serialise, deserialise) for each family of message classes."""
    return request.param()


DOUBLES = st.floats(width=64)  # NaN and infinities too: the codec does not judge numbers
STAMPS = st.integers(min_value=-(2**31) * 10**9, max_value=2**31 * 10**9 - 1)


def _array(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, shape, elements=DOUBLES)


STATES = st.builds(
    SceneState,
    spec=st.just(ROMAN),
    stamp_ns=STAMPS,
    hand_position=_array(3),
    hand_velocity=_array(3),
    finger_opening=DOUBLES,
    finger_forces=_array(2),
    object_positions=_array(len(OBJECTS), 3),
    flags=arrays(np.bool_, len(FLAGS)),
    object_valid=arrays(np.bool_, len(OBJECTS)),
    object_ages=arrays(np.float64, len(OBJECTS), elements=st.floats(min_value=0.0)),
    hand_orientation=_array(4),
    hand_angular_velocity=_array(3),
    object_orientations=_array(len(OBJECTS), 4),
)


def _assert_same(found: Any, expected: Any, fields: tuple[str, ...]) -> None:
    for field in fields:
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field), err_msg=field)


HAND_FIELDS = (
    *("stamp_ns", "hand_position", "hand_velocity", "finger_opening", "finger_forces", "flags"),
    *("hand_orientation", "hand_angular_velocity"),
)
SCENE_FIELDS = (*HAND_FIELDS, "object_positions", "object_valid", "object_ages", "object_orientations")


@settings(max_examples=30)
@given(state=STATES)
def test_scene_survives_the_wire(family: tuple[MessageCodec, Wire], state: SceneState) -> None:
    codec, wire = family
    _assert_same(decode_scene(ROMAN, wire(codec.scene(state))), state, SCENE_FIELDS)


@settings(max_examples=30)
@given(state=STATES)
def test_hand_and_poses_of_one_stamp_make_the_scene_again(family: tuple[MessageCodec, Wire], state: SceneState) -> None:
    codec, wire = family
    hand = decode_hand(wire(hand_message(codec, state)))
    poses = decode_poses(wire(poses_message(codec, state.poses)))
    _assert_same(hand, state, HAND_FIELDS)
    _assert_same(hand.with_poses(poses), state, SCENE_FIELDS)


@settings(max_examples=30)
@given(stamp=STAMPS, weights=_array(len(SKILLS)), action=_array(4), velocity=_array(6), opening=DOUBLES)
def test_weights_actions_and_commands_survive_the_wire(
    family: tuple[MessageCodec, Wire],
    stamp: int,
    weights: np.ndarray,
    action: np.ndarray,
    velocity: np.ndarray,
    opening: float,
) -> None:
    codec, wire = family
    message = wire(codec.weights(stamp, SKILLS, weights))
    assert message_stamp(message) == stamp
    np.testing.assert_array_equal(decode_weights(message, SKILLS), weights)

    message = wire(codec.action(stamp, ACTION_LAYOUT, action))
    assert message_stamp(message) == stamp
    np.testing.assert_array_equal(decode_action(message, ACTION_LAYOUT), action)

    command = Command(stamp, velocity[:3], opening, velocity[3:])
    twist, gripper = wire(codec.twist(command)), wire(codec.gripper(command))
    assert message_stamp(twist) == message_stamp(gripper) == stamp
    np.testing.assert_array_equal(decode_twist(twist), velocity)
    np.testing.assert_array_equal(decode_gripper(gripper), opening)


def _state() -> SceneState:
    return scene_at(50_000_000, hand_position=np.zeros(3), object_positions=np.ones((len(OBJECTS), 3)))


def test_poses_older_than_the_hand_age_by_the_difference() -> None:
    state = _state()
    hand = HandState(spec=ROMAN, stamp_ns=250_000_000, **{field: getattr(state, field) for field in HAND_FIELDS[1:]})
    orientations = upright(len(OBJECTS))
    scene = hand.with_poses(
        ObjectPoses(50_000_000, state.object_positions, state.object_valid, state.object_ages + 0.1, orientations)
    )
    np.testing.assert_allclose(scene.object_ages, 0.3)
    assert scene.stamp_ns == 250_000_000


def _swap_names(message: Any) -> None:
    message.joint_names = [*message.joint_names[1::-1], *message.joint_names[2:]]


def _drop_wrench(message: Any) -> None:
    message.wrench = message.wrench[:-1]


def _odd_validity(message: Any) -> None:
    message.wrench[2].force.x = float("nan")


def _negative_age(message: Any) -> None:
    message.wrench[3].force.y = -1e6


def _unknown_age(message: Any) -> None:
    message.wrench[3].force.y = float("nan")


def _odd_flag(message: Any) -> None:
    message.transforms[SCENE_NAMES.index("flag/button_pressed")].translation.x = 0.5


def _empty(message: Any) -> None:
    message.joint_names, message.transforms, message.twist, message.wrench = [], [], [], []


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_swap_names, "name 0 is 'fingers': expected 'hand'"),
        (_drop_wrench, "11 entries in wrench: expected 12"),
        (_odd_validity, "validity of drawer_handle is nan: expected 0 or 1"),
        (_negative_age, "age of cover is -1000000.0 s: expected 0 or more"),
        (_unknown_age, "age of cover is nan s: expected 0 or more"),
        (_odd_flag, "value of flag/button_pressed is 0.5: expected 0 or 1"),
        (_empty, "0 names: expected 12"),
    ],
)
def test_a_malformed_scene_is_named(
    family: tuple[MessageCodec, Wire], damage: Callable[[Any], None], complaint: str
) -> None:
    codec, _ = family
    message = codec.scene(_state())
    damage(message)
    with pytest.raises(MessageError, match=complaint):
        decode_scene(ROMAN, message)


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), -1e300])
def test_the_numbers_of_an_invalid_object_are_not_judged(family: tuple[MessageCodec, Wire], wild: float) -> None:
    codec, _ = family
    message = codec.scene(_state())
    place, force = message.transforms[3].translation, message.wrench[3].force
    place.x, place.y, force.x, force.y = wild, wild, 0.0, wild
    state = decode_scene(ROMAN, message)
    assert state.is_finite()
    np.testing.assert_array_equal(state.usable(1e9), [name != "cover" for name in OBJECTS])
    force.x, force.y = 1.0, 0.0
    assert not decode_scene(ROMAN, message).is_finite()


def test_an_object_that_nobody_knows_of_has_an_infinite_age_on_the_wire_too(family: tuple[MessageCodec, Wire]) -> None:
    codec, through = family
    state = replace(_state(), object_ages=np.full(len(OBJECTS), np.inf))
    for valid in (True, False):
        sent = replace(state, object_valid=np.full(len(OBJECTS), valid))
        np.testing.assert_array_equal(decode_scene(ROMAN, through(codec.scene(sent))).object_ages, np.inf)
        assert not any(sent.usable(1e9))


def test_malformed_vectors_are_named(family: tuple[MessageCodec, Wire]) -> None:
    codec, _ = family
    weights = codec.weights(0, SKILLS[:3], np.zeros(3))
    with pytest.raises(MessageError, match="gate/weights: 3 names: expected 7"):
        decode_weights(weights, SKILLS)
    action = codec.action(0, ACTION_LAYOUT, np.zeros(4))
    action.velocity = action.velocity[:2]
    with pytest.raises(MessageError, match="2 numbers in velocity: expected 4"):
        decode_action(action, ACTION_LAYOUT)
    with pytest.raises(MessageError, match="shape"):
        codec.action(0, ACTION_LAYOUT, np.zeros(5))


def test_a_twist_of_another_frame_is_refused(family: tuple[MessageCodec, Wire]) -> None:
    codec, _ = family
    twist = codec.twist(Command(0, np.zeros(3), 0.0))
    twist.header.frame_id = "camera"
    with pytest.raises(MessageError, match="frame 'camera'"):
        decode_twist(twist)


def test_stamps_outside_the_message_are_refused(family: tuple[MessageCodec, Wire]) -> None:
    codec, _ = family
    with pytest.raises(MessageError, match="32 bits"):
        codec.time(2**31 * 10**9)
    message = codec.gripper(Command(0, np.zeros(3), 0.0))
    message.header.stamp.nanosec = 10**9
    with pytest.raises(MessageError, match="nanosec"):
        message_stamp(message)


def test_poses_of_a_state_are_its_objects() -> None:
    state = _state()
    poses = state.poses
    assert poses.stamp_ns == state.stamp_ns
    assert poses.positions is state.object_positions
    assert poses.orientations is state.object_orientations
