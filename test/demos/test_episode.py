"""A demonstration comes back bit for bit, or is refused with a line that names what is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from roman_moe.core.action import Command
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.messages import JOINT_STATE
from roman_moe.core.skills import SKILLS
from roman_moe.core.state import FLAGS, OBJECTS, SceneState
from roman_moe.demos.bag import TOPIC_TYPES, answer_topic, codec, typestore
from roman_moe.demos.dataset import dataset_hash, git_commit
from roman_moe.demos.metadata import GATE, EpisodeMeta
from roman_moe.demos.reader import episode_folders, read_episode, read_episodes
from roman_moe.demos.writer import EpisodeWriter


def make_meta(network: str, **changes: object) -> EpisodeMeta:
    values = {
        "network": network,
        "start": "scenario_6" if network == GATE else network,
        "outcome": "success",
        "source": "oracle",
        "noise_bound": 0.005,
        "noise_kind": "clipped",
        "perturbation": 0.1,
        "disturbance": "knock_out",
        "delay": 0,
        "lost_share": 0.0,
        "seed": 17,
        "rate": 20.0,
        "git_commit": "0123abc",
    }
    return EpisodeMeta(**{**values, **changes})  # type: ignore[arg-type]


def make_ticks(network: str, count: int = 5, seed: int = 0) -> list[tuple[SceneState, np.ndarray, Command]]:
    rng = np.random.default_rng(seed)
    ticks = []
    for index in range(count):
        stamp = index * 50_000_000
        scene = SceneState(
            stamp_ns=stamp,
            hand_position=rng.normal(size=3),
            hand_velocity=rng.normal(size=3),
            finger_opening=float(rng.uniform(0, 0.08)),
            finger_forces=rng.uniform(0, 5, size=2),
            object_positions=rng.normal(size=(len(OBJECTS), 3)),
            flags=rng.integers(0, 2, size=len(FLAGS)).astype(bool),
        )
        answer = rng.dirichlet(np.ones(len(SKILLS))) if network == GATE else rng.uniform(-1, 1, size=4)
        ticks.append((scene, answer, Command(stamp, rng.normal(size=3), float(rng.uniform(0, 0.08)))))
    return ticks


def record(path: Path, network: str, data_seed: int = 0, **changes: object) -> None:
    with EpisodeWriter(path, network) as writer:
        for tick in make_ticks(network, seed=data_seed):
            writer.add(*tick)
        writer.close(make_meta(network, **changes))


@pytest.mark.parametrize("network", ["push", GATE])
def test_round_trip_is_exact(tmp_path, network):
    record(tmp_path / "episode_000", network)
    episode = read_episode(tmp_path / "episode_000", network)
    assert episode.meta == make_meta(network)
    ticks = make_ticks(network)
    assert len(episode.states) == len(episode.answers) == len(episode.commands) == len(ticks)
    for (scene, answer, command), state, read, sent in zip(
        ticks, episode.states, episode.answers, episode.commands, strict=True
    ):
        for field in dataclasses.fields(scene):
            np.testing.assert_array_equal(getattr(state, field.name), getattr(scene, field.name))
        np.testing.assert_array_equal(read, answer)
        np.testing.assert_array_equal(sent.linear_velocity, command.linear_velocity)
        assert (sent.stamp_ns, sent.gripper_opening) == (command.stamp_ns, command.gripper_opening)


def test_an_episode_is_a_rosbag2_folder_with_the_graphs_topics(tmp_path):
    record(tmp_path / "episode_000", "push")
    assert sorted(file.name for file in (tmp_path / "episode_000").iterdir()) == ["episode_000.mcap", "metadata.yaml"]
    with Reader(tmp_path / "episode_000") as bag:
        topics = {connection.topic: connection.msgtype for connection in bag.connections}
    assert topics == {
        "scene": "sensor_msgs/msg/MultiDOFJointState",
        "expert/push/action": "sensor_msgs/msg/JointState",
        "delta_twist_cmds": "geometry_msgs/msg/TwistStamped",
        "gripper_cmd": "sensor_msgs/msg/JointState",
    }


def test_recording_twice_gives_the_same_bytes(tmp_path):
    for folder in ("first", "second"):
        record(tmp_path / folder / "episode_000", "pull")
    for name in ("episode_000.mcap", "metadata.yaml"):
        first, second = ((tmp_path / folder / "episode_000" / name).read_bytes() for folder in ("first", "second"))
        assert first == second


def test_an_interrupted_recording_leaves_nothing(tmp_path):
    def interrupted() -> None:
        with EpisodeWriter(tmp_path / "episode_000", "push") as writer:
            writer.add(*make_ticks("push")[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_episode_is_never_overwritten(tmp_path):
    record(tmp_path / "episode_000", "push")
    with pytest.raises(DemonstrationError, match="exists already"):
        EpisodeWriter(tmp_path / "episode_000", "push")


@pytest.mark.parametrize("where", ["scene", "answer", "command"])
def test_a_number_that_is_not_finite_is_never_recorded(tmp_path, where):
    scene, answer, command = make_ticks("push")[0]
    if where == "scene":
        scene = scene.with_objects(np.full_like(scene.object_positions, np.nan))
    elif where == "answer":
        answer = np.array([0.0, np.inf, 0.0, 0.0])
    else:
        command = Command(0, np.array([0.0, 0.0, np.nan]), 0.08)
    writer = EpisodeWriter(tmp_path / "episode_000", "push")
    with writer, pytest.raises(DemonstrationError, match="0 is not finite"):
        writer.add(scene, answer, command)


def test_an_empty_episode_and_a_wrong_answer_are_refused(tmp_path):
    with EpisodeWriter(tmp_path / "a", "push") as writer:
        with pytest.raises(DemonstrationError, match="no tick"):
            writer.close(make_meta("push"))
        scene, _, command = make_ticks("push")[0]
        with pytest.raises(DemonstrationError, match=r"shape \(7,\): expected \(4,\)"):
            writer.add(scene, np.zeros(7), command)
    with pytest.raises(DemonstrationError, match="'pushh'"):
        EpisodeWriter(tmp_path / "b", "pushh")


def test_another_network_is_refused(tmp_path):
    record(tmp_path / "episode_000", "push")
    with pytest.raises(DemonstrationError, match="teaches 'push': expected 'pull'"):
        read_episode(tmp_path / "episode_000", "pull")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 1}, "format_version 1: expected 3"),
        ({"noise_bound": float("nan")}, "noise_bound is 'nan'"),
        ({"seed": "x"}, "seed is 'x': expected a finite int"),
        ({"rate": 0.0}, "rate 0.0 Hz"),
    ],
)
def test_metadata_that_cannot_be_meant_is_refused(tmp_path, changes, message):
    record(tmp_path / "episode_000", "push", **changes)
    with pytest.raises(DemonstrationError, match=message) as refusal:
        read_episode(tmp_path / "episode_000")
    assert str(tmp_path / "episode_000") in str(refusal.value)


def test_missing_and_broken_bags_are_refused(tmp_path):
    with pytest.raises(DemonstrationError, match="no rosbag2 folder"):
        read_episode(tmp_path / "nothing")
    record(tmp_path / "episode_000", "push")
    bag = tmp_path / "episode_000" / "episode_000.mcap"
    whole = bag.read_bytes()
    bag.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DemonstrationError, match="cannot be read as a bag"):
        read_episode(tmp_path / "episode_000")
    bag.unlink()
    with pytest.raises(DemonstrationError, match="cannot be read as a bag"):
        read_episode(tmp_path / "episode_000")


def write_raw(path: Path, ticks: list, *, answers: list | None = None, skip_topic: str = "") -> None:
    """A bag by hand, past the writer's own checks."""
    store, messages = typestore(), codec()
    topics = {**TOPIC_TYPES, answer_topic("push"): JOINT_STATE}
    topics.pop(skip_topic, None)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        for key, value in make_meta("push").to_custom_data().items():
            bag.set_custom_data(key, value)
        made = {topic: bag.add_connection(topic, kind, typestore=store) for topic, kind in topics.items()}

        def write(topic: str, stamp: int, message: object) -> None:
            if topic in made:
                bag.write(made[topic], stamp, store.serialize_cdr(message, made[topic].msgtype))

        for scene, answer, command in ticks:
            write("scene", scene.stamp_ns, messages.scene(scene))
            write("delta_twist_cmds", scene.stamp_ns, messages.twist(command))
            write("gripper_cmd", scene.stamp_ns, messages.gripper(command))
            if answers is None:
                write(answer_topic("push"), scene.stamp_ns, messages.action(scene.stamp_ns, answer))
        for stamp, answer in answers or []:
            write(answer_topic("push"), stamp, messages.action(stamp, answer))


