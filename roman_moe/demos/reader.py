"""Reads demonstrations: what it returns is whole and finite; all else is refused, naming folder, field and index.

Bags of `EpisodeWriter` must be as they were written, byte for byte where a checksum reaches. Of what `ros2 bag record`
made of a running graph, whose first and last ticks are incomplete, the complete ticks are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import Command
from roman_moe.core.errors import DemonstrationError, one_line
from roman_moe.core.spec import GATE, MONOLITHIC, TaskSpec
from roman_moe.core.state import SceneState
from roman_moe.demos.bag import METADATA_FILE, answer_topic
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.recording import Message, Topics, read_recording
from roman_moe.demos.teachable import is_teachable
from roman_moe.wire.bag_types import typestore
from roman_moe.wire.codec import (
    MessageError,
    command_of,
    decode_action,
    decode_gripper,
    decode_scene,
    decode_tick,
    decode_twist,
    decode_weights,
)
from roman_moe.wire.topics import GRIPPER_COMMAND, POLICY_ACTION, SCENE, TICK, TWIST_COMMAND

Decoded = TypeVar("Decoded")


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One demonstration of T ticks.

    Attributes:
        meta: its origin.
        states: the scenes, T of them, their stamps increasing.
        answers: what the network should answer to each: actions, (T, a), or weights of the task's skills, (T, k).
        commands: what was sent to the arm, T of them.
        left_out: scenes of the bag without an answer or a command; of a live recording alone.
        weights: of the task's skills that the blender used, (T, k); zeros where the operator gave the action. None, as
            each of those that follow, where it was not recorded.
        policy: what the policy alone would have done, (T, a); NaN where it had no answer.
        drove: whether the operator drove, (T,).
    """

    path: Path
    meta: EpisodeMeta
    states: list[SceneState]
    answers: NDArray[np.float64]
    commands: list[Command]
    left_out: int = 0
    weights: NDArray[np.float64] | None = None
    policy: NDArray[np.float64] | None = None
    drove: NDArray[np.bool_] | None = None

    @property
    def taught(self) -> NDArray[np.bool_]:
        """Which ticks teach, (T,): all, or those in which the operator drove in a policy's place."""
        if self.drove is None or self.policy is None:
            return np.ones(len(self.states), dtype=bool)
        return self.drove


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


def read_episodes(dataset: Path, spec: TaskSpec, network: str) -> list[Episode]:
    """All demonstrations of one network of a task in a dataset folder.

    Raises:
        DemonstrationError: if there is none, or one cannot be used.
    """
    return [read_episode(path, spec, network) for path in episode_folders(dataset, network)]


def read_episode(path: Path, spec: TaskSpec, network: str | None = None) -> Episode:
    """Read one demonstration.

    Args:
        network: which network it must teach; any if None.

    Raises:
        DemonstrationError: if it cannot be read, teaches another network, is of another task, or a message is missing
            or not finite.
    """
    meta, _, topics, left_out = read_ticks(path, spec, network)
    states = _decode(path, SCENE, topics[SCENE], partial(decode_scene, spec))
    for index in range(1, len(states)):
        if states[index].stamp_ns <= states[index - 1].stamp_ns:
            raise DemonstrationError(f"{path}: stamp of {SCENE} {index} is not later than the one before")
    _check_finite(path, SCENE, [state.is_finite() for state in states])
    teachable = [is_teachable(state, meta.network) for state in states]
    if not all(teachable):
        raise DemonstrationError(
            f"{path}: {SCENE} {teachable.index(False)} has an object that {meta.network} observes and that is neither "
            "seen nor remembered"
        )

    topic = answer_topic(meta.network)
    answers = np.array(_decode(path, topic, topics[topic], _answer_decoder(spec, meta.network)))
    _check_finite(path, topic, np.isfinite(answers).all(axis=1).tolist())

    twists = _decode(path, TWIST_COMMAND, topics[TWIST_COMMAND], decode_twist)
    openings = _decode(path, GRIPPER_COMMAND, topics[GRIPPER_COMMAND], decode_gripper)
    stamps = [state.stamp_ns for state in states]
    commands = [command_of(*values) for values in zip(stamps, twists, openings, strict=True)]
    _check_finite(path, TWIST_COMMAND, [command.is_finite() for command in commands])
    ticks = _decode(path, TICK, topics.get(TICK, []), decode_tick)
    if any(tick.skills != spec.skill_names for tick in ticks):
        raise DemonstrationError(f"{path}: {TICK} has other skills: expected {', '.join(spec.skill_names)}")
    policy = _decode(path, POLICY_ACTION, topics.get(POLICY_ACTION, []), _answer_decoder(spec, MONOLITHIC))
    return Episode(
        path,
        meta,
        states,
        answers,
        commands,
        left_out,
        weights=np.array([tick.weights for tick in ticks]) if ticks else None,
        policy=np.array(policy) if policy else None,
        drove=np.array([tick.drove for tick in ticks]) if ticks else None,
    )


def read_ticks(
    path: Path, spec: TaskSpec, network: str | None = None
) -> tuple[EpisodeMeta, dict[str, str], Topics, int]:
    """Origin, custom data, the undecoded messages by relative topic, and how many scenes are left out.

    Raises:
        DemonstrationError: as `read_episode`, but for what the messages hold.
    """
    recording = read_recording(path, spec)
    meta = EpisodeMeta.from_custom_data(recording.custom, spec, path)
    if network is not None and meta.network != network:
        raise DemonstrationError(f"{path}: teaches {meta.network!r}: expected {network!r}")
    return meta, recording.custom, *recording.ticks(meta.network)


def _answer_decoder(spec: TaskSpec, network: str) -> Callable[[Any], NDArray[np.float64]]:
    if network == GATE:
        return partial(decode_weights, skills=spec.skill_names)
    return partial(decode_action, layout=spec.action.layout)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _decode(path: Path, topic: str, found: list[Message], decode: Callable[[Any], Decoded]) -> list[Decoded]:
    decoded = []
    for index, message in enumerate(found):
        where = f"{path}: {topic} {index}"
        try:
            content = typestore().deserialize_cdr(message.data, message.kind)
        except Exception as error:  # damaged bytes make the decoder raise anything
            why = one_line(error) or type(error).__name__
            raise DemonstrationError(f"{where} cannot be decoded as {message.kind}: {why}") from error
        try:
            decoded.append(decode(content))
        except MessageError as error:
            raise DemonstrationError(f"{where}: {error}") from error
    return decoded


def _check_finite(path: Path, topic: str, finite: list[bool]) -> None:
    if not all(finite):
        raise DemonstrationError(f"{path}: {topic} {finite.index(False)} is not finite")
