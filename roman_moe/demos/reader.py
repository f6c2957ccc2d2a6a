"""Reads demonstrations: what it returns is whole and finite; all else is refused, naming file, field and index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.serde import SerdeError

from roman_moe.core.action import Command
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.messages import (
    MessageError,
    decode_action,
    decode_command,
    decode_scene,
    decode_weights,
    message_stamp,
)
from roman_moe.core.skills import SKILLS
from roman_moe.core.state import SceneState
from roman_moe.demos.bag import GRIPPER_TOPIC, METADATA_FILE, SCENE_TOPIC, TWIST_TOPIC, answer_topic, typestore
from roman_moe.demos.metadata import GATE, EpisodeMeta

Decoded = TypeVar("Decoded")


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One demonstration of T ticks.

    Attributes:
        path: its folder.
        meta: its origin.
        states: the scenes, T of them, their stamps increasing.
        answers: what the network should answer to each: actions, (T, 4), or weights of `SKILLS`, (T, 7).
        commands: what was sent to the arm, T of them.
    """

    path: Path
    meta: EpisodeMeta
    states: list[SceneState]
    answers: NDArray[np.float64]
    commands: list[Command]


def episode_folders(dataset: Path, network: str | None = None) -> list[Path]:
    """Episodes under a folder in a stable order; of one network only, if given (its subfolder).

    Raises:
        DemonstrationError: if there is none.
    """
    folder = dataset / network if network else dataset
    found = sorted(file.parent for file in folder.rglob(METADATA_FILE) if not _hidden(file.relative_to(folder)))
    if not found:
        raise DemonstrationError(
            f"{folder}: no demonstration there: make some with `roman-moe collect --out {dataset}`"
        )
    return found


def read_episodes(dataset: Path, network: str) -> list[Episode]:
    """All demonstrations of one network in a dataset folder.

    Raises:
        DemonstrationError: if there is none, or one cannot be used.
    """
    return [read_episode(path, network) for path in episode_folders(dataset, network)]


def read_episode(path: Path, network: str | None = None) -> Episode:
    """Read one demonstration.

    Args:
        path: the episode's folder.
        network: which network it must teach; any if None.

    Raises:
        DemonstrationError: if it cannot be read, teaches another network, or a message is missing or not finite.
    """
    custom, messages = read_messages(path)
    meta = EpisodeMeta.from_custom_data(custom, path)
    if network is not None and meta.network != network:
        raise DemonstrationError(f"{path}: teaches {meta.network!r}: expected {network!r}")
    topic = answer_topic(meta.network)
    scenes = _topic(path, messages, SCENE_TOPIC)
    if not scenes:
        raise DemonstrationError(f"{path}: topic {SCENE_TOPIC!r} has no message")
    states = _decode(path, SCENE_TOPIC, scenes, decode_scene)
    stamps = [state.stamp_ns for state in states]
    for index in range(1, len(stamps)):
        if stamps[index] <= stamps[index - 1]:
            raise DemonstrationError(f"{path}: stamp of {SCENE_TOPIC} {index} is not later than the one before")
    _check_finite(path, SCENE_TOPIC, [state.is_finite() for state in states])
    valid = [bool(state.object_valid.all()) for state in states]
    if not all(valid):
        raise DemonstrationError(f"{path}: {SCENE_TOPIC} {valid.index(False)} has an object that is not valid")

    taught = _aligned(path, messages, topic, stamps)
    answers = np.array(_decode(path, topic, taught, decode_action if meta.network != GATE else _decode_gate))
    _check_finite(path, topic, np.isfinite(answers).all(axis=1).tolist())

    twists = _aligned(path, messages, TWIST_TOPIC, stamps)
    grippers = _aligned(path, messages, GRIPPER_TOPIC, stamps)
    pairs = list(zip(twists, grippers, strict=True))
    commands = _decode(path, TWIST_TOPIC, pairs, lambda pair: decode_command(*pair))
    _check_finite(path, TWIST_TOPIC, [command.is_finite() for command in commands])
    return Episode(path, meta, states, answers, commands)


def read_messages(path: Path) -> tuple[dict[str, str], dict[str, list[tuple[int, bytes, str]]]]:
    """Custom data, and by topic the raw messages (stamp [ns], CDR bytes, type) of any bag folder.

    Raises:
        DemonstrationError: if it is no complete bag.
    """
    messages: dict[str, list[tuple[int, bytes, str]]] = {}
    try:
        with Reader(path) as bag:
            custom = dict(getattr(bag.storage.metadata, "custom", None) or {})
            for connection in bag.connections:
                messages[connection.topic] = []
            for connection, stamp, data in bag.messages():
                messages[connection.topic].append((stamp, bytes(data), connection.msgtype))
    except FileNotFoundError:
        raise DemonstrationError(f"{path}: no rosbag2 folder with a {METADATA_FILE}") from None
    except (ReaderError, OSError, ValueError, KeyError, AssertionError, IndexError) as error:
        # rosbags lets low-level errors through on truncated files
        raise DemonstrationError(f"{path}: cannot be read as a bag: {str(error) or type(error).__name__}") from error
    return custom, messages


def _decode_gate(message: Any) -> NDArray[np.float64]:
    return decode_weights(message, SKILLS)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _topic(path: Path, messages: dict[str, list[tuple[int, bytes, str]]], topic: str) -> list[Any]:
    if topic not in messages:
        raise DemonstrationError(f"{path}: no topic {topic!r}: it has {', '.join(sorted(messages))}")
    decoded = []
    for index, (_, data, kind) in enumerate(messages[topic]):
        try:
            decoded.append(typestore().deserialize_cdr(data, kind))
        except (SerdeError, ValueError, KeyError, AssertionError) as error:
            raise DemonstrationError(f"{path}: {topic} {index} cannot be decoded as {kind}: {error}") from error
    return decoded


def _aligned(path: Path, messages: dict[str, list[tuple[int, bytes, str]]], topic: str, stamps: list[int]) -> list[Any]:
    """Messages of a topic that must answer the scenes one by one."""
    found = _topic(path, messages, topic)
    if len(found) != len(stamps):
        raise DemonstrationError(f"{path}: {len(found)} messages on {topic!r}: expected one a scene, {len(stamps)}")
    for index, (message, stamp) in enumerate(zip(found, stamps, strict=True)):
        if message_stamp(message) != stamp:
            raise DemonstrationError(f"{path}: stamp of {topic} {index} is not that of scene {index}")
    return found


def _decode(path: Path, topic: str, found: list[Any], decode: Callable[[Any], Decoded]) -> list[Decoded]:
    decoded = []
    for index, message in enumerate(found):
        try:
            decoded.append(decode(message))
        except MessageError as error:
            raise DemonstrationError(f"{path}: {topic} {index}: {error}") from error
    return decoded


def _check_finite(path: Path, topic: str, finite: list[bool]) -> None:
    if not all(finite):
        raise DemonstrationError(f"{path}: {topic} {finite.index(False)} is not finite")
