"""Gymnasium environments: each skill alone and the whole task, behind the world that everything else uses.

Registered for every task that we ship as `<task>/<skill>-v0` and `<task>/scenario-v0` (keyword `scenario`, the longest
by default) when this module is imported; `gymnasium.make("roman_moe.sim.env:<task>/scenario-v0")` does both. Their
specs are plain data: they go through JSON and pickle, and so do the environments themselves through pickle.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import to_command
from roman_moe.core.errors import ConfigError
from roman_moe.core.features import feature_layout
from roman_moe.core.outcome import Outcome
from roman_moe.core.tasks import SHIPPED, known_tasks, load_spec
from roman_moe.sim.channel import GOOD_CHANNEL, ChannelQuality
from roman_moe.sim.episode import Episode
from roman_moe.sim.pose_source import PoseSource, TruthPoses
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.render import Renderer
from roman_moe.sim.reward import TaskReward, potential
from roman_moe.sim.streams import Streams
from roman_moe.sim.task import SimTask, Start
from roman_moe.sim.viewer import Viewer
from roman_moe.sim.world import World

Observation = NDArray[np.float32]
Kind = TypeVar("Kind")

NOISE_BOUND = 0.005  # [m] the level of ROMAN's shipped scenes
PICTURE_SIZE = (640, 480)


class TaskEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One kind of start of a task.

    Observations are raw features in SI units as the pose source gives them, (n,); actions are the task's, (m,). The
    reward is 1 when the episode is solved, else 0, unless another one is asked for. An episode is terminated when it is
    solved or lost and truncated at its time limit. `info["outcome"]` says which, and `info["is_success"]` whether it is
    solved. The true scene is `env.world.state`.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 20}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(
        self,
        start: Start,
        features: Sequence[str],
        poses: PoseSource | Sequence[PoseSource] | None = None,
        render_mode: str | None = None,
        reward: TaskReward | None = None,
        disturbed_share: float = 0.0,
        time_limit: float | None = None,
        channels: ChannelQuality | Sequence[ChannelQuality] = GOOD_CHANNEL,
        handed_over_share: float = 0.0,
    ) -> None:
        """Make an environment.

        Args:
            start: where its episodes begin.
            features: observed ones, in order.
            poses: what gives the observed object poses; one of several is drawn for each episode; the true ones with
                ROMAN's noise of 5 mm if None.
            render_mode: "rgb_array" for pictures, "human" for MuJoCo's viewer, which needs a display.
            reward: what a step earns; 1 for success if None.
            disturbed_share: of the episodes that meet a disturbance.
            time_limit: after which an episode is truncated [s]; the task's own, longer one if None.
            channels: of the commands to the arm; one of several is drawn for each episode.
            handed_over_share: of the episodes that begin with the hand where the skill before leaves it.

        Raises:
            ConfigError: if there is no such render mode.
            RomanError: if the viewer finds no display.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigError(f"unknown render mode {render_mode!r}: expected one of human, rgb_array, None")
        self.world = World(start.task)
        self.metadata = {**self.metadata, "render_fps": round(self.world.control_rate)}
        self.start = start
        self.features = tuple(features)
        self.poses = _kinds(TruthPoses, TruthPoses(NOISE_BOUND) if poses is None else poses)
        (self.reward,) = _kinds(TaskReward, TaskReward() if reward is None else reward)
        self.disturbed_share = disturbed_share
        self.handed_over_share = handed_over_share
        self.time_limit = math.inf if time_limit is None else time_limit
        self.channels = _kinds(ChannelQuality, channels)
        self.render_mode = render_mode
        spec = start.task.spec
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(self.features),), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (spec.action.size,), np.float32)
        self._layout = feature_layout(spec)
        self._indices = self._layout.indices(self.features)
        self._renderer: Renderer | None = None
        self._viewer = Viewer(self.world) if render_mode == "human" else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        rng = self.np_random
        handed_over = self.handed_over_share > 0.0 and rng.random() < self.handed_over_share
        self._episode = Episode(
            self.world,
            dataclasses.replace(self.start, handed_over=handed_over),
            Streams.shared(rng),
            poses=self.poses[rng.integers(len(self.poses))],
            disturbed=bool(rng.random() < self.disturbed_share),
            channel=self.channels[rng.integers(len(self.channels))],
            time_limit=self.time_limit,
        )
        self._gripper_opening = self.start.task.spec.gripper.open
        self._potential = self._potential_now()
        self._show()
        return self._observe(), _info(Outcome.RUNNING)

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        command = to_command(
            self.start.task.spec, self.world.stamp_ns, np.asarray(action, np.float64), self._gripper_opening
        )
        self._gripper_opening = command.gripper_opening
        outcome = self._episode.step(command)
        truncated = outcome is Outcome.TIME_LIMIT
        terminated = outcome is not Outcome.RUNNING and not truncated
        before, self._potential = self._potential, self._potential_now()
        reward = self.reward.success * (outcome is Outcome.SUCCESS) + self.reward.progress * (self._potential - before)
        self._show()
        return self._observe(), reward, terminated, truncated, _info(outcome)

    def _potential_now(self) -> float:
        if not self.reward.progress:
            return 0.0
        return potential(self.start.task, self._episode.state, self.start.skill)

    def render(self) -> Any:
        """RGB picture of the overview camera, (480, 640, 3), in render mode `rgb_array`; else None."""
        if self.render_mode != "rgb_array":
            return None
        if self._renderer is None:
            self._renderer = Renderer(self.world, "overview", *PICTURE_SIZE)
        return self._renderer.frame(self.world.physics_state())

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

    def _observe(self) -> Observation:
        return self._layout.vector(self._episode.scene)[self._indices].astype(np.float32)


