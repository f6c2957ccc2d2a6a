"""What an episode may hold besides: who drove, what the policy would have done, images; without it nothing changes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from episodes import IMAGE_KIND, corrected, record
from rosbags.rosbag2 import Reader
from specs import ROMAN

from roman_moe.core.errors import DemonstrationError
from roman_moe.demos.dataset import dataset_hash
from roman_moe.demos.reader import read_episode

GOLDEN = {
    "push": (
        "a235b8df4f9abaa12c440bef8d5c9b1fb23920b8345c390d63e17f5d33d5fcc2",
        "47aeeab48b4f556722a5b4829d32fe7bb473cca8fc0ddcaf2b046fd77137f943",
    ),
    "gate": (
        "188ba88904bdb973106bfe7ab4ac275d8496e7b8d77d1eb0f219db52544dc683",
        "1918dc221fc91876b1ff1c2181353b0a8ba7747d76d66e7ca504727f3d4fd021",
    ),
}
"""Of episodes without any of it: the dataset's hash, which bundles keep, and that of metadata.yaml."""


@pytest.mark.parametrize("network", sorted(GOLDEN))
def test_an_episode_without_any_of_it_is_the_one_of_before(tmp_path, monkeypatch, network):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    record(tmp_path / network / "episode_000", network)
    metadata = (tmp_path / network / "episode_000" / "metadata.yaml").read_bytes()
    assert (dataset_hash(tmp_path, ROMAN, network), hashlib.sha256(metadata).hexdigest()) == GOLDEN[network]
    episode = read_episode(tmp_path / network / "episode_000", ROMAN)
    assert (episode.weights, episode.policy, episode.drove) == (None, None, None)
    assert episode.taught.tolist() == [True] * 5


def test_who_drove_and_what_the_policy_would_have_done_come_back_exactly(tmp_path):
    ticks = corrected(tmp_path / "episode_000")
    episode = read_episode(tmp_path / "episode_000", ROMAN)
    np.testing.assert_array_equal(episode.weights, [tick.weights for tick, _ in ticks])
    np.testing.assert_array_equal(episode.policy, [policy for _, policy in ticks])
    assert episode.drove.tolist() == episode.taught.tolist() == [False, True, True, True, False]


def test_a_tick_without_its_message_on_an_optional_topic_is_named(tmp_path):
    corrected(tmp_path / "episode_000", skip_tick=2)
    with pytest.raises(DemonstrationError, match="scene 2 has no message of its stamp on 'blender/tick'"):
        read_episode(tmp_path / "episode_000", ROMAN)


def test_images_stand_on_their_cameras_topic_by_their_own_stamps(tmp_path):
    corrected(tmp_path / "episode_000", images=4)
    with Reader(tmp_path / "episode_000") as bag:
        counts = {topic: info.msgcount for topic, info in bag.topics.items()}
        images = [(connection, stamp) for connection, stamp, _ in bag.messages() if connection.msgtype == IMAGE_KIND]
        began = bag.start_time
    assert counts["/camera/front/image_raw/compressed"] == 4
    assert [stamp - began for _, stamp in images] == [0, 33_000_000, 66_000_000, 99_000_000]
    assert len(read_episode(tmp_path / "episode_000", ROMAN).states) == 5


def test_what_is_for_people_comes_back_and_changes_no_hash(tmp_path):
    said = {"name": "the first one", "notes": "slipped twice\nthen: 'fine' # ü", "operator": "Kim"}
    for folder, changes in (("without", {}), ("with", said)):
        record(tmp_path / folder / "push" / "episode_000", "push", **changes)
    meta = read_episode(tmp_path / "with" / "push" / "episode_000", ROMAN).meta
    assert {key: getattr(meta, key) for key in said} == said
    assert len({dataset_hash(tmp_path / folder, ROMAN, "push") for folder in ("without", "with")}) == 1
