"""Recorder: joins what a running graph says, by stamps, into demonstrations of one network; no ROS in here.

A tick is complete when its scene, what the blender made of it, the operator's answer and, where a policy runs, the
policy's are there. Of each topic messages come in order, so that whatever an earlier tick lacks when a later one is
complete does not come any more.

With corrections the policy drives, and the operator takes over now and then. Each correction goes into an episode of
the skill that is corrected, with the few seconds before it and everything after it.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.guard import GuardStatus
from roman_moe.core.errors import DemonstrationError, EpisodeTakenError
from roman_moe.core.outcome import Outcome
from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import GATE, TASK_FILE, TaskSpec
from roman_moe.core.state import NANOSECONDS, SceneState
from roman_moe.demos.dataset import dataset_spec, write_spec
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.unfinished import clean_up
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.wire.codec import BlenderTick, LabTick

PENDING = 64
"""Incomplete ticks that are kept: a tick's messages come within a few ticks, whatever the machine does."""

LEAD_IN = 5.0  # what is kept of the policy's driving before a correction [s]

AT_ONCE = 3
"""Ticks that are written at a time: what was kept from before a correction must not hold up the arm."""

LEAST_RATE = 0.95  # share of its rate below which an episode is refused

Array = NDArray[np.float64]

_NAME = re.compile(r"episode_(\d+)")


@dataclass(eq=False)
class _Open:
    """An episode that is being recorded.

    Attributes:
        stamps: of its ticks [ns].
        excused: stamps at which there was nothing to learn: the arm was stopped, an object was not seen, or the policy
            had no answer [ns].
        left_out: scenes between its ticks that lacked something, or could not be used.
    """

    writer: EpisodeWriter
    path: Path
    network: str
    stamps: list[int] = field(default_factory=list)
    excused: list[int] = field(default_factory=list)
    left_out: int = 0

    def told(self, rate: float) -> tuple[float, str]:
        """Share of its rate [Hz] that it has, and what it is in words."""
        steps = np.diff(self.stamps) / NANOSECONDS
        due = round(float(steps.sum()) * rate) + 1
        share = (len(self.stamps) + sum(stamp < self.stamps[-1] for stamp in self.excused)) / due
        gaps = int((steps > 1.5 / rate).sum())
        longest = f", the longest {steps.max():.2f} s" if gaps else ""
        text = (
            f"{len(self.stamps)} ticks at {share * rate:.1f} Hz, {gaps} gaps{longest}, {self.left_out} scenes left out"
        )
        return share, text


