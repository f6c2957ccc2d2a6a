"""Gymnasium environments: each skill alone and the whole task, behind the lab that everything else uses.

Registered as `roman_moe/<skill>-v0` and `roman_moe/scenario-v0` (keyword `scenario`, 6 by default) when this module is
imported; `gymnasium.make("roman_moe.lab.env:roman_moe/push-v0")` does both.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from roman_moe.core.action import ACTION_SIZE, GRIPPER_OPEN, ActionScale
from roman_moe.core.features import FEATURES, OBSERVATIONS, feature_indices, feature_vector
from roman_moe.core.skills import SKILLS
from roman_moe.core.state import SceneState
from roman_moe.lab.disturbance import Disturbance
from roman_moe.lab.judge import Judge, Outcome
from roman_moe.lab.lab import CONTROL_RATE, Lab
from roman_moe.lab.link import GOOD_LINK, CommandLink, LinkQuality
from roman_moe.lab.noise import PoseNoise
from roman_moe.lab.render import Renderer
from roman_moe.lab.reward import TaskReward, potential
from roman_moe.lab.starts import Start, scenario_start, skill_start

Observation = NDArray[np.float32]

NOISE_BOUND = 0.005  # [m] the level of ROMAN's shipped scenes
PICTURE_SIZE = (640, 480)


class LabEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One kind of start in the lab.

    Observations are raw features in SI units through the pose noise, (n,); actions are `core.action`'s, (4,). The
    reward is 1 when the episode is solved, else 0, unless another one is asked for. An episode is terminated when it is
    solved or lost and truncated at its time limit; `info["outcome"]` says which. The true scene is `env.lab.state`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": round(CONTROL_RATE)}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(
        self,
        start: Start,
        features: Sequence[str],
        noise: PoseNoise | Sequence[PoseNoise] | None = None,
        render_mode: str | None = None,
        reward: TaskReward | None = None,
        disturbed_share: float = 0.0,
        time_limit: float | None = None,
        links: LinkQuality | Sequence[LinkQuality] = GOOD_LINK,
        handed_over_share: float = 0.0,
    ) -> None:
        """Make an environment.

        Args:
            start: where its episodes begin.
            features: observed ones, in order.
            noise: of the observed object positions; one of several is drawn for each episode; ROMAN's 5 mm bound if
                None.
            render_mode: "rgb_array" for pictures.
            reward: what a step earns; 1 for success if None.
            disturbed_share: of the episodes that meet a disturbance.
            time_limit: after which an episode is truncated [s]; the task's own, longer one if None.
            links: of the commands to the arm; one of several is drawn for each episode.
            handed_over_share: of the episodes that begin with the hand where the skill before leaves it.
        """
        self.lab = Lab()
        self.start = start
        self.features = tuple(features)
        noise = PoseNoise(NOISE_BOUND) if noise is None else noise
        self.noises = (noise,) if isinstance(noise, PoseNoise) else tuple(noise)
        self.reward = TaskReward() if reward is None else reward
        self.disturbed_share = disturbed_share
        self.handed_over_share = handed_over_share
        self.time_limit = math.inf if time_limit is None else time_limit
        self.links = (links,) if isinstance(links, LinkQuality) else tuple(links)
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(self.features),), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION_SIZE,), np.float32)
        self._indices = feature_indices(self.features)
        self._scale = ActionScale()
        self._judge = Judge(start)
        self._renderer: Renderer | None = None
        self._gripper_opening = GRIPPER_OPEN
        self._noise = self.noises[0]
        self._disturbance = Disturbance(start)
        self._disturbed = False
        self._link = CommandLink()
        self._potential = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        handed_over = self.handed_over_share > 0.0 and self.np_random.random() < self.handed_over_share
        start = dataclasses.replace(self.start, handed_over=handed_over)
        state = self._state = self.lab.reset(start, self.np_random)
        self._judge.reset(self.lab)
        self._gripper_opening = GRIPPER_OPEN
        self._noise = self.noises[self.np_random.integers(len(self.noises))]
        self._disturbed = bool(self.np_random.random() < self.disturbed_share)
        if self._disturbed:
            self._disturbance.reset(self.lab, self.np_random)
        quality = self.links[self.np_random.integers(len(self.links))]
        self._link.reset(quality, state.finger_opening, self.np_random)
        if self.reward.progress:
            self._potential = potential(state, self.start.skill)
        return self._observe(state), {"outcome": Outcome.RUNNING.value}

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        command = self._scale.command(self.lab.stamp_ns, np.asarray(action, np.float64), self._gripper_opening)
        self._gripper_opening = command.gripper_opening
        if self._disturbed:
            self._disturbance.update(self.lab, self._state)
        state = self._state = self.lab.step(self._link.carry(command))
        outcome = self._judge.update(self.lab)
        if outcome is Outcome.RUNNING and state.stamp >= self.time_limit:
            outcome = Outcome.TIME_LIMIT
        truncated = outcome is Outcome.TIME_LIMIT
        terminated = outcome is not Outcome.RUNNING and not truncated
        reward = self.reward.success * (outcome is Outcome.SUCCESS)
        if self.reward.progress:
            before, self._potential = self._potential, potential(state, self.start.skill)
            reward += self.reward.progress * (self._potential - before)
        return self._observe(state), reward, terminated, truncated, {"outcome": outcome.value}

    def render(self) -> Any:
        """RGB picture of the overview camera, (480, 640, 3), in render mode `rgb_array`; else None."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            self._renderer = Renderer(self.lab, "overview", *PICTURE_SIZE)
        return self._renderer.frame(self.lab.physics_state())

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _observe(self, state: SceneState) -> Observation:
        noisy = self._noise.apply(state, self.np_random)
        return feature_vector(noisy)[self._indices].astype(np.float32)


