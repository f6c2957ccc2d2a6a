"""Multi-task reinforcement learning on a suite, and what a trained policy solves.

At every evaluation all episodes end and new ones begin from a seed of their own. So a training that is taken up there
is the same, number for number, as one that was never cut off.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from roman_moe.core.errors import ConfigError, one_line
from roman_moe.core.features import feature_layout
from roman_moe.core.files import atomic_path, write_json
from roman_moe.core.provenance import git_commit
from roman_moe.evaluation.statistics import success_rate
from roman_moe.learning.algorithms.multitask_a2c import FAMILY, A2CRecipe, Member, MultitaskA2C
from roman_moe.learning.algorithms.multitask_sac import Balance, MultitaskSAC, Replay, SACRecipe, Transitions
from roman_moe.learning.policies.multitask import Sizes, SkillObservation
from roman_moe.suites.catalogue import find_suite
from roman_moe.suites.suite import Episodes, Suite, solved_episodes

RESULT, POLICY, CHECKPOINT = "multitask.json", "policy.pt", "checkpoint.pt"
"""Files of a training's folder; the last one is there until it is done."""

RANDOM = "random"  # in a policy's place: random actions, as the floor of what a method has to reach

NEAR_SCALES = (0.05, 0.01)  # of the squashed relative positions [m], as the experts have them

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

Learner = MultitaskSAC | MultitaskA2C

EVALUATED, JUDGED = 1, 2
"""Of the seeds of episodes in which a policy is evaluated while it trains, and judged afterwards: none is both."""


