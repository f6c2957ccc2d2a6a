"""Evaluation: how often, and how fast, a controller solves scenarios and each skill alone.

The report follows from (controller, starts, episodes, pose sources, channel, seed) alone: neither the number of workers
nor the other starts change an episode.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roman_moe.control.controller import EpisodeController
from roman_moe.control.identity import SCRIPTED, identify
from roman_moe.control.manifest import MANIFEST_NAME
from roman_moe.core.files import version_of
from roman_moe.core.paths import find_shipped
from roman_moe.core.provenance import git_commit
from roman_moe.evaluation.controllers import make_controller
from roman_moe.evaluation.pool import Workers, run_jobs
from roman_moe.evaluation.statistics import summarize
from roman_moe.sim.arm_spec import ARM_FILE
from roman_moe.sim.channel import GOOD_CHANNEL, ChannelQuality
from roman_moe.sim.episode import EpisodeResult, run_episode
from roman_moe.sim.pose_source import PoseSource
from roman_moe.sim.pose_tally import summarize_poses
from roman_moe.sim.registry import naming_place
from roman_moe.sim.streams import episode_seed
from roman_moe.sim.task import SimTask, Start
from roman_moe.sim.world import World


@dataclass(frozen=True, slots=True)
class EpisodeJob:
    """One episode to run in some process.

    Attributes:
        controller: "oracle", or a bundle's folder.
        start: where it begins; a skill's start is left to that skill's expert alone.
        poses: what gives the object poses of its scenes.
        disturbed: whether it meets a disturbance.
        time_limit: after which it ends as lost [s], if that is sooner than the task's own.
        channel: how well its commands get through to the arm.
        arm: name or folder of the simulated arm; the task's own if empty.
    """

    controller: str
    start: Start
    seed: int
    poses: PoseSource
    disturbed: bool = False
    time_limit: float = math.inf
    channel: ChannelQuality = GOOD_CHANNEL
    arm: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What to evaluate.

    Attributes:
        controller: "oracle", or a bundle's folder.
        skills: names of the skills, each alone.
        episodes: per scenario and skill.
        poses: what gives the object poses of its scenes, for the usual keys of the report.
        disturbed: whether all starts are tried again with one disturbance per episode.
        time_limit: after which an episode ends as lost [s], if that is sooner than the task's own.
        channel: how well the commands get through to the arm, in all episodes.
        arm: name or folder of the simulated arm; the task's own if empty.
        variants: other pose sources by their key in the report, by what they vary, such as "noise"; all starts are
            tried with each.
    """

    controller: str
    task: SimTask
    scenarios: Sequence[int]
    skills: Sequence[str]
    episodes: int
    poses: PoseSource
    seed: int
    workers: Workers = 1
    disturbed: bool = False
    time_limit: float = math.inf
    channel: ChannelQuality = GOOD_CHANNEL
    arm: str = ""
    variants: Mapping[str, Mapping[str, PoseSource]] = field(default_factory=dict)

    def starts(self) -> list[Start]:
        """Scenarios first, then skills."""
        return [*map(self.task.start, self.scenarios), *map(self.task.start, self.skills)]

    def conditions(self) -> list[tuple[PoseSource, bool]]:
        """Each pose source once, and whether disturbed; the first is that of the report's usual keys."""
        varied = (poses for sources in self.variants.values() for poses in sources.values())
        again = [(self.poses, True)] if self.disturbed else []
        return [(poses, False) for poses in dict.fromkeys([self.poses, *varied])] + again

    def jobs(self) -> list[EpisodeJob]:
        """All episodes, condition by condition and start by start; the same seeds under every condition."""
        return [
            EpisodeJob(
                self.controller,
                start,
                episode_seed(self.seed, f"evaluate/{start.name}", index),
                poses,
                disturbed,
                self.time_limit,
                self.channel,
                self.arm,
            )
            for poses, disturbed in self.conditions()
            for start in self.starts()
            for index in range(self.episodes)
        ]


