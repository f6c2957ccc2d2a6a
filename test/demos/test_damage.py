"""A damaged demonstration is refused with one line that names its folder, or it reads as if it were whole."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from episodes import record
from specs import ROMAN

from roman_moe.core.errors import DemonstrationError
from roman_moe.core.spec import GATE
from roman_moe.demos.checksums import check_mcap
from roman_moe.demos.reader import Episode, read_episode

MCAP = "episode_000.mcap"
METADATA = "metadata.yaml"


def content(episode: Episode) -> tuple:
    """All that is learned from an episode, to compare bit by bit."""
    states = [
        (
            state.stamp_ns,
            state.finger_opening,
            *(
                array.tobytes()
                for array in (
                    state.hand_position,
                    state.hand_velocity,
                    state.finger_forces,
                    state.object_positions,
                    state.flags,
                )
            ),
        )
        for state in episode.states
    ]
    commands = [(c.stamp_ns, c.linear_velocity.tobytes(), c.gripper_opening) for c in episode.commands]
    return episode.meta, states, episode.answers.tobytes(), commands


def reading(path: Path, whole: tuple) -> str:
    """How reading a damaged episode ends: "refused" or "same"; anything else is a failure."""
    try:
        found = content(read_episode(path, ROMAN))
    except DemonstrationError as error:
        return "refused" if str(path) in str(error) and "\n" not in str(error) else f"refused, badly: {error}"
    except Exception as error:  # noqa: BLE001 (what must never happen is counted)
        return f"escaped: {type(error).__name__}: {error}"
    return "same" if found == whole else "other numbers"


def flips(folder: Path, scratch: Path, count: int, seed: int) -> Counter[str]:
    """Outcomes of `count` single damaged bytes, half of them anywhere and half spread evenly over the files."""
    rng = random.Random(seed)
    whole = content(read_episode(folder, ROMAN))
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    everywhere = [(name, position) for name, data in files.items() for position in range(len(data))]
    outcomes: Counter[str] = Counter()
    for number in range(count):
        name, position = rng.choice(everywhere)
        if number % 2:
            name = rng.choice(list(files))
            position = rng.randrange(len(files[name]))
        damaged = bytearray(files[name])
        damaged[position] ^= rng.randrange(1, 256)
        shutil.copytree(folder, scratch, dirs_exist_ok=True)
        (scratch / name).write_bytes(damaged)
        outcomes[reading(scratch, whole)] += 1
    return outcomes


@pytest.mark.parametrize(("network", "seed"), [("push", 1), (GATE, 2)])
def test_a_flipped_byte_is_refused_or_harmless(tmp_path, network, seed):
    record(tmp_path / "episode_000", network)
    outcomes = flips(tmp_path / "episode_000", tmp_path / "damaged", 150, seed)
    assert set(outcomes) <= {"refused", "same"}, outcomes
    assert outcomes["refused"] > outcomes["same"]  # most bytes carry something


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_1500_flipped_bytes_are_refused_or_harmless(tmp_path, seed):
    record(tmp_path / "episode_000", "push")
    outcomes = flips(tmp_path / "episode_000", tmp_path / "damaged", 1500, seed)
    print(dict(outcomes))
    assert set(outcomes) <= {"refused", "same"}, outcomes


@pytest.mark.parametrize("name", [MCAP, METADATA])
def test_a_file_that_was_cut_off_or_is_empty_is_refused(tmp_path, name):
    record(tmp_path / "episode_000", "push")
    whole = content(read_episode(tmp_path / "episode_000", ROMAN))
    data = (tmp_path / "episode_000" / name).read_bytes()
    for length in (0, 1, 8, 40, len(data) // 3, len(data) // 2, len(data) - 40, len(data) - 8, len(data) - 1):
        (tmp_path / "episode_000" / name).write_bytes(data[:length])
        outcome = reading(tmp_path / "episode_000", whole)
        # metadata.yaml ends in what is not learned from: its checksum, the ROS distribution and a line break
        assert outcome == "refused" or (name == METADATA and length >= len(data) - 40 and outcome == "same"), length


def test_every_byte_of_the_mcap_file_is_under_a_checksum(tmp_path):
    record(tmp_path / "episode_000", "push")
    file = tmp_path / "episode_000" / MCAP
    data = file.read_bytes()
    check_mcap(file)
    for position in [*range(60), *range(60, len(data) - 400, 97), *range(len(data) - 400, len(data))]:
        file.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        with pytest.raises(ValueError, match="checksum|MCAP|summary"):
            check_mcap(file)


def test_custom_data_are_not_changed_unnoticed(tmp_path):
    record(tmp_path / "episode_000", "push")
    metadata = tmp_path / "episode_000" / METADATA
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(text.replace("noise_bound: '0.005'", "noise_bound: '0.004'"), encoding="utf-8")
    with pytest.raises(DemonstrationError, match="episode_000: custom data of .* are damaged or were changed"):
        read_episode(tmp_path / "episode_000", ROMAN)
    meant = "\n".join(line for line in metadata.read_text(encoding="utf-8").splitlines() if "crc32" not in line)
    metadata.write_text(meant + "\n", encoding="utf-8")
    assert read_episode(tmp_path / "episode_000", ROMAN).meta.noise_bound == 0.004


def test_numbers_of_another_episode_under_this_name_are_not_taken_for_a_whole_one(tmp_path):
    record(tmp_path / "episode_000", "push")
    record(tmp_path / "other" / "episode_000", "push", data_seed=1, ticks=3)
    shutil.copy(tmp_path / "other" / "episode_000" / MCAP, tmp_path / "episode_000" / MCAP)
    with pytest.raises(DemonstrationError, match="3 scenes: expected 5, as its custom data say"):
        read_episode(tmp_path / "episode_000", ROMAN)


def test_messages_that_cannot_be_decoded_name_their_place(tmp_path, monkeypatch):
    from roman_moe.demos import reader

    record(tmp_path / "episode_000", "push")
    meta, custom, topics, left_out = reader.read_ticks(tmp_path / "episode_000", ROMAN)
    message = topics["scene"][2]
    topics["scene"][2] = type(message)(message.stamp_ns, message.data[:50], message.kind)
    monkeypatch.setattr(reader, "read_ticks", lambda path, spec, network: (meta, custom, topics, left_out))
    with pytest.raises(DemonstrationError, match="episode_000: scene 2 cannot be decoded as sensor_msgs/msg/MultiDOF"):
        read_episode(tmp_path / "episode_000", ROMAN)


def test_reading_compares_every_number(tmp_path):
    """The comparison above would notice a changed number anywhere."""
    record(tmp_path / "a", "push")
    episode = read_episode(tmp_path / "a", ROMAN)
    whole = content(episode)
    episode.answers[0, 0] = np.nextafter(episode.answers[0, 0], 2.0)
    assert content(episode) != whole