class Recorder:
    """Records one episode at a time; with corrections, one of each skill that is corrected in it.

    Args:
        dataset: folder of the demonstrations, made if it is not there.
        network: what is taught: a skill, or "gate"; with corrections, "" for the skill of the largest weight when the
            operator takes over.
        rate: scenes per second [Hz].
        source: who gives the demonstrations, such as "operator".
        policy: whether a policy runs, and gives its answer to each scene.
        corrects: whether it drives, and the operator corrects it.
        least_rate: share of the rate below which an episode is refused.
        about: further fields of `EpisodeMeta`, such as notes.

    Attributes:
        kept: how many episodes were kept.
        fault: why nothing can be written; empty if it can.

    Raises:
        DemonstrationError: if there is no such network, or the dataset is of another task or version of it.
    """

    def __init__(
        self,
        dataset: Path,
        spec: TaskSpec,
        network: str,
        rate: float,
        source: str,
        *,
        policy: bool = False,
        corrects: bool = False,
        least_rate: float = LEAST_RATE,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        if network not in spec.networks and not (corrects and network == ""):
            raise DemonstrationError(f"unknown skill {network!r}: expected one of {', '.join(spec.networks)}")
        if not (dataset / TASK_FILE).exists():
            write_spec(dataset, spec)
        elif dataset_spec(dataset) != spec:
            raise DemonstrationError(
                f"{dataset}: holds demonstrations of another task or version, as its {TASK_FILE} says: record into "
                "another folder"
            )
        clean_up(dataset)
        self._folder, self._spec, self._network, self._rate = dataset, spec, network, rate
        self._corrects, self._least = corrects, least_rate
        self._meta = EpisodeMeta(
            network=network,
            outcome=Outcome.SUCCESS.value,
            source=source,
            rate=rate,
            task=spec.name,
            task_sha256=spec.digest,
            git_commit=git_commit(),
            **(about or {}),
        )
        self._parts: dict[str, dict[int, Any]] = {"scene": {}, "tick": {}, "answer": {}}
        if policy:
            self._parts["policy"] = {}
        self.recording = False
        self.kept = 0
        self.fault = ""
        self._lab: tuple[list[LabTick], list[LabTick]] = [], []  # of a lab's episode before the last, and of the last
        self._leads = ""  # skill of the policy's largest weight, when it last drove
        self._episodes: list[_Open] = []  # the last of them is being written
        self._forget()

    def _forget(self) -> None:
        self._episodes = []
        self._last = self._newest = -1  # stamps of the last tick, and of the newest scene
        self._drove = False
        self._waiting: deque[tuple[int, tuple[Any, ...]]] = deque()  # to be written, with stamps
        for parts in self._parts.values():
            parts.clear()

    @property
    def path(self) -> Path | None:
        """Folder of the open episode; of the dataset until a correction says which; None if there is none."""
        return (self._episodes[-1].path if self._episodes else self._folder) if self.recording else None

    @property
    def ticks(self) -> int:
        return sum(len(episode.stamps) for episode in self._episodes)

    def start(self, since: int = 0) -> Path:
        """Begin the next episode, and say its folder.

        Args:
            since: earliest stamp that is of it [ns].

        Raises:
            DemonstrationError: if one is open, or the folder cannot be written.
        """
        if self.recording:
            raise DemonstrationError(f"{self.path}: is being recorded: stop or discard it first")
        self._forget()
        self._last = since - 1
        if not self._corrects:
            self._open(self._network)
        self.recording = True
        return self.path or self._folder

    def _open(self, network: str) -> None:
        """The next episode of a network that no other recorder has."""
        folder = self._folder / network
        there = [int(found[1]) for file in folder.glob("*") if (found := _NAME.fullmatch(file.name))]
        for number in itertools.count(max(there, default=-1) + 1):
            path = folder / f"episode_{number:03d}"
            with suppress(EpisodeTakenError), self._disk():
                writer = EpisodeWriter(path, self._spec, network, clock=lambda: 0)  # stamps are the wall clock's
                self._episodes.append(_Open(writer, path, network))
                return

    def stop(self, **origin: Any) -> str:
        """Keep the open episode, and say what it is.

        Args:
            origin: fields of `EpisodeMeta`; if not given, its outcome is a success, and its start the network's name.

        Raises:
            DemonstrationError: if none is open, it has no tick or too few, or cannot be written: then it is discarded.
        """
        self._check_open()
        self._write(len(self._waiting))
        self.recording = False
        if not self._episodes:
            raise DemonstrationError("no correction was made: nothing is kept")
        kept, refused = [], []
        while self._episodes:
            episode = self._episodes.pop(0)
            try:
                kept.append(self._close(episode, {"start": episode.network, **origin}))
                self.kept += 1
            except DemonstrationError as error:
                refused.append(str(error))
            finally:
                episode.writer.discard()
        if refused:
            raise DemonstrationError("; ".join([*refused, *(f"kept {text}" for text in kept)]))
        return "; ".join(kept)

    def _close(self, episode: _Open, origin: dict[str, Any]) -> str:
        share, text = episode.told(self._rate) if episode.stamps else (1.0, "")
        if share < self._least:
            raise DemonstrationError(
                f"{episode.path}: {text}: expected {self._least * self._rate:g} Hz at least: not kept; end what else "
                "this machine does, and record it again"
            )
        with self._disk():
            for tick in self._lab_ticks():
                episode.writer.add_lab_tick(tick)
            episode.writer.close(replace(self._meta, network=episode.network, **origin))
        return f"{episode.path}: {text}"

    def _lab_ticks(self) -> list[LabTick]:
        """Of the lab's episode that was recorded: of the last that began before the last tick."""
        return next((run for run in reversed(self._lab) if run and run[0].command.stamp_ns <= self._last), [])

    def discard(self) -> Path:
        """Drop the open episode, and say its folder.

        Raises:
            DemonstrationError: if none is open.
        """
        self._check_open()
        path = self.path or self._folder
        self._drop()
        return path

    def _drop(self) -> None:
        while self._episodes:
            self._episodes.pop().writer.discard()
        self.recording = False

    def _check_open(self) -> None:
        if not self.recording:
            raise DemonstrationError("no episode is being recorded: start one")

    def scene(self, scene: SceneState) -> None:
        """A scene; one that comes again changes nothing.

        Raises:
            DemonstrationError: as `tick`, or if the clock went back: the open episode is discarded.
        """
        if self.recording and scene.stamp_ns < self._newest:
            path, back = self.path, (self._newest - scene.stamp_ns) / NANOSECONDS
            self._drop()
            raise DemonstrationError(f"{path}: the clock went back by {back:.3f} s: discarded; record it again")
        self._newest = max(self._newest, scene.stamp_ns)
        self._take("scene", scene.stamp_ns, scene)

    def answer(self, stamp_ns: int, answer: Array) -> None:
        """What the operator answers to the scene of this stamp: an action, (a,), or weights, (k,). Raises as `tick`."""
        self._take("answer", stamp_ns, answer)

    def policy(self, stamp_ns: int, action: Array) -> None:
        """What the policy alone would do at the scene of this stamp, (a,); NaN if it has no answer. See `tick`."""
        self._take("policy", stamp_ns, action)

    def tick(self, tick: BlenderTick) -> None:
        """What the blender made of the scene of its stamp.

        Raises:
            DemonstrationError: if it cannot be written, such as to a full disk: the open episode is discarded.
        """
        if tick.weights.any() and not tick.drove:
            self._leads = tick.skills[int(np.argmax(tick.weights))]
        self._take("tick", tick.command.stamp_ns, tick)

    def lab_tick(self, tick: LabTick) -> None:
        """What a lab's arm followed; kept from the beginning of the lab's episode on, so that it can be replayed."""
        if tick.number == 0:
            self._lab = self._lab[1], []
        self._lab[1].append(tick)

    def image(self, camera: str, stamp_ns: int, data: bytes) -> None:
        """An image of a camera, a serialized CompressedImage. Raises as `tick`."""
        if self.recording:
            self._waiting.append((stamp_ns, (camera, stamp_ns, data)))
            self._write(AT_ONCE)

    def _take(self, kind: str, stamp_ns: int, part: Any) -> None:
        if not self.recording or stamp_ns <= self._last:
            return
        parts = self._parts[kind]
        parts.setdefault(stamp_ns, part)
        tick: BlenderTick | None = self._parts["tick"].get(stamp_ns)
        needed = [kind for kind in self._parts if kind != "answer" or (tick and tick.drove)]
        if tick is not None and all(stamp_ns in self._parts[kind] for kind in needed):
            self._complete(stamp_ns, tick)
        elif len(parts) > PENDING:
            del parts[min(parts)]
            self._leave_out(kind == "scene")

    def _leave_out(self, scenes: int) -> None:
        if self._episodes and self._episodes[-1].stamps:
            self._episodes[-1].left_out += scenes

    def _complete(self, stamp_ns: int, tick: BlenderTick) -> None:
        self._leave_out(sum(stamp < stamp_ns for stamp in self._parts["scene"]))
        scene, answer, policy = (self._parts.get(kind, {}).get(stamp_ns) for kind in ("scene", "answer", "policy"))
        for parts in self._parts.values():
            for stamp in [stamp for stamp in parts if stamp <= stamp_ns]:
                del parts[stamp]
        self._last = stamp_ns
        if not tick.drove:  # an operator's answer that came too late has moved nothing
            answer = None if not self._corrects else tick.weights if self._network == GATE else policy
        begins, self._drove = tick.drove and not self._drove, tick.drove
        if self._corrects and begins:
            self._begin_correction()
        if tick.guard == GuardStatus.STOPPED:  # the operator has stopped the arm: nothing is shown
            answer = None
        elif answer is None:  # the operator does not drive
            self._leave_out(1)
            return
        self._waiting.append((stamp_ns, (scene, answer, tick.command, tick, policy)))
        self._write(AT_ONCE)

    def _begin_correction(self) -> None:
        network = self._network or self._leads
        if not network:
            raise DemonstrationError(
                "the operator drove before any skill led: hand back (h) first, or name it (--skill)"
            )
        if not self._episodes or self._episodes[-1].network != network:
            self._write(len(self._waiting))
            self._open(network)

    def _write(self, most: int) -> None:
        """Write so many of what waits; until a correction says where to, keep the latest."""
        while not self._episodes and self._waiting and self._last - self._waiting[0][0] > LEAD_IN * NANOSECONDS:
            self._waiting.popleft()
        while self._episodes and self._waiting and most:
            most -= 1
            self._write_one(self._episodes[-1], self._waiting.popleft()[1])

    def _write_one(self, episode: _Open, what: tuple[Any, ...]) -> None:
        with self._disk():
            if len(what) == 3:
                episode.writer.add_image(*what)
                return
            scene, answer, *_, tick, _ = what
            if answer is None or (not tick.drove and not np.isfinite(answer).all()):
                episode.excused.append(scene.stamp_ns)
                return
            try:
                episode.writer.add(*what)
                episode.stamps.append(scene.stamp_ns)
            except DemonstrationError:  # an object that is not seen, or an answer that is none
                episode.left_out += 1
                episode.excused.append(scene.stamp_ns)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """What cannot be written ends the open episode, in one line."""
        try:
            yield
        except OSError as error:
            self._drop()
            self.fault = (
                f"{self._folder}: cannot be written: {error.strerror}: recording has ended; all {self.kept} episodes "
                "that were kept are whole"
            )
            raise DemonstrationError(self.fault) from error
