"""The record of one episode of the graph, for drawing it again and plotting its weights.

The lab node writes it as one .npz file when the episode ends, complete or not at all; nothing here needs rclpy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError, one_line
from roman_moe.core.files import atomic_path
from roman_moe.core.state import NANOSECONDS, ObjectPoses

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeRecord:
    """One episode, T control ticks long.

    Attributes:
        start: name of the skill or scenario that it started from.
        seed: of its start and noise.
        outcome: value of `core.outcome.Outcome`: "success", "time_limit" and so on.
        skills: columns of `weights`, in the bundle's order.
        stamps_ns: of the ticks since the episode's start, pauses left out, (T,) [ns]; the first is 0.
        physics_states: MuJoCo's state at each tick's start, (T, n): `World.set_physics_state` takes a row.
        weights: that the gate gave for each tick, held between its runs; zeros before its first, (T, len(skills)).
        commands: that the arm followed during each tick: linear [m/s] and angular velocity [rad/s], then gripper
            opening [m], (T, 7).
        positions: of the objects as cameras had it at each tick, (T, n, 3) [m]; n is 0 without cameras.
        seen: whether they saw each then, (T, n).
        duration_ns: from the start to the outcome, pauses left out [ns].
        held_ticks: ticks for which no command came in time, so that the arm stood still.
        missed_ticks: ticks that the arm was held or the blender blended without all it needed.
        disturbance: kind of the disturbance that it met; "" for none.
        disturbed_ns: stamp at which it met it [ns]; -1 for never.
    """

    start: str
    seed: int
    outcome: str
    skills: tuple[str, ...]
    stamps_ns: NDArray[np.int64]
    physics_states: NDArray[np.float64]
    weights: NDArray[np.float64]
    commands: NDArray[np.float64]
    positions: NDArray[np.float64]
    seen: NDArray[np.bool_]
    duration_ns: int
    held_ticks: int = 0
    missed_ticks: int = 0
    disturbance: str = ""
    disturbed_ns: int = -1

    @property
    def time_s(self) -> float:
        """Time from the start to the outcome [s]."""
        return self.duration_ns / NANOSECONDS

    @property
    def success(self) -> bool:
        """Whether the skill or scenario was solved."""
        return self.outcome == "success"

    def save(self, path: str | Path) -> None:
        """Write the .npz file atomically."""
        content: dict[str, Any] = {
            field.name: np.asarray(getattr(self, field.name)) for field in dataclasses.fields(self)
        }
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **content)

    @classmethod
    def load(cls, path: str | Path) -> EpisodeRecord:
        """Read a file that `save` wrote.

        Raises:
            RomanError: if it is not there or is no episode record.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                content = {field.name: file[field.name] for field in dataclasses.fields(cls)}
        except Exception as error:  # damaged bytes make zipfile, zlib and numpy raise anything
            reason = one_line(error)
            raise RomanError(f"{path}: no readable episode record ({reason}): run the episode again") from error
        arrays = {"stamps_ns", "physics_states", "weights", "commands", "positions", "seen"}
        values = {name: value if name in arrays else value.tolist() for name, value in content.items()}
        return cls(**{**values, "skills": tuple(values["skills"])})


class EpisodeRecorder:
    """Collects an episode tick by tick; weights and poses may come in any order, before or after their tick."""

    def __init__(self, start: str, seed: int, skills: tuple[str, ...], objects: int = 0) -> None:
        self._start, self._seed, self._objects = start, seed, objects
        self._times: list[int] = []  # since the episode's start
        self._stamps: list[int] = []  # on the graph's time base
        self._states: list[NDArray[np.float64]] = []
        self._commands: list[tuple[float, ...]] = []
        self._weights: dict[int, NDArray[np.float64]] = {}
        self._positions: dict[int, NDArray[np.float64]] = {}
        self._seen: dict[int, NDArray[np.bool_]] = {}
        self._skills = skills

    def add_tick(self, time_ns: int, command: Command, physics_state: NDArray[np.float64]) -> None:
        """The arm follows `command` from `physics_state` on, `time_ns` after the episode's start [ns]."""
        self._times.append(time_ns)
        self._stamps.append(command.stamp_ns)
        self._states.append(physics_state)
        self._commands.append((*command.twist.tolist(), command.gripper_opening))

    def add_weights(self, stamp_ns: int, skills: tuple[str, ...], weights: NDArray[np.float64]) -> None:
        """The gate's weights for the scene of this stamp."""
        if skills != self._skills:  # the bundle's own order, known from its first message on
            self._skills = skills
            self._weights.clear()
        self._weights[stamp_ns] = weights

    def add_poses(self, poses: ObjectPoses) -> None:
        """What cameras said of the objects."""
        self._positions[poses.stamp_ns], self._seen[poses.stamp_ns] = poses.positions, poses.valid

    def finish(
        self, outcome: str, duration_ns: int, held_ticks: int, disturbance: str = "", disturbed_ns: int = -1
    ) -> EpisodeRecord:
        """The record; weights and poses of a tick are the last ones of its scene or of an earlier one."""
        ticks, width = len(self._stamps), len(self._states[0]) if self._states else 0
        return EpisodeRecord(
            start=self._start,
            seed=self._seed,
            outcome=outcome,
            skills=self._skills,
            stamps_ns=np.array(self._times, dtype=np.int64),
            physics_states=np.array(self._states, dtype=np.float64).reshape(ticks, width),
            weights=self._held(self._weights, np.zeros(len(self._skills))),
            commands=np.array(self._commands, dtype=np.float64).reshape(ticks, 7),
            positions=self._held(self._positions, np.full((self._objects, 3), np.nan)),
            seen=self._held(self._seen, np.zeros(self._objects, dtype=bool)),
            duration_ns=duration_ns,
            held_ticks=held_ticks,
            missed_ticks=held_ticks,
            disturbance=disturbance,
            disturbed_ns=disturbed_ns,
        )

    def _held(self, found: dict[int, NDArray[T]], before: NDArray[T]) -> NDArray[T]:
        """At each tick the last of what was found by then; `before` if that is nothing."""
        stamps = np.array(sorted(found), dtype=np.int64)
        last = np.searchsorted(stamps, self._stamps, side="right")
        rows = [found[int(stamps[index - 1])] if index > 0 else before for index in last]
        return np.array(rows, dtype=before.dtype).reshape(len(self._stamps), *before.shape)
