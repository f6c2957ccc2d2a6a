"""A demonstration comes back bit for bit, or is refused with a line that names what is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from episodes import BEGAN, corrected, make_meta, make_ticks, record
from mcap.reader import NonSeekingReader
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from specs import ACTION_LAYOUT, ROMAN

from roman_moe.core.action import Command
from roman_moe.core.errors import ConfigError, DemonstrationError
from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import GATE
from roman_moe.demos.bag import answer_topic, episode_types
from roman_moe.demos.dataset import dataset_hash, dataset_spec, write_spec
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.reader import episode_folders, read_episode, read_episodes
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.wire.bag_types import codec, typestore


@pytest.mark.parametrize("network", ["push", GATE])
def test_round_trip_is_exact(tmp_path, network):
    record(tmp_path / "episode_000", network)
    episode = read_episode(tmp_path / "episode_000", ROMAN, network)
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
        "/scene": "sensor_msgs/msg/MultiDOFJointState",
        "/expert/push/action": "sensor_msgs/msg/JointState",
        "/delta_twist_cmds": "geometry_msgs/msg/TwistStamped",
        "/gripper_cmd": "sensor_msgs/msg/JointState",
    }


@pytest.mark.parametrize("distribution", ["", "jazzy"])
def test_an_independent_reader_validates_the_file_and_finds_wall_times(tmp_path, monkeypatch, distribution):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    if distribution:
        monkeypatch.setenv("ROS_DISTRO", distribution)
    record(tmp_path / "episode_000", "push")
    with (tmp_path / "episode_000" / "episode_000.mcap").open("rb") as file:
        messages = list(NonSeekingReader(file, validate_crcs=True).iter_messages())
    assert {channel.topic for _, channel, _ in messages} == {
        "/scene", "/expert/push/action", "/delta_twist_cmds", "/gripper_cmd",
    }  # fmt: skip
    expected = [BEGAN + stamp for _, _, message in messages for stamp in [message.sequence * 50_000_000]]
    assert [message.log_time for *_, message in messages] == expected
    assert [message.publish_time for *_, message in messages] == expected
    with Reader(tmp_path / "episode_000") as bag:
        assert (bag.start_time, bag.message_count) == (BEGAN, 20)
        assert bag.ros_distro == distribution


@pytest.mark.parametrize("text", ["1234e56", "0123456", "no", "1_000", "0x12", "a: b", "ü # '\"", "null", ""])
def test_text_of_the_metadata_stays_text(tmp_path, text):
    record(tmp_path / "episode_000", "push", git_commit=text)
    assert read_episode(tmp_path / "episode_000", ROMAN).meta.git_commit == text


def test_recording_twice_at_one_time_gives_the_same_bytes(tmp_path):
    for folder in ("first", "second"):
        record(tmp_path / folder / "episode_000", "pull")
    for name in ("episode_000.mcap", "metadata.yaml"):
        first, second = ((tmp_path / folder / "episode_000" / name).read_bytes() for folder in ("first", "second"))
        assert first == second


def test_a_recording_without_what_only_a_simulator_knows_is_complete(tmp_path):
    with EpisodeWriter(tmp_path / "episode_000", ROMAN, "push") as writer:
        for tick in make_ticks("push"):
            writer.add(*tick)
        writer.close(EpisodeMeta(network="push", outcome="success", source="keyboard", rate=20.0, task="roman"))
    meta = read_episode(tmp_path / "episode_000", ROMAN, "push").meta
    assert (meta.source, meta.start, meta.task_sha256, meta.noise_bound) == ("keyboard", "push", "", 0.0)


def test_the_writer_refuses_metadata_of_another_task(tmp_path):
    with EpisodeWriter(tmp_path / "episode_000", ROMAN, "push") as writer:
        writer.add(*make_ticks("push")[0])
        with pytest.raises(DemonstrationError, match="is of task 'kitting': expected 'roman'"):
            writer.close(make_meta("push", task="kitting"))
    assert not (tmp_path / "episode_000").exists()


def test_a_dataset_says_its_task(tmp_path):
    with pytest.raises(DemonstrationError, match="nothing: no demonstration there"):
        dataset_spec(tmp_path / "nothing")
    with pytest.raises(DemonstrationError, match=r"task\.yaml: no such file: it says which task was demonstrated"):
        dataset_spec(tmp_path)
    write_spec(tmp_path, ROMAN)
    assert dataset_spec(tmp_path) == ROMAN
    assert dataset_spec(tmp_path).to_dict() == ROMAN.to_dict()  # names and colours for people, too
    text = (tmp_path / "task.yaml").read_text(encoding="utf-8")
    (tmp_path / "task.yaml").write_text(text.replace("top_speed", "top_spede"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"task\.yaml.*top_spede"):
        dataset_spec(tmp_path)


def test_an_interrupted_recording_leaves_nothing(tmp_path):
    def interrupted() -> None:
        with EpisodeWriter(tmp_path / "episode_000", ROMAN, "push") as writer:
            writer.add(*make_ticks("push")[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_episode_is_never_overwritten(tmp_path):
    record(tmp_path / "episode_000", "push")
    with pytest.raises(DemonstrationError, match="exists already"):
        EpisodeWriter(tmp_path / "episode_000", ROMAN, "push")


@pytest.mark.parametrize("where", ["scene", "answer", "command"])
def test_a_number_that_is_not_finite_is_never_recorded(tmp_path, where):
    scene, answer, command = make_ticks("push")[0]
    if where == "scene":
        scene = scene.with_objects(np.full_like(scene.object_positions, np.nan))
    elif where == "answer":
        answer = np.array([0.0, np.inf, 0.0, 0.0])
    else:
        command = Command(0, np.array([0.0, 0.0, np.nan]), 0.08)
    writer = EpisodeWriter(tmp_path / "episode_000", ROMAN, "push")
    with writer, pytest.raises(DemonstrationError, match="0 is not finite"):
        writer.add(scene, answer, command)


def test_an_empty_episode_and_a_wrong_answer_are_refused(tmp_path):
    with EpisodeWriter(tmp_path / "a", ROMAN, "push") as writer:
        with pytest.raises(DemonstrationError, match="no tick"):
            writer.close(make_meta("push"))
        scene, _, command = make_ticks("push")[0]
        with pytest.raises(DemonstrationError, match=r"shape \(7,\): expected \(4,\)"):
            writer.add(scene, np.zeros(7), command)
    with pytest.raises(DemonstrationError, match="'pushh'"):
        EpisodeWriter(tmp_path / "b", ROMAN, "pushh")


def test_another_network_is_refused(tmp_path):
    record(tmp_path / "episode_000", "push")
    with pytest.raises(DemonstrationError, match="teaches 'push': expected 'pull'"):
        read_episode(tmp_path / "episode_000", ROMAN, "pull")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format_version": 3},
            "format_version 3: expected 4, which says the task; record it again, or in its metadata",
        ),
        ({"noise_bound": float("nan")}, "noise_bound is 'nan'"),
        ({"seed": "x"}, "seed is 'x': expected a finite int"),
        ({"rate": 0.0}, "rate 0.0: expected more than 0"),
        ({"noise_bound": -0.1}, "noise_bound -0.1: expected 0 or more"),
    ],
)
def test_metadata_that_cannot_be_meant_is_refused(tmp_path, changes, message):
    record(tmp_path / "episode_000", "push", **changes)
    with pytest.raises(DemonstrationError, match=message) as refusal:
        read_episode(tmp_path / "episode_000", ROMAN)
    assert str(tmp_path / "episode_000") in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "kitting"}, "is of task 'kitting': expected 'roman'"),
        ({"task_sha256": "0" * 64}, "is of another version of task 'roman', 000000000000: expected "),
    ],
)
def test_a_demonstration_of_another_task_or_version_is_refused(tmp_path, changes, message):
    write_raw(tmp_path / "bag", make_ticks("push"), meta=make_meta("push", **changes))
    with pytest.raises(DemonstrationError, match=message) as refusal:
        read_episode(tmp_path / "bag", ROMAN)
    assert str(tmp_path / "bag") in str(refusal.value)


def test_missing_and_broken_bags_are_refused(tmp_path):
    with pytest.raises(DemonstrationError, match="no rosbag2 folder"):
        read_episode(tmp_path / "nothing", ROMAN)
    record(tmp_path / "episode_000", "push")
    bag = tmp_path / "episode_000" / "episode_000.mcap"
    whole = bag.read_bytes()
    bag.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DemonstrationError, match="cannot be read as a bag"):
        read_episode(tmp_path / "episode_000", ROMAN)
    bag.unlink()
    with pytest.raises(DemonstrationError, match="cannot be read as a bag"):
        read_episode(tmp_path / "episode_000", ROMAN)


def write_raw(
    path: Path, ticks: list, *, answers: list | None = None, skip_topic: str = "", meta: EpisodeMeta | None = None
) -> None:
    """A bag by hand, past the writer's own checks."""
    store, messages = typestore(), codec()
    topics = episode_types("push")
    topics.pop(skip_topic, None)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        for key, value in (meta or make_meta("push")).to_custom_data().items():
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
                write(answer_topic("push"), scene.stamp_ns, messages.action(scene.stamp_ns, ACTION_LAYOUT, answer))
        for stamp, answer in answers or []:
            write(answer_topic("push"), stamp, messages.action(stamp, ACTION_LAYOUT, answer))


