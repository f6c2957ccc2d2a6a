"""The training of one network: warm start, reinforcement, checkpoints kept by what they solve, and resuming.

At every checkpoint all episodes in progress are dropped and new ones begin from a seed of their own. So a run that is
taken up at a checkpoint is the same run, number for number, as one that was never cut off.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import math
import tempfile
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from roman_moe.control.bundle_writer import write_bundle
from roman_moe.control.rates import Rates
from roman_moe.core.errors import ConfigError, DemonstrationError, one_line
from roman_moe.core.features import feature_layout
from roman_moe.core.files import alone_in, write_file, write_json
from roman_moe.core.spec import GATE, MONOLITHIC, TaskSpec
from roman_moe.demos.reader import Episode, read_episodes
from roman_moe.evaluation.evaluate import EpisodeJob, run_job
from roman_moe.evaluation.pool import Workers, cores_here, run_jobs
from roman_moe.evaluation.statistics import summarize
from roman_moe.learning.algorithms import bc
from roman_moe.learning.algorithms.ppo import HybridPPO
from roman_moe.learning.algorithms.training_envs import ExpertEnvs, GateEnvs, TrainingEnvs, training_env
from roman_moe.learning.demonstration_sets import Demonstrations, DemonstrationSet, mixed_samples, sets_of
from roman_moe.learning.export import expert_of, policy_content
from roman_moe.learning.policies.mlp import MLPPolicy
from roman_moe.learning.recipes.hybrid import HybridNetworkRecipe
from roman_moe.learning.runs.distillation import distilled, load_prior
from roman_moe.learning.samples import Samples, samples_of
from roman_moe.sim.episode import EpisodeResult
from roman_moe.sim.streams import episode_seed, falls_on
from roman_moe.sim.task import SimTask, Start

CHECKPOINT = "checkpoint.pt"
PROGRESS = "progress.json"
CURVE = "curve.json"


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One network to train.

    Attributes:
        network: skill, or "gate".
        demonstrations: dataset folder, or sets with weights.
        workers: cores that it may use here, or a cluster for its validation.
        steps_limit: stop, unfinished, at the first checkpoint after so many environment steps; for tests.
        base: bundle whose network the training starts from; None for other weights.
        prior: folder of a Distral policy whose prior it starts from; random weights if both are None.
    """

    task: SimTask
    run: Path
    network: str
    recipe: HybridNetworkRecipe
    rates: Rates
    demonstrations: Demonstrations
    seed: int
    workers: Workers = 1
    steps_limit: float = math.inf
    base: Path | None = None
    prior: Path | None = None

    @property
    def spec(self) -> TaskSpec:
        return self.task.spec

    @property
    def folder(self) -> Path:
        return self.run / self.network

    @property
    def starts(self) -> list[Start]:
        """Where its episodes begin: the skill's own starts, or the recipe's scenarios for what does the whole task."""
        if self.network in self.spec.skills:
            return [self.task.start(self.network)]
        return [self.task.start(n) for n in self.recipe.reinforcement.scenarios or range(len(self.spec.scenarios))]

    def stream(self, *purpose: int) -> int:
        """A seed for one use, of this network alone."""
        sequence = np.random.SeedSequence([self.seed, zlib.crc32(self.network.encode()), *purpose])
        return int(sequence.generate_state(1)[0])


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """A network's last checkpoint; None if there is none yet.

    Raises:
        ConfigError: if the file cannot be read or is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch itself compares no checksum
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")
        content: dict[str, Any] = torch.load(path, weights_only=True)
    except Exception as error:  # zipfile and torch raise anything on damaged bytes
        raise ConfigError(f"{path}: cannot be read: {one_line(error)}: train it again") from error
    return content


def load_best(spec: TaskSpec, folder: Path) -> MLPPolicy:
    """The best policy so far of a task's network in `folder`.

    Raises:
        ConfigError: if there is none yet.
    """
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        raise ConfigError(f"{folder}: no checkpoint yet: train this network first")
    policy = MLPPolicy(spec, folder.name, checkpoint["hidden"], checkpoint["near_scales"], k=checkpoint.get("k", 0))
    policy.load_state_dict(checkpoint["best"])
    return policy.eval().requires_grad_(False)


def finished(rows: Sequence[dict[str, Any]], recipe: HybridNetworkRecipe) -> bool:
    """Whether a network's training is over: all steps are done, or it has solved everything often enough in a row."""
    enough = recipe.validation.enough
    last = [row["success"] for row in rows[-enough:]] if enough else []
    solved_all = len(last) == enough > 0 and min(last) == 1.0
    return rows[-1]["steps"] >= recipe.ppo.steps or solved_all


