"""How fast the lab runs: against bare physics, and against time.

Ratios compare stretches measured in turn, so that what else the machine does falls on both alike.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.outcome import Outcome
from roman_moe.evaluation.controllers import OracleController
from roman_moe.sim.arm import ArmController
from roman_moe.sim.env import NOISE_BOUND, SkillEnv
from roman_moe.sim.episode import Episode
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.streams import Streams
from roman_moe.sim.task import SimTask
from roman_moe.sim.world import World

STRETCH = 100
"""Environment steps a stretch: long against the clock, short against what disturbs a machine."""


def measure(seconds: float = 10.0, seed: int = 0, task: str = "roman") -> dict[str, Any]:
    """Measure a task on one core for about `seconds` [s].

    Returns:
        `raw_physics_ratio`: environment steps/s of the skills' environments (command, physics, observation with noise,
        judge), in turn, over what bare `mj_step` calls reach from the same states with the same controls and substeps;
        `realtime_factor`: simulated seconds per second with the oracle driving the longest scenario, resets included;
        `env_steps_per_s`, and `bare_steps_per_s`, the physics steps/s of the bare calls. Medians over stretches.
    """
    ratios: list[float] = []
    env_rates: list[float] = []
    bare_rates: list[float] = []
    deadline = time.monotonic() + 0.5 * seconds
    sim_task = load_sim_task(task)
    envs = [SkillEnv(sim_task, skill) for skill in sim_task.skills]
    rng = np.random.default_rng(seed)
    for env in itertools.cycle(envs):
        if ratios and time.monotonic() >= deadline:
            break
        env_time, bare_time = _stretch(env, rng)
        ratios.append(bare_time / env_time)
        env_rates.append(STRETCH / env_time)
        bare_rates.append(STRETCH * env.world.substeps / bare_time)
    return {
        "raw_physics_ratio": round(median(ratios), 3),
        "realtime_factor": round(_realtime_factor(sim_task, 0.5 * seconds, seed), 1),
        "env_steps_per_s": round(median(env_rates)),
        "bare_steps_per_s": round(median(bare_rates)),
        "noise_bound_m": NOISE_BOUND,
    }


class _Recording(ArmController):
    """An arm's controller that notes what it has set."""

    def __init__(self, arm: ArmController) -> None:
        self.__dict__.update(arm.__dict__)  # `World.state` reads which joints are the arm's
        self._arm = arm
        self.controls: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    def apply(
        self,
        data: mujoco.MjData,
        velocity: NDArray[np.float64],
        angular_velocity: NDArray[np.float64],
        gripper_opening: float,
    ) -> None:
        self._arm.apply(data, velocity, angular_velocity, gripper_opening)
        self.controls.append((data.ctrl.copy(), data.act.copy()))


def _stretch(env: SkillEnv, rng: np.random.Generator) -> tuple[float, float]:
    """CPU time of a stretch of environment steps, and of the same physics by bare calls [s]."""
    world = env.world
    env.reset(seed=int(rng.integers(2**31)))
    actions = rng.uniform(-1.0, 1.0, (STRETCH, env.start.task.spec.action.size)).astype(np.float32)
    size = mujoco.mj_stateSize(world.model, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    begin = np.empty(size)
    mujoco.mj_getState(world.model, world.data, begin, mujoco.mjtState.mjSTATE_FULLPHYSICS)

    # Once with its controls recorded: what the bare calls are to repeat.
    arm = world.arm
    recording = _Recording(arm)
    world.arm = recording
    for action in actions:
        env.step(action)
    world.arm = arm

    def environment() -> None:
        for action in actions:
            env.step(action)

    def bare() -> None:
        model, data, substeps = world.model, world.data, world.substeps
        for control, activation in recording.controls:
            data.ctrl[:] = control
            data.act[:] = activation
            mujoco.mj_step(model, data, nstep=substeps)

    times = []
    for run in (environment, bare):
        mujoco.mj_setState(world.model, world.data, begin, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        mujoco.mj_forward(world.model, world.data)
        times.append(_cpu_time(run))
    return times[0], times[1]


def _cpu_time(run: Callable[[], None]) -> float:
    began = time.thread_time()
    run()
    return time.thread_time() - began


def _realtime_factor(task: SimTask, seconds: float, seed: int) -> float:
    world, oracle = World(task), OracleController(task)
    start = task.start(len(task.spec.scenarios) - 1)
    simulated, used, number = 0.0, 0.0, 0
    while used < seconds:
        began = time.thread_time()
        episode = Episode(world, start, Streams.of_seed(seed + number))
        oracle.reset()
        while episode.outcome is Outcome.RUNNING:
            episode.step(oracle.step(episode.state).command)
        used += time.thread_time() - began
        simulated += episode.state.stamp
        number += 1
    return simulated / used
