"""What numbers alone tell of an episode: gaps, jumps, idle stretches, a rate that was not reached, zero length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from episodes import corrected, make_meta, make_ticks
from rosbags.rosbag2 import StoragePlugin, Writer
from specs import ROMAN

from roman_moe.core.action import Command
from roman_moe.core.errors import DemonstrationError
from roman_moe.demos.bag import episode_types
from roman_moe.demos.dataset import write_spec
from roman_moe.demos.edit import Edit, edit, images
from roman_moe.demos.reader import read_episode
from roman_moe.demos.survey import gaps, idle_stretches, measured_rate, problems, survey
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.wire.bag_types import codec, typestore

PERIOD = 50_000_000
TYPES = episode_types("push")


def written(path, count=100, lost=(), jump_at=-1, still=range(0), **changes):
    """A straight way at 5 cm/s without the ticks that are lost."""
    scene, answer, _ = make_ticks("push")[0]
    with EpisodeWriter(path, ROMAN, "push") as writer:
        for index in range(count):
            if index not in lost:
                at = np.array([0.3 + 0.0025 * index + 0.2 * (0 <= jump_at <= index), 0.0, 0.2])
                stamped = dataclasses.replace(scene, stamp_ns=index * PERIOD, hand_position=at)
                speed = np.array([0.0 if index in still else 0.05, 0.0, 0.0])
                writer.add(stamped, answer, Command(index * PERIOD, speed, 0.08))
        writer.close(make_meta("push", **changes))
    return read_episode(path, ROMAN)


def test_nothing_is_wrong_with_a_good_one(tmp_path):
    episode = written(tmp_path / "one")
    assert (list(problems(episode, ROMAN)), gaps(episode), idle_stretches(episode)) == ([], [], [])
    assert measured_rate(episode) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ({"lost": range(40, 50)}, "89.9 % of its rate of 20 Hz: 10 scenes missing in 1 gaps"),
        ({"jump_at": 30}, "jump: the hand moves 20.2 cm between two scenes at 1.45 s"),
        ({"count": 1}, "zero length: it has one scene"),
        ({"rate": 10.0}, "recorded at 10 Hz: the task's control_rate is 20"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, what, line):
    assert list(problems(written(tmp_path / "one", **what), ROMAN)) == [line]


def test_a_few_lost_scenes_are_gaps_but_not_wrong(tmp_path):
    episode = written(tmp_path / "one", lost={20, 50, 51})
    assert list(problems(episode, ROMAN)) == []
    assert gaps(episode) == [(pytest.approx(0.95), 1), (pytest.approx(2.45), 2)]


def test_a_pause_of_two_seconds_is_idle_a_shorter_one_is_not(tmp_path):
    assert idle_stretches(written(tmp_path / "short", still=range(20, 55))) == []
    assert idle_stretches(written(tmp_path / "long", still=range(20, 65))) == [(pytest.approx(1.0), pytest.approx(3.2))]


def test_a_clock_that_goes_back_is_damage_and_hides_no_other_episode(tmp_path):
    write_spec(tmp_path, ROMAN)
    scene, answer, _ = make_ticks("push")[0]
    custom = {"format_version": "4", "task": "roman", "network": "push", "outcome": "success", "rate": "20.0"}
    store, messages = typestore(), codec()
    (tmp_path / "push").mkdir()
    with Writer(tmp_path / "push" / "episode_000", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        for key, value in {**custom, "source": "operator"}.items():
            bag.set_custom_data(key, value)
        topics = {name: bag.add_connection(f"/{name}", kind, typestore=store) for name, kind in TYPES.items()}
        for received, stamp in enumerate((2 * PERIOD, PERIOD)):
            command = Command(stamp, np.zeros(3), 0.08)
            parts = (
                messages.scene(dataclasses.replace(scene, stamp_ns=stamp)),
                messages.twist(command),
                messages.gripper(command),
                messages.action(stamp, ROMAN.action.layout, answer),
            )
            for (name, kind), part in zip(TYPES.items(), parts, strict=True):
                bag.write(topics[name], received, store.serialize_cdr(part, kind))
    written(tmp_path / "push" / "episode_001")
    found = survey(tmp_path)
    assert [found.name(episode) for episode in found.episodes] == ["push/episode_001"]
    assert list(found.damaged) == [tmp_path / "push" / "episode_000"]
    assert "is not later than the one before" in found.damaged[tmp_path / "push" / "episode_000"]


def test_a_split_keeps_who_drove_and_shares_the_images_out(tmp_path):
    write_spec(tmp_path / "demos", ROMAN)
    corrected(tmp_path / "demos" / "push" / "episode_000", images=6)
    whole = read_episode(tmp_path / "demos" / "push" / "episode_000", ROMAN)
    assert edit(survey(tmp_path / "demos"), tmp_path / "new", Edit(split={"push/episode_000": 0.1})) == 2
    parts = [read_episode(tmp_path / "new" / "push" / f"episode_000_{number}", ROMAN) for number in (1, 2)]
    assert [len(part.states) for part in parts] == [2, 3]
    for name in ("answers", "weights", "policy", "drove"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
    assert [len(images(part)) for part in parts] == [2, 4]
    assert [*images(parts[0]), *images(parts[1])] == images(whole)


def test_a_label_that_the_scenes_cannot_teach_is_refused(tmp_path):
    write_spec(tmp_path / "demos", ROMAN)
    scene, answer, command = make_ticks("push")[0]
    hidden = np.array([name in ROMAN.skills["push"].observes for name in ROMAN.objects])
    ages = np.where(hidden, 0.0, np.inf)
    with EpisodeWriter(tmp_path / "demos" / "push" / "episode_000", ROMAN, "push") as writer:
        writer.add(dataclasses.replace(scene, object_valid=hidden, object_ages=ages), answer, command)
        writer.close(make_meta("push"))
    with pytest.raises(DemonstrationError, match="neither seen nor remembered: nothing to learn from"):
        edit(survey(tmp_path / "demos"), tmp_path / "new", Edit(labels={"network": "pull"}))
    assert not (tmp_path / "new").exists()
