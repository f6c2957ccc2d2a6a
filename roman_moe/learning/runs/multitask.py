"""Multi-task reinforcement learning on a suite, and methods compared: several seeds each, on the same terms.

A task counts as solved in an episode if it was at any step of it, as the papers of this field count.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_json
from roman_moe.core.provenance import git_commit
from roman_moe.evaluation.pool import run_jobs
from roman_moe.evaluation.statistics import mean_interval
from roman_moe.learning.algorithms.multitask_a2c import FAMILY, A2CRecipe, Member, MultitaskA2C
from roman_moe.learning.algorithms.multitask_sac import Balance, MultitaskSAC, Replay, SACRecipe, Transitions
from roman_moe.suites.conflict import CONFLICT
from roman_moe.suites.suite import Suite

SUITES: Mapping[str, Suite] = {CONFLICT.name: CONFLICT}

METHODS: Mapping[str, tuple[str, Balance] | Member] = {
    "sac": ("separate", "none"),
    "mt_sac": ("shared", "none"),
    "mt_mh_sac": ("multi_head", "none"),
    "mix_expert": ("mixed_experts", "none"),
    "hard_routing": ("hard_routed", "none"),
    "soft_modular": ("soft_modular", "official"),
    "soft_modular_unbalanced": ("soft_modular", "none"),
    **FAMILY,
}
"""Of SAC: network and balance of the losses, `sac` learns each task by itself; and Distral's family."""

EVALUATION_SEED = 1000
"""Added to a training's seed."""