def test_bags_that_others_wrote_are_checked(tmp_path):
    ticks = make_ticks("push", count=3)
    write_raw(tmp_path / "good", ticks)
    assert len(read_episode(tmp_path / "good", ROMAN, "push").states) == 3

    scene, answer, command = ticks[1]
    broken = scene.with_objects(np.full_like(scene.object_positions, np.nan))
    write_raw(tmp_path / "nan", [ticks[0], (broken, answer, command), ticks[2]])
    with pytest.raises(DemonstrationError, match="scene 1 is not finite"):
        read_episode(tmp_path / "nan", ROMAN)

    write_raw(tmp_path / "nan_action", [ticks[0], ticks[1], (ticks[2][0], np.full(4, np.nan), ticks[2][2])])
    with pytest.raises(DemonstrationError, match="expert/push/action 2 is not finite"):
        read_episode(tmp_path / "nan_action", ROMAN)

    write_raw(tmp_path / "without", ticks, skip_topic="gripper_cmd")
    with pytest.raises(DemonstrationError, match="no topic '/?gripper_cmd'"):
        read_episode(tmp_path / "without", ROMAN)

    write_raw(tmp_path / "twice", [ticks[0], ticks[0]])
    with pytest.raises(DemonstrationError, match="stamp of scene 1 is not later"):
        read_episode(tmp_path / "twice", ROMAN)


