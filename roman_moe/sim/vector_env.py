"""Several environments at once, as Gymnasium specifies it: stepped in threads, which MuJoCo lets run together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.sim.env import Observation, ScenarioEnv, SkillEnv, TaskEnv

Step = tuple[Observation, float, bool, bool, dict[str, Any]]


class TaskVectorEnv(VectorEnv[Observation, NDArray[np.float32], NDArray[Any]]):
    """Environments of one kind, stepped in threads; the result does not depend on the number of threads.

    Infos are Gymnasium's: an array for each key, and `_key` for the environments that have it. What happens to an
    environment that has ended is said by `autoreset_mode`:

    - SAME_STEP: it starts anew within the same step. Its row is the new episode's first; what ended it stands in
      `infos["final_obs"]` and `infos["final_info"]`.
    - NEXT_STEP: it starts anew in the next step, whose action and reward do not count.
    - DISABLED: the caller resets it, with `reset(options={"reset_mask": ...})`.
    """

    def __init__(
        self,
        envs: Sequence[TaskEnv],
        threads: int = 2,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        self.envs = list(envs)
        self.num_envs = len(self.envs)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**TaskEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = self.envs[0].render_mode
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._pool = ThreadPoolExecutor(min(threads, self.num_envs), thread_name_prefix="world")
        self._share = -(-self.num_envs // min(threads, self.num_envs))
        self._last: Observation = np.zeros((self.num_envs, len(self.envs[0].features)), np.float32)
        self._ended = np.zeros(self.num_envs, dtype=bool)  # and not yet reset

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A single seed gives environment i `seed + i`; `options["reset_mask"]`, (n,) of bool, leaves others alone.

        Raises:
            ConfigError: if seeds or mask do not fit the environments.
        """
        count = self.num_envs
        seeds = list(seed) if isinstance(seed, Sequence) else [None if seed is None else seed + i for i in range(count)]
        if len(seeds) != count:
            raise ConfigError(f"{len(seeds)} seeds for {count} environments: expected one each")
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(count, dtype=bool)))
        if mask.shape != (count,) or mask.dtype != np.bool_ or not mask.any():
            raise ConfigError(f"reset_mask is {mask!r}: expected {count} booleans, of which one at least is true")
        rows = np.flatnonzero(mask)
        infos: dict[str, Any] = {}
        results = self._pool.map(lambda i: self.envs[i].reset(seed=seeds[i], options=options), rows)
        for i, (observation, info) in zip(rows, results, strict=True):
            self._last[i] = observation
            infos = self._add_info(infos, info, int(i))
        self._ended[rows] = False
        return self._last.copy(), infos

    def step(
        self, actions: NDArray[np.float32], active: NDArray[np.bool_] | None = None
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """As Gymnasium's; of environments that are not `active` nothing moves: their rows are the last ones, no reward.

        All of them are active if None.

        Raises:
            ResetNeeded: without autoreset, if an environment to step has ended.
        """
        rows = np.arange(self.num_envs) if active is None else np.flatnonzero(active)
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended[rows].any():
            ended = rows[self._ended[rows]].tolist()
            raise ResetNeeded(f"environments {ended} have ended: reset them with options={{'reset_mask': ...}}")
        shares = [rows[i : i + self._share] for i in range(0, len(rows), self._share)]
        stepped = self._pool.map(lambda share: [self._step(i, actions[i]) for i in share], shares)
        rewards = np.zeros(self.num_envs)
        terminated, truncated = np.zeros((2, self.num_envs), dtype=bool)
        infos: dict[str, Any] = {}
        for i, (answer, final) in zip(rows, (one for share in stepped for one in share), strict=True):
            self._last[i], rewards[i], terminated[i], truncated[i], info = answer
            infos = self._add_info(infos, {**final, **info}, int(i))
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._ended[rows] = (terminated | truncated)[rows]
        return self._last.copy(), rewards, terminated, truncated, infos

    def render(self) -> tuple[Any, ...]:
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: Any) -> None:
        self._pool.shutdown()
        for env in self.envs:
            env.close()

    def _step(self, index: int, action: NDArray[np.float32]) -> tuple[Step, dict[str, Any]]:
        """What a step of one environment gives, and what is left of an episode that it has ended and begun anew."""
        env = self.envs[index]
        if self._ended[index]:
            observation, info = env.reset()
            return (observation, 0.0, False, False, info), {}
        observation, reward, terminated, truncated, info = env.step(action)
        final = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and (terminated or truncated):
            final = {"final_obs": observation, "final_info": info}
            observation, info = env.reset()
        return (observation, reward, terminated, truncated, info), final


def skill_envs(
    num_envs: int = 1, threads: int = 2, autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP, **kwargs: Any
) -> TaskVectorEnv:
    """Vector entry point of the skills' environments; `kwargs` are SkillEnv's."""
    return TaskVectorEnv([SkillEnv(**kwargs) for _ in range(num_envs)], threads, autoreset_mode)


def scenario_envs(
    num_envs: int = 1, threads: int = 2, autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP, **kwargs: Any
) -> TaskVectorEnv:
    """Vector entry point of the whole task's environment; `kwargs` are ScenarioEnv's."""
    return TaskVectorEnv([ScenarioEnv(**kwargs) for _ in range(num_envs)], threads, autoreset_mode)
