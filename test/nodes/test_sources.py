"""Pose source and observer: one scene a tick, the seed's own noise, and no bad number in a scene."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from messages import decode_hand, decode_poses, hand_message, poses_message
from ros_rig import Rig
from scenes import hand_at, poses_at
from specs import OBJECTS, ROMAN

from roman_moe.nodes.arms.pose_source import OUT_OF_WORLD, PoseSource
from roman_moe.nodes.base.node import FUTURE, MALFORMED, NOT_FINITE
from roman_moe.nodes.base.topics import CODEC, HAND_STATE, OBJECT_POSES, SCENE, TRUTH_POSES
from roman_moe.nodes.control.observer import LATE_POSES, Observer
from roman_moe.sim.pose_source import TruthPoses, TruthSensor
from roman_moe.sim.streams import Streams
from roman_moe.wire.codec import decode_scene

TICK_NS = 50_000_000
POSITIONS = np.arange(3.0 * len(OBJECTS)).reshape(-1, 3) / 32.0


def poses(tick: int, positions: np.ndarray = POSITIONS) -> Any:
    return poses_message(CODEC, poses_at(tick * TICK_NS, positions))


def hand(tick: int, x: float = 0.0) -> Any:
    return hand_message(CODEC, hand_at(tick * TICK_NS, hand_position=np.full(3, x)))


def test_noise_is_drawn_as_the_in_process_episode_draws_it(rig: Rig) -> None:
    rig.add(PoseSource, task="roman", seed=5, noise_bound=0.01)
    rig.listen(OBJECT_POSES)
    for count, tick in enumerate((0, 1, 1, 2, 0), start=1):  # tick 1 is asked for twice; then a new episode begins
        rig.send(TRUTH_POSES, poses(tick))
        rig.last(OBJECT_POSES, count)

    first, second = np.random.default_rng([5, 1]), np.random.default_rng([6, 1])
    expected = [_noise(first), _noise(first), None, _noise(first), _noise(second)]
    expected[2] = expected[1]
    found = [decode_poses(message).positions for message in rig.heard[OBJECT_POSES.name]]
    np.testing.assert_array_equal(found, [POSITIONS + noise for noise in expected])


def test_a_bias_is_drawn_as_the_in_process_episode_draws_it(rig: Rig) -> None:
    rig.add(PoseSource, task="roman", seed=5, noise_bound=0.01, bias_bound=0.02)
    rig.listen(OBJECT_POSES)
    expected = []
    for seed, ticks in ((5, 3), (6, 2)):  # the second begins as the stamps go back
        sensor = TruthSensor(TruthPoses(0.01, bias_bound=0.02), ROMAN, Streams.of_seed(seed))
        for tick in range(ticks):
            rig.send(TRUTH_POSES, poses(tick))
            rig.last(OBJECT_POSES, len(expected) + 1)
            expected.append(sensor.measure_poses(poses_at(tick * TICK_NS, POSITIONS)).positions)
    found = [decode_poses(message).positions for message in rig.heard[OBJECT_POSES.name]]
    np.testing.assert_array_equal(found, expected)


def _noise(rng: np.random.Generator) -> Any:
    blank = decode_hand(hand(0)).with_poses(decode_poses(poses(0, np.zeros_like(POSITIONS))))
    return TruthSensor(TruthPoses(0.01), ROMAN, Streams.shared(rng)).measure(blank).object_positions


def test_a_scene_is_the_hand_and_poses_of_one_stamp(rig: Rig) -> None:
    rig.add(Observer, task="roman", lockstep=True)
    rig.listen(SCENE)
    rig.send(OBJECT_POSES, poses(3))
    rig.send(HAND_STATE, hand(2))  # whose poses never come
    rig.send(HAND_STATE, hand(3, x=0.5))
    scene = decode_scene(ROMAN, rig.last(SCENE))
    assert scene.stamp_ns == 3 * TICK_NS
    np.testing.assert_array_equal(scene.object_positions, POSITIONS)
    np.testing.assert_array_equal(scene.hand_position, np.full(3, 0.5))
    np.testing.assert_array_equal(scene.object_ages, np.zeros(len(OBJECTS)))


def test_late_poses_are_replaced_by_the_newest_with_their_age(rig: Rig) -> None:
    rig.add(Observer, task="roman", pose_wait=0.02)
    rig.listen(SCENE)
    rig.send(OBJECT_POSES, poses(0))
    rig.send(HAND_STATE, hand(0))
    rig.last(SCENE, 1)
    rig.send(HAND_STATE, hand(2))
    scene = decode_scene(ROMAN, rig.last(SCENE, 2))
    assert scene.stamp_ns == 2 * TICK_NS
    np.testing.assert_allclose(scene.object_ages, 0.1)
    rig.spin_until(lambda: rig.reported("observer", LATE_POSES) == 1)


def test_a_cameras_poses_serve_at_once_and_are_no_trouble(rig: Rig) -> None:
    observer = rig.add(Observer, task="roman", await_poses=False)
    rig.listen(SCENE)
    zero = decode_poses(poses(0))
    late, early = (
        poses_message(CODEC, dataclasses.replace(zero, stamp_ns=stamp)) for stamp in (90_000_000, 40_000_000)
    )
    rig.send(OBJECT_POSES, poses(0), early, late, poses(3))
    rig.spin_until(lambda: len(observer._recent) == 4)
    rig.send(HAND_STATE, hand(2))
    scene = decode_scene(ROMAN, rig.last(SCENE))
    assert scene.stamp_ns == 2 * TICK_NS
    np.testing.assert_allclose(scene.object_ages, 0.01)  # the newest that are not newer than the hand
    assert rig.reported("observer", LATE_POSES) == 0
    assert rig.change_state("observer", "deactivate")
    rig.add(Observer, "other", task="roman", await_poses=False)  # which has missed them
    rig.send(HAND_STATE, hand(3))
    rig.spin_until(lambda: rig.said("other", "waiting for object_poses"))


def test_no_age_is_finite_while_the_pose_source_is_silent(rig: Rig) -> None:
    """What is hidden is remembered for long, but not on the word of a source that has died."""
    rig.add(Observer, task="roman", pose_wait=0.005)
    rig.listen(SCENE)
    hidden = dataclasses.replace(decode_poses(poses(0)), valid=np.zeros(len(OBJECTS), dtype=bool))
    rig.send(OBJECT_POSES, poses_message(CODEC, hidden))
    for count, (tick, age) in enumerate(((0, 0.0), (2, 0.1), (3, np.inf)), start=1):
        rig.send(HAND_STATE, hand(tick))
        np.testing.assert_allclose(decode_scene(ROMAN, rig.last(SCENE, count)).object_ages, age)


def test_poses_of_an_earlier_episode_make_no_scene(rig: Rig) -> None:
    rig.add(Observer, task="roman", pose_wait=0.005)
    rig.listen(SCENE)
    rig.send(OBJECT_POSES, poses(9))
    rig.send(HAND_STATE, hand(0))
    rig.spin_until(lambda: rig.said("observer", "waiting for object_poses"))
    assert not rig.heard[SCENE.name]


def test_a_hand_seen_again_gets_its_scene_again(rig: Rig) -> None:
    rig.add(Observer, task="roman", lockstep=True)
    rig.listen(SCENE)
    rig.send(OBJECT_POSES, poses(0))
    rig.send(HAND_STATE, hand(0))
    rig.last(SCENE, 1)
    rig.send(OBJECT_POSES, poses(0, POSITIONS + 1.0))
    rig.send(HAND_STATE, hand(0))
    first, again = (rig.last(SCENE, 2), rig.heard[SCENE.name][0])
    np.testing.assert_array_equal(
        decode_scene(ROMAN, again).object_positions, decode_scene(ROMAN, first).object_positions
    )


def test_numbers_that_are_not_finite_never_become_a_scene(rig: Rig) -> None:
    rig.add(Observer, task="roman", lockstep=True)
    rig.listen(SCENE)
    rig.send(OBJECT_POSES, poses(0, np.full_like(POSITIONS, np.nan)))
    rig.spin_until(lambda: rig.reported("observer", NOT_FINITE) == 1)
    rig.send(OBJECT_POSES, poses(0))
    rig.send(HAND_STATE, hand(0, x=np.inf))
    rig.spin_until(lambda: rig.reported("observer", NOT_FINITE) == 2)
    rig.send(HAND_STATE, hand(0))
    scene = rig.last(SCENE)
    assert decode_scene(ROMAN, scene).is_finite()
    assert len(rig.heard[SCENE.name]) == 1


@pytest.mark.parametrize(("height", "spoken"), [(-12.5, "-12.5"), (np.nan, "nan")])
def test_an_object_that_has_fallen_out_of_the_world_is_named(rig: Rig, height: float, spoken: str) -> None:
    rig.add(PoseSource, task="roman")
    fallen = POSITIONS.copy()
    fallen[1, 2] = height
    rig.send(TRUTH_POSES, poses(0, fallen))
    rig.spin_until(lambda: rig.reported("pose_source", OUT_OF_WORLD) == 1)
    said = rig.fact("pose_source", "last_fault")
    assert f"{OUT_OF_WORLD}: {OBJECTS[1]} is at (0.09375, 0.125, {spoken}) m at 0.00 s: " in said
    assert OBJECTS[0] not in said
    assert "name its body in `loose`" in said


def test_malformed_poses_are_counted_and_dropped(rig: Rig) -> None:
    rig.add(Observer, task="roman", lockstep=True)
    rig.add(PoseSource, task="roman")
    bad = poses(0)
    bad.joint_names[0] = "door"
    rig.send(OBJECT_POSES, bad)
    rig.spin_until(lambda: rig.reported("observer", MALFORMED) == 1)
    rig.send(TRUTH_POSES, bad)
    rig.spin_until(lambda: rig.reported("pose_source", MALFORMED) == 1)


def test_stamps_from_the_future_are_refused_with_the_amount(rig: Rig) -> None:
    """A clock that is an hour ahead; that of this machine, and a little more, is taken."""
    observer = rig.add(Observer, task="roman", await_poses=False)
    rig.listen(SCENE)
    zero, still = decode_poses(poses(0)), decode_hand(hand(0))

    def stamped(ahead: float) -> tuple[Any, Any]:
        stamp = observer.get_clock().now().nanoseconds + round(ahead * 1e9)
        return (
            poses_message(CODEC, dataclasses.replace(zero, stamp_ns=stamp)),
            hand_message(CODEC, dataclasses.replace(still, stamp_ns=stamp)),
        )

    seen, shown = stamped(3600.0)
    rig.send(OBJECT_POSES, seen)
    rig.spin_until(lambda: rig.reported("observer", FUTURE) == 1)
    said = rig.fact("observer", "last_fault")
    assert "object_poses at" in said
    assert "s in the future: expected at most 0.1 s" in said
    rig.send(HAND_STATE, shown)
    rig.spin_until(lambda: rig.reported("observer", FUTURE) == 2)
    assert not rig.heard[SCENE.name]
    seen, shown = stamped(0.0)
    rig.send(OBJECT_POSES, seen)
    rig.spin_until(lambda: len(observer._recent) == 1)
    rig.send(HAND_STATE, shown)
    rig.last(SCENE)


def test_a_new_episode_has_noise_of_its_own_seed(rig: Rig) -> None:
    """It begins with a gap in the stamps, which never go back."""
    rig.add(PoseSource, task="roman", seed=5, noise_bound=0.01)
    rig.listen(OBJECT_POSES)
    for count, tick in enumerate((100, 101, 121, 122), start=1):
        rig.send(TRUTH_POSES, poses(tick))
        rig.last(OBJECT_POSES, count)
    first, second = np.random.default_rng([5, 1]), np.random.default_rng([6, 1])
    found = [decode_poses(message).positions for message in rig.heard[OBJECT_POSES.name]]
    expected = [_noise(rng) for rng in (first, first, second, second)]
    np.testing.assert_array_equal(found, [POSITIONS + noise for noise in expected])
