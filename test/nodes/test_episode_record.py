"""An episode's record is complete or absent, and says of itself what it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from specs import SKILLS

from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError
from roman_moe.core.state import ObjectPoses, upright
from roman_moe.nodes.bringup.episode_record import EpisodeRecord, EpisodeRecorder


def poses(stamp_ns: int, x: float, valid: list[bool]) -> ObjectPoses:
    count = len(valid)
    return ObjectPoses(stamp_ns, np.full((count, 3), x), np.array(valid), np.zeros(count), upright(count))


def record() -> EpisodeRecord:
    recorder = EpisodeRecorder("push", 3, SKILLS, objects=2)
    for tick in range(5):
        recorder.add_tick(tick * 50, Command(tick * 50, np.full(3, tick), 0.08), np.full(4, tick))
    recorder.add_weights(150, ("push", "pull"), np.array([0.2, 0.8]))  # weights may come in any order
    recorder.add_weights(50, ("push", "pull"), np.array([0.9, 0.1]))
    recorder.add_poses(poses(100, 0.2, [True, False]))  # likewise
    recorder.add_poses(poses(50, 0.1, [False, True]))
    return recorder.finish("success", 250, held_ticks=2, disturbance="shove_rack", disturbed_ns=100)


def test_weights_hold_until_the_next_and_are_zero_before_the_first() -> None:
    found = record()
    np.testing.assert_array_equal(found.weights, [[0, 0], [0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])


def test_poses_hold_until_the_next_and_are_unknown_before_the_first() -> None:
    found = record()
    np.testing.assert_array_equal(found.positions[:, 1, 2], [np.nan, 0.1, 0.2, 0.2, 0.2])
    np.testing.assert_array_equal(found.seen[1:], [[False, True], [True, False], [True, False], [True, False]])
    assert not found.seen[0].any()


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    saved = record()
    saved.save(tmp_path / "episode.npz")
    loaded = EpisodeRecord.load(tmp_path / "episode.npz")
    assert (loaded.start, loaded.seed, loaded.outcome, loaded.skills) == ("push", 3, "success", ("push", "pull"))
    assert (loaded.duration_ns, loaded.held_ticks, loaded.missed_ticks, loaded.success) == (250, 2, 2, True)
    assert (loaded.disturbance, loaded.disturbed_ns) == ("shove_rack", 100)
    for field in ("stamps_ns", "physics_states", "weights", "commands", "positions", "seen"):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(saved, field), err_msg=field)


def test_an_episode_without_ticks_is_a_record_too() -> None:
    empty = EpisodeRecorder("push", 0, SKILLS).finish("fault", 0, 0)
    assert empty.skills == SKILLS
    assert empty.weights.shape == (0, len(SKILLS))
    assert (empty.positions.shape, empty.seen.shape) == ((0, 0, 3), (0, 0))


@pytest.mark.parametrize("content", [b"", b"not a record", None])
def test_other_files_are_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "episode.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RomanError, match=r"episode\.npz: no readable episode record"):
        EpisodeRecord.load(file)


def test_an_archive_of_something_else_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", stamps_ns=np.zeros(3))
    with pytest.raises(RomanError, match="no readable episode record"):
        EpisodeRecord.load(tmp_path / "other.npz")


def test_a_flipped_byte_is_named_or_changes_nothing(tmp_path: Path) -> None:
    file, rng = tmp_path / "episode.npz", np.random.default_rng(0)
    record().save(file)
    data, whole = file.read_bytes(), record()
    refused = 0
    for position in rng.integers(len(data), size=400):
        file.write_bytes(data[:position] + bytes([data[position] ^ rng.integers(1, 256)]) + data[position + 1 :])
        try:
            loaded = EpisodeRecord.load(file)
        except RomanError as error:
            refused += str(error).startswith(f"{file}: no readable episode record")
            continue
        for field in dataclasses.fields(whole):
            np.testing.assert_array_equal(getattr(loaded, field.name), getattr(whole, field.name))
    assert refused > 100