def test_a_dataset_is_read_in_order_without_what_is_being_written(tmp_path):
    for index in (2, 0, 1):
        record(tmp_path / "push" / f"episode_{index:03d}", "push", data_seed=index)
    unfinished = EpisodeWriter(tmp_path / "push" / "episode_003", ROMAN, "push")
    names = [path.name for path in episode_folders(tmp_path, "push")]
    assert names == ["episode_000", "episode_001", "episode_002"]
    assert len(read_episodes(tmp_path, ROMAN, "push")) == 3
    unfinished.discard()
    with pytest.raises(DemonstrationError, match="no demonstration there"):
        episode_folders(tmp_path, "pull")


def test_the_dataset_hash_covers_content_but_not_the_commit(tmp_path):
    record(tmp_path / "a" / "push" / "episode_000", "push", git_commit="1")
    record(tmp_path / "b" / "push" / "episode_000", "push", git_commit="2")
    record(tmp_path / "c" / "push" / "episode_000", "push", data_seed=1)
    record(tmp_path / "d" / "push" / "episode_000", "push", noise_bound=0.01)
    record(tmp_path / "e" / "push" / "episode_000", "push", began=0)
    same, also, other_data, other_meta, other_time = (dataset_hash(tmp_path / name, ROMAN, "push") for name in "abcde")
    assert same == also == other_time
    assert len({same, other_data, other_meta}) == 3
    assert same == HASH_OF_VERSION_4