def demonstrated(job: TrainingJob) -> Samples:
    """Samples of the first demonstrations of each start, as many as the recipe says.

    Raises:
        DemonstrationError: if there are fewer.
        ConfigError: if they are too few for the cloning term.
    """
    sets = sets_of(job.demonstrations)
    samples = mixed_samples(
        [samples_of(job.spec, job.network, _episodes(job, each), job.rates) for each in sets],
        [each.weight for each in sets],
    )
    cloning, count = job.recipe.cloning, len(samples.observations)
    shown = cloning.epochs * count
    if job.recipe.ppo.steps and cloning.strength and cloning.epochs and not round(shown / cloning.batch_size):
        raise ConfigError(
            f"{job.network}: cloning.batch_size is {cloning.batch_size}: expected at most {shown:g}, cloning.epochs x "
            f"{count} demonstrated samples: the cloning term would never be trained"
        )
    return samples


def _episodes(job: TrainingJob, each: DemonstrationSet) -> list[Episode]:
    episodes = read_episodes(each.dataset, job.spec, job.network)
    if each.whole or job.network == MONOLITHIC:  # the latter are collected for it alone
        return list(episodes)
    wanted = job.recipe.demonstrations
    by_start: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_start.setdefault(episode.meta.start, []).append(episode)
    for start in dict.fromkeys([*by_start, *(start.name for start in job.starts)]):
        found = by_start.get(start, [])
        if len(found) < wanted:
            raise DemonstrationError(
                f"{each.dataset / job.network}: {len(found)} demonstrations of {start}: the recipe wants {wanted}"
            )
    return [episode for found in by_start.values() for episode in found[:wanted]]


def train_network(job: TrainingJob) -> dict[str, Any]:
    """Train one network, from where its last checkpoint left it; answers the last row of its curve.

    Raises:
        DemonstrationError: if the demonstrations cannot be used.
        DivergedError: if training diverges; the last good checkpoint stays.
    """
    torch.set_num_threads(1)  # these networks are too small to share
    with alone_in(job.folder):
        return _Trainer(job).run()


