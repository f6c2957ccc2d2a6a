"""Columns: an episode as arrays with a row a tick, and back; what all converters share.

What a format says besides, such as who recorded it, goes with it as JSON (`describe`), so that an import restores it.
Where nobody knows where an object is, its age is `UNKNOWN_AGE` and its pose zeros: no number is NaN or infinite.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import Command, to_command
from roman_moe.core.config import build
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.files import atomic_folder
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.core.state import NANOSECONDS, SceneState
from roman_moe.demos.dataset import write_spec
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.reader import Episode
from roman_moe.demos.survey import Survey
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.wire.codec import BlenderTick

Columns = dict[str, NDArray[Any]]

ACTION, COMMAND, STAMP = "action", "command", "stamp_ns"
WEIGHTS, POLICY, INTERVENTION = "weights", "policy_action", "intervention"
OPTIONAL = (WEIGHTS, POLICY, INTERVENTION)
"""Columns that an episode may lack; a set has those that all of its episodes have."""

SCENE = (
    *("hand_position", "hand_orientation", "hand_velocity", "hand_angular_velocity", "finger_opening"),
    *("finger_forces", "object_positions", "object_orientations", "object_valid", "object_ages", "flags"),
)
"""Columns of a scene: fields of `SceneState`, each flattened."""

UNKNOWN_AGE = -1.0


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """An episode of another format.

    Attributes:
        name: its folder within the dataset to be.
        meta: its origin.
        columns: of it; of a foreign one without `COMMAND` and `STAMP`.
    """

    name: str
    meta: EpisodeMeta
    columns: Columns


def names_of(spec: TaskSpec, network: str) -> dict[str, tuple[str, ...]]:
    """Names of the numbers of each column."""
    xyz, quaternion = ("x", "y", "z"), ("x", "y", "z", "w")
    objects = spec.object_names
    return {
        "hand_position": xyz,
        "hand_orientation": quaternion,
        "hand_velocity": xyz,
        "hand_angular_velocity": xyz,
        "finger_opening": ("finger_opening",),
        "finger_forces": ("left", "right"),
        "object_positions": tuple(f"{name}.{axis}" for name in objects for axis in xyz),
        "object_orientations": tuple(f"{name}.{axis}" for name in objects for axis in quaternion),
        "object_valid": objects,
        "object_ages": objects,
        "flags": spec.flags,
        ACTION: spec.skill_names if network == GATE else spec.action.layout,
        COMMAND: (*(f"{part}.{axis}" for part in ("linear", "angular") for axis in xyz), "gripper"),
        WEIGHTS: spec.skill_names,
        POLICY: spec.action.layout,
    }


def columns_of(episode: Episode) -> Columns:
    """All columns of an episode: (T, n) numbers, (T,) stamps [ns] and who drove."""
    columns: Columns = {
        name: np.array([np.ravel(getattr(state, name)) for state in episode.states], np.float64) for name in SCENE
    }
    columns["object_ages"][~np.isfinite(columns["object_ages"])] = UNKNOWN_AGE
    for name in ("object_positions", "object_orientations"):
        columns[name] = np.nan_to_num(columns[name], posinf=0.0, neginf=0.0)
    columns[ACTION] = episode.answers
    columns[COMMAND] = np.array([[*command.twist, command.gripper_opening] for command in episode.commands])
    columns[STAMP] = np.array([state.stamp_ns for state in episode.states], np.int64)
    for name, values in ((WEIGHTS, episode.weights), (POLICY, episode.policy), (INTERVENTION, episode.drove)):
        if values is not None:
            columns[name] = values
    return columns


def exported(found: Survey) -> tuple[list[Episode], tuple[str, ...], list[str]]:
    """Episodes that make up one set, the optional columns that all of them have, and what is left out, in words.

    Actions and the gate's weights do not mix: of a dataset with both, the gate's episodes are left out.

    Raises:
        DemonstrationError: if there is none, or their rates differ.
    """
    notes = list(found.damaged.values())
    episodes = [episode for episode in found.episodes if episode.meta.network != GATE] or list(found.episodes)
    if len(episodes) < len(found.episodes):
        notes.append(f"{len(found.episodes) - len(episodes)} episodes of the gate: they answer weights: export {GATE}/")
    if not episodes:
        raise DemonstrationError(f"{found.root}: no episode there that can be read: {'; '.join(notes)}")
    for episode in episodes:
        if episode.meta.rate != episodes[0].meta.rate:
            rates = f"{episode.meta.rate:g} Hz, {found.name(episodes[0])} at {episodes[0].meta.rate:g} Hz"
            raise DemonstrationError(f"{episode.path}: recorded at {rates}: expected one rate")
        if np.abs(episode.answers).max() > 1.0:
            raise DemonstrationError(f"{episode.path}: an action is beyond -1 to 1: it cannot be exported")
    values = {
        name: sum(getattr(episode, field) is not None for episode in episodes)
        for name, field in zip(OPTIONAL, ("weights", "policy", "drove"), strict=True)
    }
    notes += [
        f"{name}: only {n} of {len(episodes)} episodes have it" for name, n in values.items() if 0 < n < len(episodes)
    ]
    return episodes, tuple(name for name, count in values.items() if count == len(episodes)), notes


def describe(found: Survey, episodes: Sequence[Episode]) -> str:
    """What no column says, as JSON: the task, and the name and metadata of each episode."""
    said = [{"episode": found.name(episode), **episode.meta.to_custom_data()} for episode in episodes]
    return json.dumps({"task": found.spec.to_dict(), "episodes": said})


def described(text: str, where: Path) -> tuple[TaskSpec, list[tuple[str, EpisodeMeta]]]:
    """Task, and name and metadata of each episode, of what `describe` wrote.

    Raises:
        DemonstrationError: naming what is wrong with it.
    """
    try:
        content = json.loads(text)
        spec = build(TaskSpec, content["task"], str(where), DemonstrationError)
        pairs = [
            (str(each["episode"]), EpisodeMeta.from_custom_data(each, spec, where)) for each in content["episodes"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DemonstrationError(f"{where}: its description by roman_moe is damaged: {error}") from error
    for name, _ in pairs:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DemonstrationError(f"{where}: episode {name!r}: expected a name within the dataset")
    return spec, pairs


def write_dataset(out: Path, spec: TaskSpec, episodes: Iterator[Converted]) -> int:
    """Write converted episodes as a dataset that is not there yet, and say how many.

    Raises:
        DemonstrationError: if it is there, there is no episode, or one cannot be one of ours.
    """
    if out.exists():
        raise DemonstrationError(f"{out}: exists already: name a folder that is not there")
    count = 0
    with atomic_folder(out) as new:
        write_spec(new, spec)
        for episode in episodes:
            _write(new / episode.name, spec, episode.meta, episode.columns)
            count += 1
        if not count:
            raise DemonstrationError(f"{out}: no episode to write")
    return count


def _write(path: Path, spec: TaskSpec, meta: EpisodeMeta, columns: Columns) -> None:
    stamps, commands = columns.get(STAMP), columns.get(COMMAND)
    opening = float(columns["finger_opening"][0, 0])
    with EpisodeWriter(path, spec, meta.network) as writer:
        for row, action in enumerate(columns[ACTION].astype(np.float64)):
            stamp = round(row * NANOSECONDS / meta.rate) if stamps is None else int(stamps[row])
            scene = scene_of(spec, stamp, {name: columns[name][row].astype(np.float64) for name in SCENE})
            if commands is None:
                command = to_command(spec, stamp, action, opening)
                opening = command.gripper_opening
            else:
                given = commands[row].astype(np.float64)
                command = Command(stamp, given[:3], float(given[6]), given[3:6])
            tick, policy = _tick(spec, columns, row, command), columns.get(POLICY)
            writer.add(scene, action, command, tick, None if policy is None else policy[row].astype(np.float64))
        writer.close(meta)


def _tick(spec: TaskSpec, columns: Columns, row: int, command: Command) -> BlenderTick | None:
    """Who drove and with which weights; the guard's code is in no format but ours."""
    if INTERVENTION not in columns:
        return None
    weights = columns[WEIGHTS][row].astype(np.float64) if WEIGHTS in columns else np.zeros(len(spec.skills))
    return BlenderTick(spec.skill_names, weights, command, 0, bool(columns[INTERVENTION][row]))


def scene_of(spec: TaskSpec, stamp_ns: int, numbers: Mapping[str, NDArray[np.float64]]) -> SceneState:
    ages = numbers["object_ages"]
    return SceneState(
        spec=spec,
        stamp_ns=stamp_ns,
        hand_position=numbers["hand_position"],
        hand_velocity=numbers["hand_velocity"],
        finger_opening=float(numbers["finger_opening"][0]),
        finger_forces=numbers["finger_forces"],
        flags=numbers["flags"] > 0.5,
        hand_orientation=numbers["hand_orientation"],
        hand_angular_velocity=numbers["hand_angular_velocity"],
        object_positions=numbers["object_positions"].reshape(-1, 3),
        object_valid=numbers["object_valid"] > 0.5,
        object_ages=np.where(ages < 0.0, np.inf, ages),
        object_orientations=numbers["object_orientations"].reshape(-1, 4),
    )