@dataclass(frozen=True, slots=True)
class MultitaskRun:
    """One training.

    Attributes:
        suite: key of `SUITES`.
        method: key of `METHODS`.
        seed: of everything random.
        steps: of each task, over all its episodes.
        beside: episodes of each task side by side; SAC has one update for each of their steps.
        warm_up: first steps of each task, by random actions and without updates; SAC's alone.
        capacity: last steps of each task that SAC keeps.
        evaluate_every: steps of each task between two evaluations.
        episodes: of each task in an evaluation.
        sac: all else; its network and balance are the method's.
        a2c: likewise, of Distral's family.
    """

    suite: str
    method: str
    seed: int
    steps: int = 40_000
    beside: int = 4
    warm_up: int = 800
    capacity: int = 40_000
    evaluate_every: int = 2_000
    episodes: int = 20
    sac: SACRecipe = field(default_factory=SACRecipe)
    a2c: A2CRecipe = field(default_factory=A2CRecipe)

    def train(self, on_row: Callable[[dict[str, Any]], None] = lambda row: None) -> dict[str, Any]:
        """Train and evaluate; answers the method, its parameters, updates a second and a row for each evaluation."""
        suite = SUITES[self.suite]
        torch.set_num_threads(1)  # these networks are too small to share
        torch.manual_seed(self.seed)
        rng, count = np.random.default_rng(self.seed), len(suite.tasks)
        learner = self._learner(suite)
        replay = Replay(count, self.capacity - self.capacity % self.beside, suite.observation, suite.action)
        episodes = suite.episodes(np.repeat(np.arange(count), self.beside))
        rows: list[dict[str, Any]] = []
        updates, busy, seen = 0, 0.0, grouped(episodes.reset(rng), count)
        for step in range(1, self.steps // self.beside + 1):
            warm = isinstance(learner, MultitaskSAC) and step * self.beside <= self.warm_up
            shape = (count, self.beside, suite.action)
            actions = rng.uniform(-1.0, 1.0, shape).astype(np.float32) if warm else learner.act(seen)
            outcome = episodes.step(clipped(actions))
            following, rewards = grouped(outcome.observations, count), grouped(outcome.rewards, count)
            done, ends = Transitions(seen, torch.as_tensor(actions), rewards, following), step % suite.horizon == 0
            seen = grouped(episodes.reset(rng), count) if ends else following
            began = time.process_time()
            if isinstance(learner, MultitaskSAC):
                replay.add(done)
                updated = not warm
                if updated:
                    learner.update(replay.sample(learner.recipe.batch))
            else:
                updated = learner.learn(done, ends)
            if updated:
                updates, busy = updates + 1, busy + time.process_time() - began
            if step * self.beside % self.evaluate_every < self.beside:
                success = self._success(learner, suite, len(rows))
                rows.append({"steps": step * self.beside, "success": dict(zip(suite.tasks, success, strict=True))})
                on_row(rows[-1])
        return {
            "method": self.method,
            "seed": self.seed,
            "parameters": learner.parameters,
            "updates_per_s": updates / busy if busy else 0.0,
            "rows": rows,
        }

    def _learner(self, suite: Suite) -> MultitaskSAC | MultitaskA2C:
        method, sizes = METHODS[self.method], (suite.observation, suite.action, len(suite.tasks))
        if isinstance(method, Member):
            return MultitaskA2C(self.a2c, method, *sizes, self.steps // self.beside // self.a2c.rollout)
        network, balance = method
        return MultitaskSAC(dataclasses.replace(self.sac, network=network, balance=balance), *sizes)

    def _success(self, learner: MultitaskSAC | MultitaskA2C, suite: Suite, number: int) -> list[float]:
        """Share of solved episodes of each task."""
        count = len(suite.tasks)
        episodes = suite.episodes(np.repeat(np.arange(count), self.episodes))
        seen = episodes.reset(np.random.default_rng([self.seed + EVALUATION_SEED, number]))
        solved = np.zeros(len(seen), bool)
        for _ in range(suite.horizon):
            outcome = episodes.step(clipped(learner.act(grouped(seen, count), greedy=True)))
            seen, solved = outcome.observations, solved | outcome.solved
        return [float(share) for share in solved.reshape(count, -1).mean(axis=1)]


def grouped(values: NDArray[np.float64], tasks: int) -> Tensor:
    """(N, ...) numbers as (T, N / T, ...)."""
    return torch.as_tensor(values, dtype=torch.float32).unflatten(0, (tasks, -1))


def clipped(actions: NDArray[np.float32]) -> NDArray[np.float64]:
    """(T, B, a) actions of a learner, which may go beyond it, as (T * B, a) in [-1, 1]."""
    return np.clip(actions.reshape(-1, actions.shape[2]), -1.0, 1.0).astype(np.float64)


def train(run: MultitaskRun) -> dict[str, Any]:
    """As a job of a pool."""
    return run.train()


def compare(runs: Sequence[MultitaskRun], folder: Path, workers: int) -> Iterator[dict[str, Any]]:
    """Train all that is not in the folder yet; yields each training's result, those that are there first.

    Raises:
        ConfigError: if the folder holds a training of other numbers.
    """
    missing = []
    for run in runs:
        file = _file(run, folder)
        if not file.exists():
            missing.append(run)
            continue
        kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if kept["run"] != json.loads(json.dumps(dataclasses.asdict(run))):
            raise ConfigError(f"{file}: was trained with other numbers: choose another --out")
        yield kept
    for index, found in run_jobs(train, missing, workers):
        found |= {"run": dataclasses.asdict(missing[index]), "git_commit": git_commit()}
        write_json(_file(missing[index], folder), found)
        yield found


def _file(run: MultitaskRun, folder: Path) -> Path:
    return folder / run.suite / run.method / f"seed_{run.seed}.json"


def summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a method reached over its seeds: mean success over the whole training (area), and at its end."""
    curves = curves_of(results)
    area, success = (mean_interval(values).tolist() for values in (curves.mean(axis=1), curves[:, -1]))
    return {
        "seeds": len(results),
        "area": {"mean": area[0], "ci95": area[1:]},
        "success": {"mean": success[0], "ci95": success[1:]},
        "parameters": results[0]["parameters"],
        "updates_per_s": float(np.median([result["updates_per_s"] for result in results])),
    }


def curves_of(results: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """(seeds, evaluations) share of solved episodes over all tasks."""
    return np.array([[np.mean([*row["success"].values()]) for row in result["rows"]] for result in results])
