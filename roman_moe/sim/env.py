"""Gymnasium environments: each skill alone and the whole task, behind the lab that everything else uses.

Registered as `roman_moe/<skill>-v0` and `roman_moe/scenario-v0` (keyword `scenario`, 6 by default) when this module is
imported; `gymnasium.make("roman_moe.sim.env:roman_moe/push-v0")` does both. Their specs are plain data: they go
through JSON and pickle, and so do the environments themselves through pickle.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import to_command
from roman_moe.core.errors import ConfigError
from roman_moe.core.roman import (
    ACTION_SIZE,
    FEATURES,
    GRIPPER_OPEN,
    OBSERVATIONS,
    ROMAN,
    SKILLS,
    feature_indices,
    feature_vector,
)
from roman_moe.core.state import SceneState
from roman_moe.sim.disturbance import Disturbance
from roman_moe.sim.judge import Judge, Outcome
from roman_moe.sim.link import GOOD_LINK, CommandLink, LinkQuality
from roman_moe.sim.noise import PoseNoise
from roman_moe.sim.render import Renderer
from roman_moe.sim.reward import TaskReward, potential
from roman_moe.sim.starts import Start, scenario_start, skill_start
from roman_moe.sim.viewer import Viewer
from roman_moe.sim.world import CONTROL_RATE, World

Observation = NDArray[np.float32]
Quality = TypeVar("Quality", PoseNoise, LinkQuality, TaskReward)

NOISE_BOUND = 0.005  # [m] the level of ROMAN's shipped scenes
PICTURE_SIZE = (640, 480)


class LabEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One kind of start in the lab.

    Observations are raw features in SI units through the pose noise, (n,); actions are `core.action`'s, (4,). The
    reward is 1 when the episode is solved, else 0, unless another one is asked for. An episode is terminated when it is
    solved or lost and truncated at its time limit. `info["outcome"]` says which, and `info["is_success"]` whether it is
    solved. The true scene is `env.lab.state`.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": round(CONTROL_RATE)}  # noqa: RUF012 (as Gymnasium declares it)

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
            render_mode: "rgb_array" for pictures, "human" for MuJoCo's viewer, which needs a display.
            reward: what a step earns; 1 for success if None.
            disturbed_share: of the episodes that meet a disturbance.
            time_limit: after which an episode is truncated [s]; the task's own, longer one if None.
            links: of the commands to the arm; one of several is drawn for each episode.
            handed_over_share: of the episodes that begin with the hand where the skill before leaves it.

        Raises:
            ConfigError: if there is no such render mode.
            RomanError: if the viewer finds no display.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigError(f"unknown render mode {render_mode!r}: expected one of human, rgb_array, None")
        self.lab = World()
        self.start = start
        self.features = tuple(features)
        self.noises = _kinds(PoseNoise, PoseNoise(NOISE_BOUND) if noise is None else noise)
        (self.reward,) = _kinds(TaskReward, TaskReward() if reward is None else reward)
        self.disturbed_share = disturbed_share
        self.handed_over_share = handed_over_share
        self.time_limit = math.inf if time_limit is None else time_limit
        self.links = _kinds(LinkQuality, links)
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(self.features),), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION_SIZE,), np.float32)
        self._indices = feature_indices(self.features)
        self._judge = Judge(start)
        self._renderer: Renderer | None = None
        self._viewer = Viewer(self.lab) if render_mode == "human" else None
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
        self._show()
        return self._observe(state), _info(Outcome.RUNNING)

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        command = to_command(ROMAN, self.lab.stamp_ns, np.asarray(action, np.float64), self._gripper_opening)
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
        self._show()
        return self._observe(state), reward, terminated, truncated, _info(outcome)

    def render(self) -> Any:
        """RGB picture of the overview camera, (480, 640, 3), in render mode `rgb_array`; else None."""
        if self.render_mode != "rgb_array":
            return None
        if self._renderer is None:
            self._renderer = Renderer(self.lab, "overview", *PICTURE_SIZE)
        return self._renderer.frame(self.lab.physics_state())

    def close(self) -> None:
        for shown in (self._renderer, self._viewer):
            if shown is not None:
                shown.close()
        self._renderer = self._viewer = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the drawing: a copy goes on from the same moment, without a window."""
        mode = None if self.render_mode == "human" else self.render_mode
        return {**self.__dict__, "_renderer": None, "_viewer": None, "render_mode": mode}

    def _show(self) -> None:
        if self._viewer is not None:
            self._viewer.update()
            time.sleep(1.0 / self.metadata["render_fps"])

    def _observe(self, state: SceneState) -> Observation:
        noisy = self._noise.apply(state, self.np_random)
        return feature_vector(noisy)[self._indices].astype(np.float32)


def _info(outcome: Outcome) -> dict[str, Any]:
    return {"outcome": outcome.value, "is_success": outcome is Outcome.SUCCESS}


class SkillEnv(LabEnv):
    """One skill alone, observed as ROMAN's expert observes it."""

    def __init__(self, skill: str, **kwargs: Any) -> None:
        super().__init__(skill_start(skill), OBSERVATIONS[skill], **kwargs)


class ScenarioEnv(LabEnv):
    """The whole task from a scenario's start, observed through all features."""

    def __init__(self, scenario: int = 6, **kwargs: Any) -> None:
        super().__init__(scenario_start(scenario), FEATURES, **kwargs)


def _kinds(kind: type[Quality], given: Quality | Mapping[str, Any] | Sequence[Any]) -> tuple[Quality, ...]:
    """One or several of a dataclass, each of which may be a mapping, as in an EnvSpec that comes from JSON."""
    several = given if isinstance(given, Sequence) else (given,)
    return tuple(kind(**one) if isinstance(one, Mapping) else one for one in several)


for _skill in SKILLS:
    gymnasium.register(
        f"roman_moe/{_skill}-v0",
        entry_point="roman_moe.sim.env:SkillEnv",
        vector_entry_point="roman_moe.sim.vector_env:skill_envs",
        kwargs={"skill": _skill},
    )
gymnasium.register(
    "roman_moe/scenario-v0",
    entry_point="roman_moe.sim.env:ScenarioEnv",
    vector_entry_point="roman_moe.sim.vector_env:scenario_envs",
)
