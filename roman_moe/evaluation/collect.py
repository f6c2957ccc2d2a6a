"""Collection: the oracle, or the scripted operator, gives demonstrations of every skill and of the gate, reproducible
from one seed.

The oracle acts on the true state; the recorded scene has the pose source's errors. Ticks at which the taught network
would not answer are left out: an object that it observes is then neither seen nor remembered. Optionally short bursts
disturb what is executed, while the recorded answer stays the oracle's own. Demonstrations then show the way back from
mistakes. (DART: Laskey et al., "Noise injection for robust imitation learning", CoRL 2017.) Some are given over a poor
channel: there the hand now and then holds for no reason, so its velocity does not tell what comes next. Only solved
episodes are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.controller import ControlStep, EpisodeController
from roman_moe.control.identity import KEYBOARD, ORACLE
from roman_moe.core.errors import ConfigError, DemonstrationError
from roman_moe.core.files import move, scratch_folder
from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import GATE, MONOLITHIC, TASK_FILE
from roman_moe.core.spec_parts import ActionSpec
from roman_moe.core.state import SceneState
from roman_moe.demos.dataset import dataset_spec, write_spec
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.teachable import is_teachable
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.evaluation.controllers import make_controller
from roman_moe.evaluation.corrections import Corrector
from roman_moe.evaluation.evaluate import shared_world
from roman_moe.evaluation.pool import Workers, run_jobs
from roman_moe.sim.channel import GOOD_CHANNEL, POOR_CHANNEL, ChannelQuality
from roman_moe.sim.episode import EpisodeResult, run_episode
from roman_moe.sim.pose_source import PoseSource
from roman_moe.sim.registry import naming_place
from roman_moe.sim.streams import PERTURBATION_STREAM, episode_seed, falls_on, generator
from roman_moe.sim.task import SimTask, Start
from roman_moe.wire.codec import BlenderTick

BURST_TICKS = 8
"""Length of one disturbance [ticks]: long enough to move the hand by centimetres, short enough to see the way back."""
BURST_SHARE = 0.2  # share of all ticks that are disturbed
NOT_SEEN = "not_seen"  # outcome of a solved episode at no tick of which there was anything to learn
MOST_ATTEMPTS = 3
"""Attempts per wanted episode before collection gives up; times ten of corrections, which not every episode needs."""
NOT_NEEDED = "not_needed"
"""Outcome of a solved episode in which the operator had nothing to correct."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What to collect.

    Attributes:
        out: folder of the dataset; one subfolder a network.
        episodes: kept per skill.
        gate_episodes: kept per scenario, for the gate.
        poses: what gives the object poses of the recorded scenes.
        perturbation: standard deviation of the bursts, in units of a full action; 0 for none.
        disturbed_share: of the attempts that meet a disturbance.
        poor_channel_share: of the attempts whose commands come late or get lost (`sim.channel.POOR_CHANNEL`).
        monolithic: whether all episodes are to teach one network for the whole task, in place of skills and gate.
        source: who gives them: "oracle" or "keyboard".
        skills: that are demonstrated; all, if none.
        intervene: bundle whose experts drive until the operator at the keys takes over; none if empty.

    Raises:
        ConfigError: if an oracle is to intervene, or corrections are to teach the gate.
    """

    task: SimTask
    out: Path
    episodes: int
    gate_episodes: int
    poses: PoseSource
    perturbation: float
    disturbed_share: float
    poor_channel_share: float
    seed: int
    workers: Workers = 1
    monolithic: bool = False
    source: str = ORACLE
    skills: Sequence[str] = ()
    intervene: str = ""

    def __post_init__(self) -> None:
        if self.intervene and (self.source != KEYBOARD or self.gate_episodes):
            raise ConfigError(
                "--intervene: only valid with --source keyboard and --gate-episodes 0: it corrects experts"
            )


@dataclass(frozen=True, slots=True)
class DemonstrationJob:
    """One attempt at a demonstration."""

    collection: Collection
    path: Path
    network: str
    start: Start
    seed: int
    disturbed: bool
    channel: ChannelQuality
    git_commit: str


@dataclass(frozen=True, slots=True)
class Group:
    """Demonstrations of one network from one start."""

    network: str
    start: Start
    wanted: int

    def attempt(self, collection: Collection, index: int, commit: str) -> DemonstrationJob:
        """Attempt `index`; its episode carries that number, so a failed one leaves a gap."""
        poor = falls_on(index // 2, collection.poor_channel_share)  # // 2: with and without a disturbance
        prefix = "" if self.network == self.start.name else f"{self.start.name}_"
        return DemonstrationJob(
            collection=collection,
            path=collection.out / self.network / f"{prefix}episode_{index:03d}",
            network=self.network,
            start=self.start,
            seed=episode_seed(collection.seed, f"collect/{self.start.name}", index),
            disturbed=falls_on(index, collection.disturbed_share),
            channel=POOR_CHANNEL if poor else GOOD_CHANNEL,
            git_commit=commit,
        )


def groups(collection: Collection) -> list[Group]:
    task, whole = collection.task, collection.monolithic
    skills = [
        Group(MONOLITHIC if whole else skill, task.start(skill), collection.episodes)
        for skill in collection.skills or task.spec.skills
    ]
    gate = MONOLITHIC if whole else GATE
    numbers = range(len(task.spec.scenarios))
    scenarios = [Group(gate, task.start(number), collection.gate_episodes) for number in numbers]
    return [group for group in (*skills, *scenarios) if group.wanted > 0]


def collect(
    collection: Collection, on_result: Callable[[EpisodeResult], None] = lambda result: None
) -> dict[str, dict[str, Any]]:
    """Record the demonstrations and return, per start, how many were kept, and the failed attempts' outcomes and seeds.

    They are in the folder when all of them are there: one that is cut off leaves it as it was.

    Args:
        on_result: called in this process after each attempt, in the order in which they end.

    Raises:
        DemonstrationError: if the folder holds demonstrations already, or the oracle fails too often.
        NotMovedError: if the demonstrations cannot be moved into the folder; they are kept.
    """
    wanted = groups(collection)
    if (collection.out / TASK_FILE).exists() and dataset_spec(collection.out) != collection.task.spec:
        raise DemonstrationError(
            f"{collection.out}: holds demonstrations of another task or version, as its {TASK_FILE} says: collect into "
            "another folder"
        )
    for network in {group.network for group in wanted}:
        if (collection.out / network).exists():
            raise DemonstrationError(
                f"{collection.out / network}: exists already: remove it or collect into another folder"
            )
    # A folder that exists may be a mount point, and a link may lead elsewhere: only within it is a move a rename.
    out = collection.out.resolve()
    with scratch_folder(out if out.exists() else out.parent, out.name) as scratch:
        new = scratch / "new"
        new.mkdir()
        write_spec(new, collection.task.spec)
        kept = _collect(replace(collection, out=new), wanted, on_result)
        if out.exists():  # with demonstrations of other networks
            for folder in sorted(new.iterdir()):
                move(folder, out / folder.name, kept=new)
        else:
            move(new, out, kept=new)
    return kept


def _collect(
    collection: Collection, wanted: Sequence[Group], on_result: Callable[[EpisodeResult], None]
) -> dict[str, dict[str, Any]]:
    commit = git_commit()
    kept = dict.fromkeys(wanted, 0)
    tried = dict.fromkeys(wanted, 0)
    failures: dict[Group, list[tuple[str, int]]] = {group: [] for group in wanted}  # outcome and seed of each
    # Each round tries what is still missing: which attempts run does not depend on which worker is faster.
    while missing := [group for group in wanted if kept[group] < group.wanted]:
        attempts = [(group, tried[group] + more) for group in missing for more in range(group.wanted - kept[group])]
        for group, index in attempts:
            if index >= MOST_ATTEMPTS * (10 if collection.intervene else 1) * group.wanted:
                raise DemonstrationError(
                    f"{group.start.name}: the {collection.source} solved {kept[group]} of {tried[group]} attempts: too "
                    f"few for {group.wanted} demonstrations; lower the perturbation or the share of poor channels"
                )
            tried[group] += 1
        jobs = [group.attempt(collection, index, commit) for group, index in attempts]
        for number, result in run_jobs(demonstrate, jobs, collection.workers):
            group = attempts[number][0]
            if result.success:
                kept[group] += 1
            else:
                failures[group].append((result.outcome, result.seed))
            on_result(result)
    return {
        f"{group.network}/{group.start.name}": {
            "kept": kept[group],
            "failed": [outcome for outcome, _ in sorted(failures[group])],
            "failed_seeds": [seed for _, seed in sorted(failures[group])],
        }
        for group in wanted
    }


def demonstrate(job: DemonstrationJob) -> EpisodeResult:
    """Run one attempt and keep it if it was solved."""
    task, wanted = job.start.task, job.collection
    driver = make_controller(wanted.intervene or wanted.source, task, job.start.skill)
    corrector = Corrector(driver, task, job.network) if wanted.intervene else None
    controller = corrector or driver
    if wanted.perturbation > 0.0:
        rng = generator(job.seed, PERTURBATION_STREAM)
        controller = PerturbedController(controller, task.spec.action, wanted.perturbation, rng)
    with naming_place(task.folder), EpisodeWriter(job.path, task.spec, job.network, anew=True) as writer:
        corrected: list[bool] = []

        def record(scene: SceneState, step: ControlStep) -> None:
            if is_teachable(scene, job.network):
                answer = step.weights if job.network == GATE else step.action
                if corrector is None:
                    writer.add(scene, answer, step.command)
                    return
                corrected.append(corrector.drove)
                tick = BlenderTick(corrector.skills, step.weights, step.command, 0, corrector.drove)
                writer.add(scene, answer, step.command, tick, corrector.policy)

        result = run_episode(
            shared_world(task, controller.control_rate, markers=wanted.poses.shows_markers),
            controller,
            job.start,
            job.seed,
            wanted.poses,
            job.disturbed,
            channel=job.channel,
            on_tick=record,
        )
        if result.success and not writer.ticks:
            return replace(result, outcome=NOT_SEEN)
        if result.success and corrector is not None and not any(corrected):
            return replace(result, outcome=NOT_NEEDED)
        if result.success:
            writer.close(
                EpisodeMeta(
                    network=job.network,
                    task=task.spec.name,
                    task_sha256=task.spec.digest,
                    start=job.start.name,
                    outcome=result.outcome,
                    source=wanted.source,
                    **_noise(wanted.poses),
                    perturbation=wanted.perturbation,
                    disturbance=result.disturbance,
                    delay=job.channel.delay,
                    lost_share=job.channel.lost_share,
                    seed=job.seed,
                    rate=controller.control_rate,
                    git_commit=job.git_commit,
                )
            )
    return result


def _noise(poses: PoseSource) -> dict[str, Any]:
    """What an episode says of its poses' errors; behind a filter the noise has no level."""
    said = poses.description
    if "poses" in said:
        return {"noise_kind": said["poses"]}
    return {"noise_bound": said["noise_bound_m"], "noise_kind": said["noise_kind"]}