def test_bags_that_others_wrote_are_checked(tmp_path):
    ticks = make_ticks("push", count=3)
    write_raw(tmp_path / "good", ticks)
    assert len(read_episode(tmp_path / "good", "push").states) == 3

    scene, answer, command = ticks[1]
    broken = scene.with_objects(np.full_like(scene.object_positions, np.nan))
    write_raw(tmp_path / "nan", [ticks[0], (broken, answer, command), ticks[2]])
    with pytest.raises(DemonstrationError, match="scene 1 is not finite"):
        read_episode(tmp_path / "nan")

    write_raw(tmp_path / "nan_action", [ticks[0], ticks[1], (ticks[2][0], np.full(4, np.nan), ticks[2][2])])
    with pytest.raises(DemonstrationError, match="expert/push/action 2 is not finite"):
        read_episode(tmp_path / "nan_action")

    write_raw(tmp_path / "short", ticks, answers=[(0, answer)])
    with pytest.raises(DemonstrationError, match="1 messages on 'expert/push/action': expected one a scene, 3"):
        read_episode(tmp_path / "short")

    write_raw(tmp_path / "late", ticks, answers=[(0, answer), (50_000_001, answer), (100_000_000, answer)])
    with pytest.raises(DemonstrationError, match="stamp of expert/push/action 1"):
        read_episode(tmp_path / "late")

    write_raw(tmp_path / "without", ticks, skip_topic="gripper_cmd")
    with pytest.raises(DemonstrationError, match="no topic 'gripper_cmd'"):
        read_episode(tmp_path / "without")

    write_raw(tmp_path / "twice", [ticks[0], ticks[0]])
    with pytest.raises(DemonstrationError, match="stamp of scene 1 is not later"):
        read_episode(tmp_path / "twice")


