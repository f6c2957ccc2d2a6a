"""Which modules a Soft-Modular policy uses: its routing weights while it acts, and a map of them by t-SNE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from roman_moe.core.errors import ConfigError
from roman_moe.core.files import atomic_path
from roman_moe.learning.algorithms.multitask_sac import MultitaskSAC, seen_through
from roman_moe.learning.policies.multitask import Modular
from roman_moe.learning.runs.multitask import JUDGED, all_beside, clipped, grouped, load_policy

STATES = 200  # of each task: so many show their clusters, and t-SNE takes seconds


@dataclass(frozen=True, slots=True, eq=False)
class Routing:
    """Routing weights of a policy.

    Attributes:
        suite, method: that it was trained on, and by.
        tasks: T names.
        weights: (T, S, R) of S states of each task, evenly taken from episodes side by side.
    """

    suite: str
    method: str
    tasks: tuple[str, ...]
    weights: NDArray[np.float32]

    def map(self, seed: int = 0) -> NDArray[np.float32]:
        """(T, S, 2) places of the states: by t-SNE (van der Maaten and Hinton 2008), which does not see the task."""
        flat = self.weights.reshape(-1, self.weights.shape[2])
        perplexity = min(30.0, (len(flat) - 1) / 3.0)
        places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(flat)
        return np.asarray(places, np.float32).reshape(*self.weights.shape[:2], 2)

    def save(self, path: Path, places: NDArray[np.float32]) -> None:
        """Write tasks, weights and places as .npz."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, tasks=np.array(self.tasks), weights=self.weights, places=places)


def routing_of(folder: Path, seed: int = 0) -> Routing:
    """The weights in greedy episodes of all tasks, as long as one may last, begun from states that no training saw.

    Raises:
        ConfigError: if the folder has no policy, or one without routing weights.
    """
    torch.set_num_threads(1)
    policy = load_policy(folder)
    learner, suite = policy.learner, policy.suite
    if not isinstance(learner, MultitaskSAC) or not isinstance(learner.actor, Modular):
        raise ConfigError(f"{folder}: method {policy.run.method}: expected soft_modular, for its routing weights")
    episodes = all_beside(suite)
    seen = grouped(episodes.reset(np.random.default_rng([seed, 0, JUDGED])), len(suite.tasks))
    found = []
    with torch.no_grad():
        for _ in range(suite.horizon):
            found.append(learner.actor.routing(seen_through(learner.layer, seen)))
            outcome = episodes.step(clipped(learner.act(seen, greedy=True)))
            seen = grouped(outcome.observations, len(suite.tasks))
    weights = torch.stack(found, dim=2).flatten(1, 2).numpy()
    chosen = np.linspace(0, weights.shape[1] - 1, min(STATES, weights.shape[1])).round().astype(int)
    return Routing(suite.name, policy.run.method, tuple(suite.tasks), weights[:, chosen])
