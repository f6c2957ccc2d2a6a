"""A task's environments as Stable-Baselines3 steps them, for one expert or for the gate over its experts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from roman_moe.control.rates import Rates
from roman_moe.core.features import feature_layout
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.learning.policies.mlp import MLPPolicy, gate_weights
from roman_moe.learning.recipes.hybrid import HybridNetworkRecipe
from roman_moe.sim.env import TaskEnv
from roman_moe.sim.reward import TaskReward
from roman_moe.sim.task import Start
from roman_moe.sim.vector_env import TaskVectorEnv

Array = NDArray[Any]


def training_env(start: Start, features: Sequence[str], recipe: HybridNetworkRecipe) -> TaskEnv:
    """An environment to learn in by a recipe, from a start, with these features as its observation."""
    episodes = recipe.reinforcement
    return TaskEnv(
        start,
        features,
        episodes.poses,
        reward=TaskReward(recipe.reward.success, recipe.reward.progress),
        disturbed_share=episodes.disturbed_share,
        time_limit=episodes.time_limit,
        channels=episodes.channels,
        handed_over_share=episodes.handed_over_share,
    )


class TrainingEnvs(VecEnv):
    """Base: several environments in threads; what an action means is left to those below.

    An environment that has ended starts anew within the same step, as Stable-Baselines3 expects.

    Attributes:
        ticks: control ticks stepped so far, over all environments.
        stepping_s: time spent in stepping the environments [s].
    """

    def __init__(self, envs: Sequence[TaskEnv], threads: int, features: Sequence[str], actions: gymnasium.Space[Any]):
        self._labs = TaskVectorEnv(envs, threads)
        self._columns = np.array([envs[0].features.index(name) for name in features])
        self._last = np.zeros((len(envs), len(envs[0].features)), np.float32)
        self.ticks = 0
        self.stepping_s = 0.0
        space = gymnasium.spaces.Box(-np.inf, np.inf, (len(features),), np.float32)
        super().__init__(len(envs), space, actions)

    def begin(self, seed: int) -> Array:
        """Begin new episodes everywhere from one seed: what follows depends on nothing before."""
        seeds = np.random.SeedSequence(seed).generate_state(self.num_envs)
        self._last = self._labs.reset(seed=[int(s) for s in seeds])[0]
        return self.observations(self._last)

    def observations(self, features: Array) -> Array:
        """What the learner sees of the environments' own observations."""
        return features[:, self._columns]

    def advance(self, actions: Array, active: Array | None = None) -> tuple[Array, Array, dict[str, Any]]:
        """One control tick of all, or of the active, environments: rewards (N,), whether ended (N,), infos."""
        began = time.perf_counter()
        self._last, rewards, terminated, truncated, infos = self._labs.step(actions, active)
        self.stepping_s += time.perf_counter() - began
        self.ticks += self.num_envs if active is None else int(active.sum())
        infos["truncated"] = truncated
        return rewards, terminated | truncated, infos

    def step_async(self, actions: Array) -> None:
        self._actions = actions

    def reset(self) -> Array:
        return self.begin(0)

    def ended(self, infos: dict[str, Any], done: Array) -> list[dict[str, Any]]:
        """Infos of each environment as Stable-Baselines3 wants them."""
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(done):
            final = self.observations(infos["final_obs"][i][None])[0]
            rows[i] = {
                "terminal_observation": final,
                "TimeLimit.truncated": bool(infos["truncated"][i]),
                "outcome": infos["final_info"]["outcome"][i],
                "is_success": infos["final_info"]["is_success"][i],
            }
        return rows

    def close(self) -> None:
        self._labs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class ExpertEnvs(TrainingEnvs):
    """One skill alone; actions are the expert's."""

    def __init__(self, envs: Sequence[TaskEnv], threads: int) -> None:
        super().__init__(envs, threads, envs[0].features, envs[0].action_space)

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        rewards, done, infos = self.advance(self._actions)
        return self.observations(self._last), rewards.astype(np.float32), done, self.ended(infos, done)


class GateEnvs(TrainingEnvs):
    """The whole task; an action is the gate's raw output, (k,), held for some ticks of its frozen experts."""

    def __init__(
        self,
        spec: TaskSpec,
        envs: Sequence[TaskEnv],
        threads: int,
        experts: Sequence[MLPPolicy],
        rates: Rates,
        k: int = 0,
    ) -> None:
        """`k`: experts that a sparse gate gives a weight; 0 for all."""
        layout, raw = feature_layout(spec), gymnasium.spaces.Box(0.0, 1.0, (len(spec.skills),), np.float32)
        super().__init__(envs, threads, layout.observations[GATE], raw)
        self._experts = [(expert, torch.from_numpy(layout.indices(expert.features))) for expert in experts]
        self._divider, self._k = rates.gate_divider, k

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        weights = gate_weights(torch.from_numpy(self._actions), self._k).numpy()
        rewards, done = np.zeros(self.num_envs, np.float32), np.zeros(self.num_envs, bool)
        ends: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for _ in range(self._divider):
            active = ~done
            earned, ended, infos = self.advance(self._blended(weights), active)
            rewards += earned * active
            for i, row in enumerate(self.ended(infos, ended & active)):
                if row:
                    ends[i] = row
            done |= ended & active
        return self.observations(self._last), rewards, done, ends

    @torch.no_grad()
    def _blended(self, weights: Array) -> Array:
        features = torch.from_numpy(self._last)
        actions = np.stack([expert(features[:, columns]).numpy() for expert, columns in self._experts], axis=1)
        return np.einsum("ns,nsa->na", weights, actions).astype(np.float32)