def evaluate(
    evaluation: Evaluation, on_result: Callable[[EpisodeResult], None] = lambda result: None
) -> dict[str, Any]:
    """Run an evaluation and report it, ready for JSON.

    Args:
        on_result: called in this process after each episode, in the order in which they end.

    Raises:
        BundleError: if the controller cannot be used.
    """
    name = evaluation.controller  # which it is that runs now, whatever stands there at the end
    identity = {"controller": name} if name in SCRIPTED else identify(name).to_dict()
    jobs = evaluation.jobs()
    results: dict[int, EpisodeResult] = {}
    for index, result in run_jobs(run_job, jobs, evaluation.workers):
        results[index] = result
        on_result(result)
    return {**report(evaluation, [results[index] for index in range(len(jobs))]), **identity}


def report(evaluation: Evaluation, results: Iterable[EpisodeResult]) -> dict[str, Any]:
    """The report of all results, in the order of `Evaluation.jobs`."""
    remaining = iter(results)
    per_condition = len(evaluation.starts()) * evaluation.episodes
    conditions = {
        condition: _summaries(evaluation, list(itertools.islice(remaining, per_condition)))
        for condition in evaluation.conditions()
    }
    content: dict[str, Any] = {
        "controller": evaluation.controller,
        **conditions[evaluation.poses, False],
        "poses": "truth",
        **evaluation.poses.description,
        "task": evaluation.task.spec.name,
        "task_sha256": evaluation.task.spec.digest,
        "sim_arm": evaluation.arm or evaluation.task.arm,
        "delay_ticks": evaluation.channel.delay,
        "lost_share": evaluation.channel.lost_share,
        "seed": evaluation.seed,
        "episodes": evaluation.episodes,
        "git_commit": git_commit(),
    }
    for varied, sources in evaluation.variants.items():
        content[varied] = {key: conditions[poses, False] for key, poses in sources.items()}
    if evaluation.disturbed:
        content["disturbed"] = conditions[evaluation.poses, True]
    return content


def _summaries(evaluation: Evaluation, results: Sequence[EpisodeResult]) -> dict[str, Any]:
    by_start: dict[str, list[EpisodeResult]] = {start.name: [] for start in evaluation.starts()}
    for result in results:
        by_start[result.start].append(result)
    tallies = [result.tally for result in results if result.tally is not None]
    return {
        "scenarios": {str(number): summarize(by_start[f"scenario_{number}"]) for number in evaluation.scenarios},
        "skills": {skill: summarize(by_start[skill]) for skill in evaluation.skills},
        **({"pose_errors": summarize_poses(tallies)} if tallies else {}),
    }


def run_job(job: EpisodeJob) -> EpisodeResult:
    """Run one episode; worlds and controllers are made once a process."""
    task = job.start.task
    controller = _controller(job.controller, task, job.start.skill)
    with naming_place(task.folder):
        return run_episode(
            shared_world(task, controller.control_rate, job.arm, job.poses.shows_markers),
            controller,
            job.start,
            job.seed,
            job.poses,
            job.disturbed,
            job.time_limit,
            job.channel,
        )


def shared_world(task: SimTask, control_rate: float, arm: str = "", markers: bool = False) -> World:
    """This process's world of a task that steps at a controller's rate [Hz].

    Args:
        markers: whether the scene shows the objects' markers.

    Raises:
        RomanError: if that is no whole number of physics steps.
    """
    file = (Path(arm) / ARM_FILE).absolute()
    return _world_of(task, control_rate, arm, markers, file, version_of(file))


@functools.lru_cache(maxsize=2)
def _world_of(task: SimTask, control_rate: float, arm: str, markers: bool, *_: object) -> World:
    return World(task, control_rate, arm, markers)


def _controller(name: str, task: SimTask, skill: str | None) -> EpisodeController:
    """This process's controller of a name, made anew where another file stands there now."""
    path = find_shipped(name).absolute()
    file = path / MANIFEST_NAME if path.is_dir() else path
    return _controller_of(name, task, skill, file, version_of(file))


@functools.lru_cache(maxsize=8)
def _controller_of(name: str, task: SimTask, skill: str | None, *_: object) -> EpisodeController:
    return make_controller(name, task, skill)