class SkillEnv(LabEnv):
    """One skill alone, observed as ROMAN's expert observes it."""

    def __init__(self, skill: str, **kwargs: Any) -> None:
        super().__init__(skill_start(skill), OBSERVATIONS[skill], **kwargs)


class ScenarioEnv(LabEnv):
    """The whole task from a scenario's start, observed through all features."""

    def __init__(self, scenario: int = 6, **kwargs: Any) -> None:
        super().__init__(scenario_start(scenario), FEATURES, **kwargs)


class LabVectorEnv(VectorEnv[Observation, NDArray[np.float32], NDArray[Any]]):
    """Several environments of one kind, stepped in threads: MuJoCo releases the interpreter while it steps.

    An environment that has ended starts anew within the same step: its row of the observations is the new episode's
    first, its last one stands in `infos["final_obs"]`. The result does not depend on the number of threads.
    """

    metadata: dict[str, Any] = {**LabEnv.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, envs: Sequence[LabEnv], threads: int = 2) -> None:
        self.envs = list(envs)
        self.num_envs = len(self.envs)
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._pool = ThreadPoolExecutor(min(threads, self.num_envs), thread_name_prefix="lab")
        self._share = -(-self.num_envs // min(threads, self.num_envs))
        self._last: Observation = np.zeros((self.num_envs, len(self.envs[0].features)), np.float32)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A single seed gives environment i `seed + i`."""
        seeds = seed if isinstance(seed, list) else [None if seed is None else seed + i for i in range(self.num_envs)]
        results = list(self._pool.map(lambda env, s: env.reset(seed=s, options=options), self.envs, seeds))
        self._last = np.stack([observation for observation, _ in results])
        return self._last.copy(), _collect([info for _, info in results])

    def step(
        self, actions: NDArray[np.float32], active: NDArray[np.bool_] | None = None
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """As Gymnasium's; of environments that are not `active` nothing moves: their rows are the last ones, no reward.

        All of them are active if None.
        """
        rows = range(self.num_envs) if active is None else np.flatnonzero(active)
        shares = [rows[i : i + self._share] for i in range(0, len(rows), self._share)]
        stepped = self._pool.map(lambda share: [_step(self.envs[i], actions[i]) for i in share], shares)
        results: list[Any] = [(self._last[i], 0.0, False, False, {}) for i in range(self.num_envs)]
        for share, answers in zip(shares, stepped, strict=True):
            for i, answer in zip(share, answers, strict=True):
                results[i] = answer
        observations, rewards, terminated, truncated, infos = zip(*results, strict=True)
        self._last = np.stack(observations)
        return (
            self._last.copy(),
            np.array(rewards),
            np.array(terminated),
            np.array(truncated),
            _collect(list(infos)),
        )

    def close_extras(self, **kwargs: Any) -> None:
        self._pool.shutdown()
        for env in self.envs:
            env.close()


def _step(env: LabEnv, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
    observation, reward, terminated, truncated, info = env.step(action)
    if terminated or truncated:
        info["final_obs"] = observation
        observation, _ = env.reset()
    return observation, reward, terminated, truncated, info


def _collect(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """One array of objects a key; where a key is missing, None."""
    keys = dict.fromkeys(key for info in infos for key in info)
    collected = {}
    for key in keys:
        column = np.empty(len(infos), dtype=object)
        column[:] = [info.get(key) for info in infos]
        collected[key] = column
    return collected


def _register(name: str, env_class: type[LabEnv], **fixed: Any) -> None:
    def one(**kwargs: Any) -> LabEnv:
        return env_class(**fixed, **kwargs)

    def several(num_envs: int = 1, threads: int = 2, **kwargs: Any) -> LabVectorEnv:
        return LabVectorEnv([one(**kwargs) for _ in range(num_envs)], threads)

    gymnasium.register(f"roman_moe/{name}-v0", entry_point=one, vector_entry_point=several)


for _skill in SKILLS:
    _register(_skill, SkillEnv, skill=_skill)
_register("scenario", ScenarioEnv)
