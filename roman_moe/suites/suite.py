"""What a suite of tasks is: episodes of all its tasks side by side, each of which begins anew within the step it ends.

A task counts as solved in an episode if it was at any step of it, as the papers of this field count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.spec import TaskSpec

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one step of N episodes.

    Attributes:
        observations: (N, n) to act on next: of a new episode where one has ended.
        rewards: (N,).
        solved: (N,) whether the task is solved now.
        reached: (N, n) observations that the step led to.
        ended: (N,) whether the episode is over.
        terminated: (N,) whether nothing comes after, unlike after one that is over by time alone.
    """

    observations: Floats
    rewards: Floats
    solved: Flags
    reached: Floats
    ended: Flags
    terminated: Flags


class Episodes(Protocol):
    """N episodes side by side, each followed by the next one."""

    def reset(self, rng: np.random.Generator) -> Floats:
        """Begin all of them; answers the observations, (N, n). All that follows depends on `rng` and the actions."""

    def step(self, actions: Floats) -> Outcome:
        """Go one step on, by (N, a) actions in [-1, 1]."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Tasks that are learned together.

    Attributes:
        horizon: steps after which an episode is over by time.
        episodes: makes episodes of the tasks with these numbers, (N,).
        beside: episodes of each task side by side in a training.
        spec: of the task whose skills they are, all observed through its features; None for other suites.
    """

    name: str
    tasks: tuple[str, ...]
    observation: int
    action: int
    horizon: int
    episodes: Callable[[Integers], Episodes]
    beside: int = 4
    spec: TaskSpec | None = None


class VectorEpisodes:
    """Episodes of a Gymnasium vector environment that begins anew within a step (autoreset SAME_STEP)."""

    def __init__(self, envs: Any, success: str) -> None:
        """`success` is the key of the infos that says whether a task is solved."""
        self._envs, self._success = envs, success

    def reset(self, rng: np.random.Generator) -> Floats:
        seeds = rng.integers(1, 2**31, self._envs.num_envs).tolist()
        return np.array(self._begin(seeds)[0], np.float64)

    def _begin(self, seeds: Sequence[int]) -> Any:
        """Observations and infos of episodes that depend on the seeds alone."""
        return self._envs.reset(seed=seeds)

    def step(self, actions: Floats) -> Outcome:
        """What ended an episode stands in the infos, not in the row."""
        seen, rewards, terminated, truncated, infos = self._envs.step(actions)
        observations, ended = np.array(seen, np.float64), terminated | truncated
        solved = np.array(infos.get(self._success, np.zeros(len(ended))), bool)
        reached = observations.copy()
        for i in np.flatnonzero(ended):
            reached[i], solved[i] = infos["final_obs"][i], infos["final_info"][self._success][i]
        return Outcome(observations, np.asarray(rewards, np.float64), solved, reached, ended, np.array(terminated))


def solved_episodes(episodes: Episodes, act: Callable[[Floats], Floats], each: int, rng: np.random.Generator) -> Flags:
    """Which of the first `each` episodes of all N are solved at any of their steps, (N, each).

    Args:
        act: actions (N, a) for observations (N, n).
    """
    seen = episodes.reset(rng)
    over, rows = np.zeros(len(seen), int), np.arange(len(seen))
    solved = np.zeros((len(seen), each + 1), bool)  # the last column takes what comes after
    while (over < each).any():
        outcome = episodes.step(act(seen))
        solved[rows, over] |= outcome.solved
        over, seen = np.minimum(over + outcome.ended, each), outcome.observations
    return solved[:, :each]