class PerturbedController:
    """Answers as the controller it wraps; what is executed is disturbed in bursts. Gripper targets are left alone.

    Args:
        controller: whose answers are recorded.
        deviation: standard deviation of a burst along each axis, in units of a full action.
    """

    def __init__(
        self, controller: EpisodeController, action: ActionSpec, deviation: float, rng: np.random.Generator
    ) -> None:
        self._controller = controller
        self._top = np.array([action.top_speed] * 3 + [action.top_angular_speed] * len(action.angular))
        self._axes = [0, 1, 2, *(3 + index for index in action.angular_indices)]
        self._bursts = bursts(deviation * self._top, rng)
        self.skills, self.control_rate = controller.skills, controller.control_rate
        self.reads_truth = controller.reads_truth

    def reset(self) -> None:
        self._controller.reset()

    def step(self, state: SceneState) -> ControlStep:
        step = self._controller.step(state)
        twist = step.command.twist
        twist[self._axes] = np.clip(twist[self._axes] + next(self._bursts), -self._top, self._top)
        return replace(step, command=replace(step.command, linear_velocity=twist[:3], angular_velocity=twist[3:]))


def bursts(deviation: NDArray[np.float64], rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Offsets of the twist's axes, (n,) a tick: zeros, and bursts of one constant offset of these deviations."""
    begin = BURST_SHARE / BURST_TICKS / (1.0 - BURST_SHARE)
    while True:
        if rng.random() < begin:
            offset = rng.normal(scale=deviation)
            for _ in range(BURST_TICKS):
                yield offset
        else:
            yield np.zeros(len(deviation))