@dataclass(frozen=True, slots=True)
class MultitaskRun:
    """One training.

    Attributes:
        suite: name of the suite (`suites.catalogue`).
        method: key of `METHODS`.
        steps: of each task, over all its episodes, some of which run side by side (`Suite.beside`). SAC has one update
            for each of their steps.
        warm_up: first steps of each task, by random actions and without updates; SAC's alone.
        capacity: last steps of each task that SAC keeps.
        evaluate_every: steps of each task between two evaluations; all episodes begin anew after one.
        episodes: of each task in an evaluation.
        device: where SAC learns, cpu or cuda. On a GPU no training comes out twice the same.
        sac: all else; its network and balance are the method's.
        a2c: likewise, of Distral's family.
    """

    suite: str
    method: str
    seed: int
    steps: int = 40_000
    warm_up: int = 800
    capacity: int = 100_000
    evaluate_every: int = 2_000
    episodes: int = 20
    device: str = "cpu"
    sac: SACRecipe = field(default_factory=SACRecipe)
    a2c: A2CRecipe = field(default_factory=A2CRecipe)

    def __post_init__(self) -> None:
        """Refuse what nothing learns on, before the first of several trainings.

        Raises:
            ConfigError: naming the device.
        """
        if self.device not in ("cpu", "cuda"):
            raise ConfigError(f"device {self.device!r}: expected cpu or cuda")
        if self.device != "cpu" and isinstance(METHODS[self.method], Member):
            raise ConfigError(f"device {self.device}: {self.method} learns on the CPU alone: leave it out")

    @property
    def evaluations(self) -> int:
        return max(1, self.steps // self.evaluate_every)

    def is_whole(self, result: Mapping[str, Any]) -> bool:
        """Whether the training that has this result is at its end."""
        return len(result["rows"]) == self.evaluations

    def train(
        self, folder: Path | None = None, on_row: Callable[[dict[str, Any]], None] = lambda row: None
    ) -> dict[str, Any]:
        """Train and evaluate, from the last evaluation on if the folder holds this run; what comes out is the same.

        Returns:
            The method, its parameters, updates and environment steps a second, of processor time or, on a GPU, of the
            clock's, and a row for each evaluation. The folder keeps this as RESULT, and the policy as POLICY.

        Raises:
            ConfigError: if the folder holds another run, or what cannot be read; or for a device that is not there.
        """
        found = kept(self, folder) if folder is not None else None
        if found is not None and self.is_whole(found):
            return found
        training = _Training(self)
        if folder is not None and found is not None:
            training.load(folder)
        for number in range(len(training.rows), self.evaluations):
            training.stretch(number)
            if folder is not None:
                training.save(folder)
            on_row(training.rows[-1])
        if folder is not None:
            (folder / CHECKPOINT).unlink(missing_ok=True)
        return training.result()


class _Training:
    def __init__(self, run: MultitaskRun) -> None:
        self.run, self.suite = run, find_suite(run.suite)
        torch.set_num_threads(1)  # these networks are too small to share
        self.learner = new_learner(run, self.suite)
        capacity = run.capacity - run.capacity % self.suite.beside
        sizes = len(self.suite.tasks), capacity, self.suite.observation, self.suite.action
        self.replay = Replay(*sizes, run.device)
        self.rows: list[dict[str, Any]] = []
        self.updates, self.updating, self.steps, self.stepping = 0, 0.0, 0, 0.0

    @cached_property
    def episodes(self) -> Episodes:
        """Of all tasks, those of one beside each other."""
        return all_beside(self.suite)

    def stretch(self, number: int) -> None:
        """From one evaluation to the next: all that is random in it follows from the seed and its number."""
        run, beside = self.run, self.suite.beside
        rng = np.random.default_rng([run.seed, number])
        torch.manual_seed(int(rng.integers(2**62)))
        if number == 0 and self.learner.layer is not None:
            self._fit(self.learner.layer, rng)
        seen, last = self._grouped(self.episodes.reset(rng)), run.evaluate_every // beside - 1
        for step in range(last + 1):
            warm = isinstance(self.learner, MultitaskSAC) and number * run.evaluate_every + step * beside < run.warm_up
            shape = (len(self.suite.tasks), beside, self.suite.action)
            actions = rng.uniform(-1.0, 1.0, shape).astype(np.float32) if warm else self.learner.act(seen)
            began = self._now()
            outcome = self.episodes.step(clipped(actions))
            self.stepping += self._now() - began
            self.steps += len(outcome.ended)
            values = (outcome.rewards, outcome.reached, outcome.terminated)
            done = Transitions(seen, torch.as_tensor(actions), *map(self._grouped, values))
            seen = self._grouped(outcome.observations)
            began = self._now()
            if self._learn(done, warm, bool(outcome.ended.any()) or step == last):
                self.updates, self.updating = self.updates + 1, self.updating + self._now() - began
        steps = (number + 1) * run.evaluate_every
        self.rows.append(evaluation_row(run, self.suite, self.learner, self.episodes, number, steps))

    def _now(self) -> float:
        """Processor time, or the time when a GPU has done what it was given [s]."""
        if self.run.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def _learn(self, done: Transitions, warm: bool, ends: bool) -> bool:
        """From one step of all episodes; answers whether there was an update."""
        if not isinstance(self.learner, MultitaskSAC):
            return self.learner.learn(done, ends)
        self.replay.add(done)
        if not warm:
            self.learner.update(self.replay.sample(self.learner.recipe.batch))
        return not warm

    def result(self) -> dict[str, Any]:
        return {
            "suite": self.suite.name,
            "method": self.run.method,
            "seed": self.run.seed,
            "parameters": self.learner.parameters,
            "updates_per_s": self.updates / self.updating if self.updating else 0.0,
            "steps_per_s": self.steps / self.stepping if self.stepping else 0.0,
            "rows": self.rows,
            "run": dataclasses.asdict(self.run),
            **about_task(self.suite),
            "git_commit": git_commit(),
        }

    def save(self, folder: Path) -> None:
        """Policy, checkpoint and result; the result last, so that it never says more than the others hold."""
        times = [self.updates, self.updating, self.steps, self.stepping]
        content = {"learner": self.learner.state(), "replay": self.replay.state(), "rows": self.rows, "times": times}
        save_policy(folder, self.learner)
        with atomic_path(folder / CHECKPOINT) as path:
            torch.save(content, path)
        write_json(folder / RESULT, self.result())

    def load(self, folder: Path) -> None:
        content = _load(folder / CHECKPOINT)
        self.learner.load_state(content["learner"])
        self.replay.load_state(content["replay"])
        self.rows = content["rows"]
        self.updates, self.updating, self.steps, self.stepping = content["times"]

    def _fit(self, layer: SkillObservation, rng: np.random.Generator) -> None:
        """Normalise by what an episode of random actions shows."""
        seen = [self.episodes.reset(rng)]
        for _ in range(self.suite.horizon):
            seen.append(self.episodes.step(rng.uniform(-1.0, 1.0, (len(seen[0]), self.suite.action))).reached)
        layer.fit(torch.as_tensor(np.concatenate(seen), dtype=torch.float32, device=self.run.device))

    def _grouped(self, values: NDArray[Any]) -> Tensor:
        return grouped(values, len(self.suite.tasks))


def new_learner(run: MultitaskRun, suite: Suite) -> Learner:
    method, layer = METHODS[run.method], None
    if run.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: this PyTorch finds no GPU: use cpu")
    if suite.spec is not None:
        layer = SkillObservation(suite.spec, NEAR_SCALES)
    torch.manual_seed(run.seed)
    sizes = (suite.observation, suite.action, len(suite.tasks))
    if isinstance(method, Member):
        return MultitaskA2C(run.a2c, method, *sizes, run.steps // suite.beside // run.a2c.rollout, layer)
    network, balance = method
    recipe = dataclasses.replace(run.sac, network=network, balance=balance)
    return MultitaskSAC(recipe, *sizes, layer, run.device)


def all_beside(suite: Suite) -> Episodes:
    """Of all tasks, as many of each as are side by side in a training."""
    return suite.episodes(np.repeat(np.arange(len(suite.tasks)), suite.beside))


def about_task(suite: Suite) -> dict[str, Any]:
    """What a result says of the task whose skills the suite has: its digest, and what each skill sees."""
    if suite.spec is None:
        return {"task_sha256": ""}
    observations = feature_layout(suite.spec).observations
    observed = {skill: list(observations[skill]) for skill in suite.tasks}
    return {"task_sha256": suite.spec.digest, "observed": observed}


@dataclass(frozen=True, slots=True, eq=False)
class TrainedPolicy:
    """What a training has left."""

    run: MultitaskRun
    suite: Suite
    learner: Learner
    result: dict[str, Any]


def load_policy(folder: Path) -> TrainedPolicy:
    """The policy in a folder that a training has left.

    Raises:
        ConfigError: if there is none, or it cannot be read.
    """
    result = _read_result(folder)
    parts = _load(folder / POLICY)
    try:
        said = result["run"]
        sac, a2c = ({**said[key], "sizes": Sizes(**said[key]["sizes"])} for key in ("sac", "a2c"))
        run = MultitaskRun(**{**said, "sac": SACRecipe(**sac), "a2c": A2CRecipe(**a2c)})
        suite = find_suite(run.suite)
        learner = new_learner(dataclasses.replace(run, device="cpu"), suite)
        if result["task_sha256"] != about_task(suite)["task_sha256"]:
            raise ConfigError(f"{folder}: was trained on another version of task {suite.name!r}: train it again")
        for name, part in learner.policy.items():
            part.load_state_dict(parts[name])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ConfigError(f"{folder}: its {POLICY} is of another version or suite: train it again") from error
    return TrainedPolicy(run, suite, learner, result)


def judge(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """What the policy of a folder solves of each task, in `count` episodes or some more: the report.

    Raises:
        ConfigError: if there is no policy.
    """
    torch.set_num_threads(1)
    policy = load_policy(folder)
    suite = policy.suite
    solved = solved_by(policy.learner, suite, all_beside(suite), count, np.random.default_rng([seed, 0, JUDGED]))
    return {
        "policy": str(folder),
        "policy_sha256": hashlib.sha256((folder / POLICY).read_bytes()).hexdigest(),
        **{key: policy.result[key] for key in ("suite", "method")},
        "steps": policy.result["rows"][-1]["steps"],
        "cloned": "clone" in policy.result,
        "training_seed": policy.run.seed,
        "seed": seed,
        **_rates(suite, solved),
    }


def judge_random(name: str, count: int, seed: int) -> dict[str, Any]:
    """What actions drawn evenly from [-1, 1] solve of a suite's tasks, in the episodes of `judge`: its report.

    Raises:
        ConfigError: if there is no such suite.
    """
    suite = find_suite(name)
    drawn = np.random.default_rng([seed, 1, JUDGED])

    def act(seen: NDArray[np.float64]) -> NDArray[np.float64]:
        return drawn.uniform(-1.0, 1.0, (len(seen), suite.action))

    each, rng = -(-count // suite.beside), np.random.default_rng([seed, 0, JUDGED])
    solved = solved_episodes(all_beside(suite), act, each, rng).reshape(len(suite.tasks), -1)
    about = {"policy": RANDOM, "suite": suite.name, "method": RANDOM, "steps": 0, "cloned": False, "seed": seed}
    return {**about, **_rates(suite, solved)}


def _rates(suite: Suite, solved: NDArray[np.bool_]) -> dict[str, Any]:
    """What a report says of the episodes solved, (T, count)."""
    tasks = {task: success_rate(int(row.sum()), len(row)) for task, row in zip(suite.tasks, solved, strict=True)}
    mean = float(np.mean([row["rate"] for row in tasks.values()]))
    return {"solved": "at any step of an episode", "mean": mean, "tasks": tasks}


def save_policy(folder: Path, learner: Learner) -> None:
    """Write what acts as the folder's POLICY."""
    with atomic_path(folder / POLICY) as path:
        torch.save({name: part.state_dict() for name, part in learner.policy.items()}, path)


def evaluation_row(
    run: MultitaskRun, suite: Suite, learner: Learner, episodes: Episodes, number: int, steps: int
) -> dict[str, Any]:
    """What the greedy policy solves of each task, in the evaluation of this number, after these steps of each task."""
    success = solved_by(learner, suite, episodes, run.episodes, np.random.default_rng([run.seed, number, EVALUATED]))
    return {"steps": steps, "success": dict(zip(suite.tasks, success.mean(axis=1).tolist(), strict=True))}


def solved_by(
    learner: Learner, suite: Suite, episodes: Episodes, count: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which of `count` episodes of each task, or some more, the greedy policy solves at any step: (T, count)."""

    def act(seen: NDArray[np.float64]) -> NDArray[np.float64]:
        return clipped(learner.act(grouped(seen, len(suite.tasks)), greedy=True))

    for part in learner.policy.values():
        part.eval()
    solved = solved_episodes(episodes, act, -(-count // suite.beside), rng)
    for part in learner.policy.values():
        part.train()
    return solved.reshape(len(suite.tasks), -1)


def kept(run: MultitaskRun, folder: Path) -> dict[str, Any] | None:
    """What a folder says of this run; None if it says nothing yet. Raises as `MultitaskRun.train`."""
    return kept_result(folder, {"run": dataclasses.asdict(run)})


def kept_result(folder: Path, expected: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a folder says of the run that `expected` describes; None if it says nothing yet.

    Raises:
        ConfigError: if it holds another run, or what cannot be read.
    """
    if not (folder / RESULT).exists():
        return None
    found = _read_result(folder)
    if {key: found.get(key) for key in expected} != json.loads(json.dumps(expected)):
        raise ConfigError(f"{folder}: was trained with other numbers: choose another --out")
    return found


def _read_result(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder}: has no {RESULT} that can be read: expected a folder that `roman-moe train multitask` left"
        ) from error
    if content.get("task_sha256") and "observed" not in content:
        raise ConfigError(f"{folder}: is of a version in which each skill saw all features: train it again elsewhere")
    return content


def _load(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything on damaged bytes
        raise ConfigError(f"{path}: cannot be read: {one_line(error)}: train it again") from error
    return content


def evaluation_interval(steps: int) -> int:
    """Steps between evaluations of a training of this many: twenty of them in all, or fewer, at least 2000 apart."""
    return steps // min(max(steps // 2_000, 1), 20)


def grouped(values: NDArray[np.float64], tasks: int) -> Tensor:
    """(N, ...) numbers as (T, N / T, ...)."""
    return torch.as_tensor(values, dtype=torch.float32).unflatten(0, (tasks, -1))


def clipped(actions: NDArray[np.float32]) -> NDArray[np.float64]:
    """(T, B, a) actions of a learner, which may go beyond it, as (T * B, a) in [-1, 1]."""
    return np.clip(actions.reshape(-1, actions.shape[2]), -1.0, 1.0).astype(np.float64)
