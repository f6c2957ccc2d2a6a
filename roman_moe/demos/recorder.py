"""Recorder: joins what a running graph says, by stamps, into demonstrations of one network; no ROS in here.

A tick is complete when its scene, the answer to it and the command are there. Of each topic messages come in order, so
that whatever an earlier tick lacks when a later one is complete does not come any more.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import Command
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.outcome import Outcome
from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import TASK_FILE, TaskSpec
from roman_moe.core.state import SceneState
from roman_moe.demos.dataset import dataset_spec, write_spec
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.writer import EpisodeWriter

PENDING = 64
"""Incomplete ticks that are kept: a tick's messages come within a few ticks, whatever the machine does."""

T = TypeVar("T")

_NAME = re.compile(r"episode_(\d+)")


class Recorder:
    """Records one episode at a time.

    Args:
        dataset: folder of the demonstrations, made if it is not there.
        spec: of the task.
        network: what is taught: a skill, or "gate".
        rate: scenes per second [Hz].
        source: who gives the demonstrations, such as "operator".

    Attributes:
        kept: how many episodes were kept.
        ticks: of the open episode so far.
        left_out: scenes between the open episode's ticks that lacked an answer or a command, or could not be used.

    Raises:
        DemonstrationError: if there is no such network, or the dataset is of another task or version of it.
    """

    def __init__(self, dataset: Path, spec: TaskSpec, network: str, rate: float, source: str) -> None:
        if network not in spec.networks:
            raise DemonstrationError(f"unknown skill {network!r}: expected one of {', '.join(spec.networks)}")
        if not (dataset / TASK_FILE).exists():
            write_spec(dataset, spec)
        elif dataset_spec(dataset) != spec:
            raise DemonstrationError(
                f"{dataset}: holds demonstrations of another task or version, as its {TASK_FILE} says: record into "
                "another folder"
            )
        self._folder, self._spec = dataset / network, spec
        self._path = self._folder  # of the last episode
        self._meta = EpisodeMeta(
            network=network,
            outcome=Outcome.SUCCESS.value,
            source=source,
            rate=rate,
            task=spec.name,
            task_sha256=spec.digest,
            start=network,
            git_commit=git_commit(),
        )
        self._writer: EpisodeWriter | None = None
        self.kept = 0
        self._forget()

    def _forget(self) -> None:
        self.ticks = self.left_out = 0
        self._last = -1  # stamp of the last tick
        self._scenes: dict[int, SceneState] = {}
        self._answers: dict[int, NDArray[np.float64]] = {}
        self._commands: dict[int, Command] = {}

    @property
    def path(self) -> Path | None:
        """Folder of the open episode; None if there is none."""
        return self._path if self._writer is not None else None

    def start(self) -> Path:
        """Open the next episode, and say its folder.

        Raises:
            DemonstrationError: if one is open.
        """
        if self._writer is not None:
            raise DemonstrationError(f"{self._path}: is being recorded: stop or discard it first")
        there = [int(found[1]) for file in self._folder.glob("*") if (found := _NAME.fullmatch(file.name))]
        self._path = self._folder / f"episode_{max(there, default=-1) + 1:03d}"
        self._forget()
        self._writer = EpisodeWriter(self._path, self._spec, self._meta.network)
        return self._path

    def stop(self) -> str:
        """Keep the open episode, and say what it is.

        Raises:
            DemonstrationError: if none is open, or it has no tick: then it is discarded.
        """
        writer, self._writer = self._opened(), None
        with writer:
            writer.close(self._meta)
        self.kept += 1
        return f"{self._path}: {self.ticks} ticks, {self.left_out} scenes left out"

    def discard(self) -> Path:
        """Drop the open episode, and say its folder.

        Raises:
            DemonstrationError: if none is open.
        """
        self._opened().discard()
        self._writer = None
        return self._path

    def _opened(self) -> EpisodeWriter:
        if self._writer is None:
            raise DemonstrationError("no episode is being recorded: start one")
        return self._writer

    def scene(self, scene: SceneState) -> None:
        """A scene; one that comes again changes nothing."""
        self._take(self._scenes, scene.stamp_ns, scene)

    def answer(self, stamp_ns: int, answer: NDArray[np.float64]) -> None:
        """What the operator answers to the scene of this stamp: an action, (a,), or weights, (k,)."""
        self._take(self._answers, stamp_ns, answer)

    def command(self, command: Command) -> None:
        """What was sent to the arm for the scene of its stamp."""
        self._take(self._commands, command.stamp_ns, command)

    def _take(self, parts: dict[int, T], stamp_ns: int, part: T) -> None:
        if self._writer is None or stamp_ns <= self._last:
            return
        parts.setdefault(stamp_ns, part)
        if all(stamp_ns in found for found in (self._scenes, self._answers, self._commands)):
            self._add(self._writer, stamp_ns)
        elif len(parts) > PENDING:
            del parts[min(parts)]
            self.left_out += bool(self.ticks) and parts is self._scenes

    def _add(self, writer: EpisodeWriter, stamp_ns: int) -> None:
        scene, answer, command = self._scenes[stamp_ns], self._answers[stamp_ns], self._commands[stamp_ns]
        earlier = sum(stamp < stamp_ns for stamp in self._scenes)
        self.left_out += earlier if self.ticks else 0
        for parts in (self._scenes, self._answers, self._commands):
            for stamp in [stamp for stamp in parts if stamp <= stamp_ns]:
                del parts[stamp]
        self._last = stamp_ns
        try:
            writer.add(scene, answer, command)
            self.ticks += 1
        except DemonstrationError:  # an object that is not seen, or an answer that is none
            self.left_out += 1