HASH_OF_VERSION_4 = "a235b8df4f9abaa12c440bef8d5c9b1fb23920b8345c390d63e17f5d33d5fcc2"
"""Of the same demonstration whatever version wrote it: provenance in bundles stays comparable."""


def test_the_commit_is_known_or_said_to_be_unknown():
    commit = git_commit()
    assert commit == "unknown" or len(commit.removesuffix("-dirty")) == 40


def scene_with(object_name: str, valid: bool, age: float, position: float = 0.1):
    """A tick of `push`, which observes rack and conveyor_end, with one object as given."""
    scene, answer, command = make_ticks("push", 1)[0]
    row = ROMAN.object_index[object_name]
    flags, ages, positions = np.ones(len(ROMAN.objects), bool), np.zeros(len(ROMAN.objects)), scene.object_positions
    flags[row], ages[row], positions[row] = valid, age, position
    return dataclasses.replace(scene, object_valid=flags, object_ages=ages, object_positions=positions), answer, command


@pytest.mark.parametrize(
    ("name", "age", "position"),
    [
        ("rack", 100.0, 0.1),  # hidden in the cabinet, and remembered for 240 s
        ("button", np.inf, np.nan),  # not observed
    ],
)
def test_what_is_hidden_and_remembered_or_not_observed_is_kept(tmp_path, name, age, position):
    tick = scene_with(name, False, age, position)
    with EpisodeWriter(tmp_path / "episode_000", ROMAN, "push") as writer:
        writer.add(*tick)
        assert writer.ticks == 1
        writer.close(make_meta("push"))
    (state,) = read_episode(tmp_path / "episode_000", ROMAN, "push").states
    np.testing.assert_array_equal(state.object_valid, tick[0].object_valid)
    np.testing.assert_array_equal(state.object_ages, tick[0].object_ages)
    np.testing.assert_array_equal(state.object_positions, tick[0].object_positions)


@pytest.mark.parametrize(("age", "position"), [(np.inf, 0.1), (241.0, 0.1), (100.0, np.nan), (0.2, 0.1)], ids=str)
def test_what_is_neither_seen_nor_remembered_is_nothing_to_learn_from(tmp_path, monkeypatch, age, position):
    tick = scene_with("rack", False, age, position)
    with (
        EpisodeWriter(tmp_path / "episode_000", ROMAN, "push") as writer,
        pytest.raises(DemonstrationError, match="neither seen nor remembered: nothing to learn from"),
    ):
        writer.add(*tick)
    with monkeypatch.context() as patch:
        patch.setattr("roman_moe.demos.writer.is_teachable", lambda scene, network: True)
        with EpisodeWriter(tmp_path / "episode_001", ROMAN, "push") as writer:
            writer.add(*tick)
            writer.close(make_meta("push"))
    with pytest.raises(DemonstrationError, match="scene 0 has an object that push observes and that is neither seen"):
        read_episode(tmp_path / "episode_001", ROMAN, "push")


def test_the_file_says_all_message_definitions_so_that_viewers_decode_it(tmp_path):
    """PlotJuggler and Foxglove know no package of ours: they decode by what the file itself says."""
    corrected(tmp_path / "episode_000", images=1)
    with (tmp_path / "episode_000" / "episode_000.mcap").open("rb") as file:
        messages = list(NonSeekingReader(file).iter_messages())
    seen = set()
    for schema, channel, message in messages:
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(schema.data.decode(), schema.name))
        decoded = store.deserialize_cdr(message.data, schema.name)
        assert (schema.encoding, channel.message_encoding) == ("ros2msg", "cdr")
        stamp = decoded.header.stamp
        assert 1_000_000_000 * stamp.sec + stamp.nanosec == message.log_time - messages[0][2].log_time
        seen.add(channel.topic)
    assert seen >= {"/scene", "/blender/tick", "/policy/action", "/camera/front/image_raw/compressed"}