class _Trainer:
    def __init__(self, job: TrainingJob) -> None:
        self._job = job
        self._samples = demonstrated(job)
        skills = job.spec.skills if job.network == GATE else ()
        self._experts = [load_best(job.spec, job.run / skill) for skill in skills]
        self._rows: list[dict[str, Any]] = []
        self._best: dict[str, Any] = {}
        self._seconds = 0.0

    def run(self) -> dict[str, Any]:
        job, recipe = self._job, self._job.recipe
        began = time.monotonic()
        checkpoint = load_checkpoint(job.folder)
        policy = self._new_policy(begins=checkpoint is None)
        self._envs = self._make_envs()
        learner = HybridPPO(policy, self._envs, recipe, self._samples, job.stream(1))
        if checkpoint is not None:
            learner.load_state(checkpoint["learner"])
            self._rows, self._best = checkpoint["rows"], checkpoint["best"]
            self._seconds = checkpoint["rows"][-1]["seconds"]
        # What an interrupted run logged after its last checkpoint will be logged again.
        self._writer = SummaryWriter(str(job.run / "tensorboard" / job.network), purge_step=learner.steps + 1)
        try:
            if checkpoint is None:
                self._seconds = time.monotonic() - began
                self._check(learner, {})
            while not finished(self._rows, recipe) and learner.steps < job.steps_limit:
                self._stretch(learner)
        finally:
            self._writer.close()
            self._envs.close()
        self._progress(learner, {}, done=finished(self._rows, recipe))
        return self._rows[-1]

    def _stretch(self, learner: HybridPPO) -> None:
        """From one checkpoint to the next."""
        began, recipe = time.monotonic(), self._job.recipe
        before = self._seconds
        learner.begin(self._job.stream(2, learner.updates))
        logs: list[dict[str, float]] = []
        for _ in range(recipe.validation.updates):
            if learner.steps >= recipe.ppo.steps:
                break
            logs.append(learner.update())
            self._seconds = before + time.monotonic() - began
            for name, value in logs[-1].items():
                self._writer.add_scalar(name, value, learner.steps)
            self._progress(learner, logs[-1])
        self._check(learner, _means(logs))
        self._seconds = before + time.monotonic() - began
        self._rows[-1]["seconds"] = self._seconds
        self._save(learner)

    def _check(self, learner: HybridPPO, log: dict[str, float]) -> None:
        """Judge the policy by what it solves, keep it if it is as good as the best, and save."""
        results, ticks = self._validate(learner.policy)
        summary = summarize(results)
        row = {
            "steps": learner.steps,
            "validation_steps": ticks + (self._rows[-1]["validation_steps"] if self._rows else 0),
            "seconds": self._seconds,
            "success": summary["rate"],
            "ci95": summary["ci95"],
            "median_time_s": summary["median_time_s"],
            "failures": summary["failures"],
            **log,
        }
        # The later of two that solve as much: it has learned from more episodes.
        if not self._rows or row["success"] >= max(r["success"] for r in self._rows):
            self._best = {key: value.clone() for key, value in learner.policy.state_dict().items()}
        self._rows.append(row)
        self._writer.add_scalar("validation/success", row["success"], learner.steps)
        self._save(learner)
        self._progress(learner, log)

    def _save(self, learner: HybridPPO) -> None:
        network = self._job.recipe.clone
        content = {
            "learner": learner.state(),
            "rows": self._rows,
            "best": self._best,
            "hidden": list(network.hidden),
            "near_scales": list(network.near_scales),
            "k": learner.policy.k,
        }
        buffer = io.BytesIO()  # to a full disk, torch's own file raises something that says nothing
        torch.save(content, buffer)
        write_file(self._job.folder / CHECKPOINT, buffer.getvalue())
        write_json(self._job.folder / CURVE, self._rows)

    def _progress(self, learner: HybridPPO, log: dict[str, float], done: bool = False) -> None:
        """Where the training stands, for whoever watches."""
        rate = learner.steps / self._seconds if self._seconds else 0.0
        write_json(
            self._job.folder / PROGRESS,
            {
                "checkpoints": len(self._rows),
                "steps": learner.steps,
                "of": self._job.recipe.ppo.steps,
                "steps_per_s": round(rate, 1),
                "success": self._rows[-1]["success"],
                "best": max(row["success"] for row in self._rows),
                "imitation_reward": log.get("rollout/imitation_reward"),
                "extrinsic_reward": log.get("rollout/extrinsic_reward"),
                "done": done,
            },
        )

    def _new_policy(self, begins: bool) -> MLPPolicy:
        job, recipe = self._job, self._job.recipe
        initial = self._initial() if begins else None
        if begins and recipe.warm_start:
            initial = bc.train(self._samples, recipe.clone, job.seed, initial).policy
        if initial is not None:
            return initial.train().requires_grad_(True)
        torch.manual_seed(job.stream(0))
        policy = bc.new_policy(job.spec, job.network, recipe.clone)
        policy.observation.fit(torch.from_numpy(self._samples.observations))
        return policy

    def _initial(self) -> MLPPolicy | None:
        job, clone = self._job, self._job.recipe.clone
        if job.base is not None:
            return expert_of(job.base, job.spec, job.network, clone.near_scales)
        if job.prior is not None:
            return distilled(load_prior(job.prior, job.spec), job.network, clone, job.stream(3))
        return None

    def _make_envs(self) -> TrainingEnvs:
        job, recipe = self._job, self._job.recipe
        starts = itertools.islice(itertools.cycle(job.starts), recipe.ppo.environments)
        layout = feature_layout(job.spec)
        if job.network == GATE:
            envs = [training_env(start, layout.names, recipe) for start in starts]
            k = recipe.clone.gate.chosen_of(GATE)
            return GateEnvs(job.spec, envs, cores_here(job.workers), self._experts, job.rates, k)
        envs = [training_env(start, layout.observations[job.network], recipe) for start in starts]
        return ExpertEnvs(envs, cores_here(job.workers))

    def _validate(self, policy: MLPPolicy) -> tuple[list[EpisodeResult], int]:
        """The checkpoint's episodes, through ONNX and the controller that runs everywhere; and their control ticks."""
        job, recipe = self._job, self._job.recipe.validation
        with tempfile.TemporaryDirectory(prefix=".validation-", dir=job.folder) as scratch:
            controller = self._exported(policy, Path(scratch))
            jobs = []
            for index in range(recipe.episodes):
                start = job.starts[index % len(job.starts)]
                poses, channel = recipe.combinations[index // len(job.starts) % len(recipe.combinations)]
                disturbed = falls_on(index, recipe.disturbed_share)
                # each start meets every noise, channel and disturbance
                turn = index // len(job.starts) // len(recipe.combinations)
                start = dataclasses.replace(start, handed_over=falls_on(turn, recipe.handed_over_share))
                seed = episode_seed(job.seed, f"validate/{start.name}", index)
                jobs.append(EpisodeJob(str(controller), start, seed, poses, disturbed, recipe.time_limit, channel))
            results = dict(run_jobs(run_job, jobs, job.workers))
        ticks = sum(round(result.time_s * job.rates.control_rate) for result in results.values())
        return [results[index] for index in range(len(jobs))], ticks

    def _exported(self, policy: MLPPolicy, folder: Path) -> Path:
        """Where in `folder` the policy is now ready to run: alone, or a gate in a bundle with its experts."""
        job = self._job
        data = policy_content(policy, job.rates)
        if job.network != GATE:
            file = folder / f"{job.network}.onnx"
            file.write_bytes(data)
            return file
        experts = {expert.name: policy_content(expert, job.rates) for expert in self._experts}
        write_bundle(folder / "bundle", policy.spec, {**experts, GATE: data}, job.rates, {})
        return folder / "bundle"


def _means(logs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each entry over the logs that have it; what is not finite anywhere is left out."""
    values: dict[str, list[float]] = {}
    for name, value in (entry for log in logs for entry in log.items()):
        if math.isfinite(value):
            values.setdefault(name, []).append(value)
    return {name: float(np.mean(entries)) for name, entries in values.items()}


def read_progress(folder: Path) -> dict[str, Any] | None:
    """What a network's training last said of itself; None before it said anything."""
    try:
        content: dict[str, Any] = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content
