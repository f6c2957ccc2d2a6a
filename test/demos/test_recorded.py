"""What `ros2 bag record` makes of a running graph is read as far as its content allows.

The bags are written by rosbags, which knows rosbag2's versions, storages and compressions. The messages are those of
the graph, with the gaps of a live recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from episodes import make_meta, make_ticks
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from specs import ACTION_LAYOUT, ROMAN

from roman_moe.core.errors import DemonstrationError
from roman_moe.demos.bag import answer_topic, episode_types
from roman_moe.demos.reader import read_episode
from roman_moe.wire.bag_types import codec, typestore
from roman_moe.wire.topics import MULTI_DOF

WALL = 1_700_000_000_000_000_000
CUSTOM = {
    "format_version": "4",
    "task": "roman",
    "network": "push",
    "outcome": "success",
    "source": "teleoperation",
    "rate": "20.0",
}


def record_live(
    path: Path,
    ticks: list,
    *,
    prefix: str = "/",
    custom: Mapping[str, str] = CUSTOM,
    version: int = 9,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    lost: Mapping[str, set[int]] | None = None,
) -> None:
    """A bag as rosbag2 records it: `lost` says which ticks' messages of a topic are not in it; all, if empty."""
    store, messages, lost = typestore(), codec(), lost or {}
    topics = episode_types("push")
    bag = Writer(path, version=version, storage_plugin=storage)
    if compression != CompressionMode.NONE:
        bag.set_compression(compression, CompressionFormat.ZSTD)
    with bag:
        for key, value in custom.items():
            bag.set_custom_data(key, value)
        made = {
            topic: bag.add_connection(f"{prefix}{topic}", kind, typestore=store)
            for topic, kind in topics.items()
            if lost.get(topic) != set()
        }
        made["rosout"] = bag.add_connection("/rosout", "rcl_interfaces/msg/Log", typestore=store)
        for index, (scene, answer, command) in enumerate(ticks):
            for topic, message in (
                ("scene", messages.scene(scene)),
                (answer_topic("push"), messages.action(scene.stamp_ns, ACTION_LAYOUT, answer)),
                ("delta_twist_cmds", messages.twist(command)),
                ("gripper_cmd", messages.gripper(command)),
            ):
                if topic in made and index not in lost.get(topic, {}):
                    data = store.serialize_cdr(message, made[topic].msgtype)
                    bag.write(made[topic], WALL + scene.stamp_ns, data)


TICKS = make_ticks("push", 6)


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("storage", list(StoragePlugin))
@pytest.mark.parametrize("compression", list(CompressionMode))
def test_every_version_storage_and_compression_is_read(tmp_path, version, storage, compression):
    if storage == StoragePlugin.SQLITE3 and compression == CompressionMode.STORAGE:
        pytest.skip("only MCAP compresses its own chunks")
    record_live(tmp_path / "bag", TICKS, version=version, storage=storage, compression=compression)
    episode = read_episode(tmp_path / "bag", ROMAN, "push")
    np.testing.assert_array_equal(episode.answers, [answer for _, answer, _ in TICKS])
    meta = episode.meta
    assert (meta.source, meta.start, meta.git_commit, episode.left_out) == ("teleoperation", "push", "unknown", 0)


@pytest.mark.parametrize("prefix", ["/", "", "/lab2/", "/site/lab2/"])
def test_a_graph_in_a_namespace_is_read_and_so_are_relative_names(tmp_path, prefix):
    record_live(tmp_path / "bag", TICKS, prefix=prefix)
    assert len(read_episode(tmp_path / "bag", ROMAN, "push").states) == 6


def test_a_split_recording_is_read_as_one(tmp_path):
    record_live(tmp_path / "bag", TICKS[:4])
    record_live(tmp_path / "more", TICKS[4:])
    (tmp_path / "more" / "more.mcap").rename(tmp_path / "bag" / "bag_1.mcap")
    metadata = tmp_path / "bag" / "metadata.yaml"
    content = yaml.safe_load(metadata.read_text(encoding="utf-8"))
    content["rosbag2_bagfile_information"]["relative_file_paths"].append("bag_1.mcap")
    metadata.write_text(yaml.safe_dump(content), encoding="utf-8")
    episode = read_episode(tmp_path / "bag", ROMAN, "push")
    assert [state.stamp_ns for state in episode.states] == [scene.stamp_ns for scene, _, _ in TICKS]


