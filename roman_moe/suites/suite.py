"""What a suite of tasks is: episodes of all its tasks side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one step of N episodes.

    Attributes:
        observations: (N, n).
        rewards: (N,).
        solved: (N,) whether the task is solved now.
    """

    observations: Floats
    rewards: Floats
    solved: NDArray[np.bool_]


class Episodes(Protocol):
    """N episodes that begin and end together."""

    def reset(self, rng: np.random.Generator) -> Floats:
        """Begin all of them; answers the observations, (N, n)."""

    def step(self, actions: Floats) -> Outcome:
        """Go one step on, by (N, a) actions in [-1, 1]."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Tasks that are learned together.

    Attributes:
        name: of the suite.
        tasks: names of the tasks.
        observation, action: numbers of them.
        horizon: steps of an episode; it ends by time alone.
        episodes: makes episodes of the tasks with these numbers, (N,).
    """

    name: str
    tasks: tuple[str, ...]
    observation: int
    action: int
    horizon: int
    episodes: Callable[[Integers], Episodes]