def _info(outcome: Outcome) -> dict[str, Any]:
    return {"outcome": outcome.value, "is_success": outcome is Outcome.SUCCESS}


class SkillEnv(TaskEnv):
    """One skill alone, observed as its expert observes it."""

    def __init__(self, task: str | SimTask, skill: str, **kwargs: Any) -> None:
        """`task`: its name, folder or what has been loaded from there; all else is TaskEnv's."""
        loaded = task if isinstance(task, SimTask) else load_sim_task(task)
        super().__init__(loaded.start(skill), feature_layout(loaded.spec).observations[skill], **kwargs)


class ScenarioEnv(TaskEnv):
    """The whole task from a scenario's start, observed through all features."""

    def __init__(self, task: str | SimTask, scenario: int | None = None, **kwargs: Any) -> None:
        """`task`: as SkillEnv's; `scenario`: its number, the last one if None; all else is TaskEnv's."""
        loaded = task if isinstance(task, SimTask) else load_sim_task(task)
        number = len(loaded.spec.scenarios) - 1 if scenario is None else scenario
        super().__init__(loaded.start(number), feature_layout(loaded.spec).names, **kwargs)


def _kinds(kind: Callable[..., Kind], given: Kind | Mapping[str, Any] | Sequence[Any]) -> tuple[Kind, ...]:
    """One or several of a dataclass, each of which may be a mapping, as in an EnvSpec that comes from JSON."""
    several = given if isinstance(given, Sequence) else (given,)
    return tuple(kind(**one) if isinstance(one, Mapping) else one for one in several)


def register(task: str) -> None:
    """Register a task's environments with Gymnasium, under its own name."""
    spec = load_spec(task)
    for skill in spec.skills:
        gymnasium.register(
            f"{spec.name}/{skill}-v0",
            entry_point="roman_moe.sim.env:SkillEnv",
            vector_entry_point="roman_moe.sim.vector_env:skill_envs",
            kwargs={"task": task, "skill": skill},
        )
    gymnasium.register(
        f"{spec.name}/scenario-v0",
        entry_point="roman_moe.sim.env:ScenarioEnv",
        vector_entry_point="roman_moe.sim.vector_env:scenario_envs",
        kwargs={"task": task},
    )


for _name, _folder in known_tasks().items():
    if _folder.parent == SHIPPED:
        register(_name)