def test_complete_ticks_are_taken_and_the_others_are_counted(tmp_path):
    """Recording starts and ends within ticks, and a topic is discovered later than another."""
    lost = {"scene": {0}, "expert/push/action": {0, 1}, "gripper_cmd": {5}, "delta_twist_cmds": {5}}
    record_live(tmp_path / "bag", TICKS, lost=lost)
    episode = read_episode(tmp_path / "bag", ROMAN, "push")
    assert [state.stamp_ns for state in episode.states] == [TICKS[index][0].stamp_ns for index in (2, 3, 4)]
    np.testing.assert_array_equal(episode.answers, [TICKS[index][1] for index in (2, 3, 4)])
    assert [command.stamp_ns for command in episode.commands] == [TICKS[index][0].stamp_ns for index in (2, 3, 4)]
    assert episode.left_out == 2


def test_what_is_missing_is_named(tmp_path):
    record_live(tmp_path / "topic", TICKS, lost={"gripper_cmd": set(), "scene": set()})
    with pytest.raises(DemonstrationError, match="no topic '/scene', '/gripper_cmd': it has /delta_twist_cmds"):
        read_episode(tmp_path / "topic", ROMAN)

    record_live(tmp_path / "never", TICKS, lost={"expert/push/action": set(range(6))})
    with pytest.raises(DemonstrationError, match="no scene has a message of its stamp on each of .*/push/action"):
        read_episode(tmp_path / "never", ROMAN)

    record_live(tmp_path / "plain", TICKS, custom={})
    with pytest.raises(DemonstrationError, match="no format_version, network, .*`ros2 bag record --custom-data"):
        read_episode(tmp_path / "plain", ROMAN)

    record_live(tmp_path / "partly", TICKS, custom={key: CUSTOM[key] for key in CUSTOM if key != "rate"})
    with pytest.raises(DemonstrationError, match="no rate in its custom data"):
        read_episode(tmp_path / "partly", ROMAN)


def test_two_graphs_in_one_bag_are_refused(tmp_path):
    store = typestore()
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        for key, value in CUSTOM.items():
            bag.set_custom_data(key, value)
        for prefix in ("/a/", "/b/"):
            for topic, kind in episode_types("push").items():
                bag.add_connection(f"{prefix}{topic}", kind, typestore=store)
    with pytest.raises(DemonstrationError, match=r"holds several graphs \(/a/scene, /b/scene\): record one of them"):
        read_episode(tmp_path / "bag", ROMAN)


def test_a_topic_of_another_type_is_refused(tmp_path):
    store = typestore()
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        for key, value in CUSTOM.items():
            bag.set_custom_data(key, value)
        scene = codec().scene(TICKS[0][0])
        for topic, kind in {
            **episode_types("push"),
            "gripper_cmd": MULTI_DOF,
        }.items():
            connection = bag.add_connection(f"/{topic}", kind, typestore=store)
            if kind == MULTI_DOF:
                bag.write(connection, WALL, store.serialize_cdr(scene, kind))
    with pytest.raises(DemonstrationError, match="/gripper_cmd is of type .*MultiDOFJointState: expected"):
        read_episode(tmp_path / "bag", ROMAN)


def test_a_key_of_the_lab_alone_may_be_given(tmp_path):
    custom = {**CUSTOM, **{key: str(value) for key, value in {"start": "push", "seed": 3}.items()}}
    record_live(tmp_path / "bag", TICKS, custom=custom)
    meta = read_episode(tmp_path / "bag", ROMAN).meta
    assert (meta.start, meta.seed) == ("push", 3)
    assert meta.disturbance == make_meta("push", disturbance="").disturbance