def test_a_dataset_is_read_in_order_without_what_is_being_written(tmp_path):
    for index in (2, 0, 1):
        record(tmp_path / "push" / f"episode_{index:03d}", "push", data_seed=index)
    unfinished = EpisodeWriter(tmp_path / "push" / "episode_003", "push")
    names = [path.name for path in episode_folders(tmp_path, "push")]
    assert names == ["episode_000", "episode_001", "episode_002"]
    assert len(read_episodes(tmp_path, "push")) == 3
    unfinished.discard()
    with pytest.raises(DemonstrationError, match="no demonstration there"):
        episode_folders(tmp_path, "pull")


def test_the_dataset_hash_covers_content_but_not_the_commit(tmp_path):
    record(tmp_path / "a" / "push" / "episode_000", "push", git_commit="1")
    record(tmp_path / "b" / "push" / "episode_000", "push", git_commit="2")
    record(tmp_path / "c" / "push" / "episode_000", "push", data_seed=1)
    record(tmp_path / "d" / "push" / "episode_000", "push", noise_bound=0.01)
    same, also, other_data, other_meta = (dataset_hash(tmp_path / name, "push") for name in "abcd")
    assert same == also
    assert len({same, other_data, other_meta}) == 3


def test_the_commit_is_known_or_said_to_be_unknown():
    commit = git_commit()
    assert commit == "unknown" or len(commit.removesuffix("-dirty")) == 40
