"""Distral in a table: soft Q-learning of several tasks whose common prior is distilled from all of them.

Numbers of equations are those of Teh et al., "Distral: Robust multitask reinforcement learning", NeurIPS 2017. With
alpha = cKL / (cKL + cEnt) and beta = 1 / (cKL + cEnt), task i's regularised values under the prior pi0 are

    V_i(s) = 1/beta log sum_a pi0(a|s)^alpha exp(beta Q_i(s, a))      (2)
    Q_i(s, a) = R_i(s, a) + gamma E V_i(s')                           (3)
    pi_i(a|s) = pi0(a|s)^alpha exp(beta (Q_i(s, a) - V_i(s)))         (4)

and the prior that maximises (5) is the mean of all tasks' action distributions in a state, weighted by their discounted
visits. Separate soft Q-learning is the same with a prior that stays uniform.

Below alpha = 1 each step earns up to log(5) / beta (1 - alpha) for entropy. Where that is more than a step costs, the
best regularised policy wanders and never reaches its goal: at the paper's beta of 5 that is so below alpha = 0.69.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.suites.suite import Floats, Integers
from roman_moe.suites.two_rooms import ACTIONS, STEP_REWARD, TwoRooms


@dataclass(frozen=True, slots=True)
class TabularDistral:
    """How to learn; the defaults are the paper's (B.1), but for what it leaves open.

    Attributes:
        distilled: whether the prior is learned; it stays uniform if not.
        alpha, beta: as above.
        pseudocount: of every action in every state, for the prior.
        tasks: goals; the paper does not say how many.
        iterations: after each of which the prior is computed anew.
        rollouts: of each task in an iteration.
        length: of a rollout at most [steps].
    """

    distilled: bool = True
    alpha: float = 1.0
    beta: float = 5.0
    gamma: float = 0.95
    learning_rate: float = 0.1
    pseudocount: float = 1.0
    tasks: int = 6
    iterations: int = 200
    rollouts: int = 10
    length: int = 100

    @property
    def wanders(self) -> bool:
        """Whether entropy earns more in a step than the step costs, so that the best policy never arrives."""
        return (1.0 - self.alpha) / self.beta * np.log(len(ACTIONS)) > -STEP_REWARD

    def learn(self, seeds: int, on_iteration: Callable[[], None] = lambda: None) -> tuple[Floats, Floats]:
        """Learn for so many seeds side by side.

        Returns:
            (seeds, iterations) mean return of a rollout over tasks and rollouts, without discount, while learning;
            (seeds, states, 5) prior at the end. A state is a cell, the action before and whether it met a wall
            (`state_of`), as in the paper.
        """
        world = TwoRooms.build()
        learners = [_Draws(seed, self, len(world.cells)) for seed in range(seeds)]
        goals = np.array([learner.goals for learner in learners])  # (seeds, tasks)
        rewards = np.array([[world.rewards(goal) for goal in row] for row in goals])
        states = len(world.cells) * len(ACTIONS) * 2
        q = np.zeros((seeds, self.tasks, states, len(ACTIONS)))
        counts = np.full((seeds, states, len(ACTIONS)), self.pseudocount)
        returns = np.zeros((seeds, self.iterations))
        for iteration in range(self.iterations):
            prior = normalized(counts if self.distilled else np.ones_like(counts))
            for _ in range(self.rollouts):
                starts = np.array([learner.starts() for learner in learners])
                chances = np.array([learner.chances() for learner in learners])
                returns[:, iteration] += self._roll(world, goals, rewards, q, prior, counts, starts, chances)
            on_iteration()
        return returns / self.rollouts, normalized(counts)

    def _roll(
        self,
        world: TwoRooms,
        goals: Integers,
        rewards: Floats,
        q: Floats,
        prior: Floats,
        counts: Floats,
        cells: Integers,
        chances: Floats,
    ) -> Floats:
        """One rollout of each task of each seed, from `cells`; updates `q` and `counts`; answers the mean returns."""
        seed, task = np.meshgrid(*map(np.arange, goals.shape), indexing="ij")
        state, active = state_of(cells, 0, False), np.ones(goals.shape, bool)
        returns = np.zeros(goals.shape)
        for step in range(self.length):
            i, k, s = seed[active], task[active], state[active]
            policy = soft_policy(q[i, k, s], prior[i, s], self.alpha, self.beta)
            action = (policy.cumsum(axis=-1) > chances[active, step, None]).argmax(axis=-1)
            cell = cells[active]
            reward, after = rewards[i, k, cell, action], world.next_cell[cell, action]
            state_after, ends = state_of(after, action, world.bumped[cell, action]), after == goals[active]
            value = soft_value(q[i, k, state_after], prior[i, state_after], self.alpha, self.beta)
            target = reward + self.gamma * np.where(ends, 0.0, value)
            q[i, k, s, action] += self.learning_rate * (target - q[i, k, s, action])
            np.add.at(counts, (i, s, action), self.gamma**step)
            returns[active] += reward
            cells[active], state[active] = after, state_after
            active[active] = ~ends
            if not active.any():
                break
        return returns.mean(axis=-1)


class _Draws:
    """Everything random of one seed, so that seeds side by side do as each would alone."""

    def __init__(self, seed: int, recipe: TabularDistral, cells: int) -> None:
        self._rng, self._recipe, self._cells = np.random.default_rng(seed), recipe, cells
        self.goals = self._rng.choice(cells, recipe.tasks, replace=False)

    def starts(self) -> Integers:
        """(tasks,) cells where the rollouts begin, not at the goals."""
        drawn = self._rng.integers(self._cells - 1, size=self._recipe.tasks)
        return drawn + (drawn >= self.goals)

    def chances(self) -> Floats:
        """(tasks, length) in [0, 1), which choose the actions."""
        return self._rng.random((self._recipe.tasks, self._recipe.length))


def state_of(cell: Integers, action: Integers | int, bumped: NDArray[np.bool_] | bool) -> Integers:
    """Number of the state in which an action has led to a cell, or met a wall there."""
    return (cell * len(ACTIONS) + action) * 2 + bumped


def soft_value(q: Floats, prior: Floats, alpha: float, beta: float) -> Floats:
    """V of Q (..., a) under a prior (..., a), equation (2)."""
    exponents = alpha * np.log(prior) + beta * q
    largest = exponents.max(axis=-1, keepdims=True)  # without it, the exponentials overflow
    return np.asarray((largest[..., 0] + np.log(np.exp(exponents - largest).sum(axis=-1))) / beta)


def soft_policy(q: Floats, prior: Floats, alpha: float, beta: float) -> Floats:
    """(..., a) probabilities of the actions, equation (4)."""
    return np.asarray(prior**alpha * np.exp(beta * (q - soft_value(q, prior, alpha, beta)[..., None])))


def normalized(counts: Floats) -> Floats:
    """Shares of the actions in each state."""
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True))
