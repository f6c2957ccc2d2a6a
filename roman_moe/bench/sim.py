"""How fast the lab runs: against bare physics, and against time.

Ratios compare stretches measured in turn, so that what else the machine does falls on both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.evaluation.controllers import OracleController
from roman_moe.sim.arm import ArmController
from roman_moe.sim.env import NOISE_BOUND, SkillEnv
from roman_moe.sim.judge import Judge, Outcome
from roman_moe.sim.starts import scenario_start
from roman_moe.sim.world import World

STRETCH = 100
"""Environment steps a stretch: long against the clock, short against what disturbs a machine."""


def measure(seconds: float = 10.0, seed: int = 0) -> dict[str, Any]:
    """Measure on one core for about `seconds` [s].

    Returns:
        `raw_physics_ratio`: environment steps/s of a skill's environment (command, physics, observation with noise,
        judge) over what bare `mj_step` calls reach from the same states with the same controls and substeps;
        `realtime_factor`: simulated seconds per second with the oracle driving scenario 6, resets included;
        `env_steps_per_s`, and `bare_steps_per_s`, the physics steps/s of the bare calls. Medians over stretches.
    """
    ratios: list[float] = []
    env_rates: list[float] = []
    bare_rates: list[float] = []
    deadline = time.monotonic() + 0.5 * seconds
    env = SkillEnv("pick_and_insert")
    rng = np.random.default_rng(seed)
    while time.monotonic() < deadline or not ratios:
        env_time, bare_time = _stretch(env, rng)
        ratios.append(bare_time / env_time)
        env_rates.append(STRETCH / env_time)
        bare_rates.append(STRETCH * env.lab.substeps / bare_time)
    return {
        "raw_physics_ratio": round(median(ratios), 3),
        "realtime_factor": round(_realtime_factor(0.5 * seconds, seed), 1),
        "env_steps_per_s": round(median(env_rates)),
        "bare_steps_per_s": round(median(bare_rates)),
        "noise_bound_m": NOISE_BOUND,
    }


class _Recording(ArmController):
    """An arm's controller that notes what it has set."""

    def __init__(self, arm: ArmController) -> None:
        self._arm = arm
        self.controls: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    def apply(self, data: mujoco.MjData, velocity: NDArray[np.float64], gripper_opening: float) -> None:
        self._arm.apply(data, velocity, gripper_opening)
        self.controls.append((data.ctrl.copy(), data.act.copy()))


def _stretch(env: SkillEnv, rng: np.random.Generator) -> tuple[float, float]:
    """CPU time of a stretch of environment steps, and of the same physics by bare calls [s]."""
    lab = env.lab
    env.reset(seed=int(rng.integers(2**31)))
    actions = rng.uniform(-1.0, 1.0, (STRETCH, 4)).astype(np.float32)
    size = mujoco.mj_stateSize(lab.model, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    begin = np.empty(size)
    mujoco.mj_getState(lab.model, lab.data, begin, mujoco.mjtState.mjSTATE_FULLPHYSICS)

    # Once with its controls recorded: what the bare calls are to repeat.
    arm = lab.arm
    recording = _Recording(arm)
    lab.arm = recording
    for action in actions:
        env.step(action)
    lab.arm = arm

    def environment() -> None:
        for action in actions:
            env.step(action)

    def bare() -> None:
        model, data, substeps = lab.model, lab.data, lab.substeps
        for control, activation in recording.controls:
            data.ctrl[:] = control
            data.act[:] = activation
            mujoco.mj_step(model, data, nstep=substeps)

    times = []
    for run in (environment, bare):
        mujoco.mj_setState(lab.model, lab.data, begin, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        mujoco.mj_forward(lab.model, lab.data)
        times.append(_cpu_time(run))
    return times[0], times[1]


def _cpu_time(run: Callable[[], None]) -> float:
    began = time.thread_time()
    run()
    return time.thread_time() - began


def _realtime_factor(seconds: float, seed: int) -> float:
    lab, oracle = World(), OracleController()
    start = scenario_start(6)
    judge = Judge(start)
    simulated, used, episode = 0.0, 0.0, 0
    while used < seconds:
        began = time.thread_time()
        state = lab.reset(start, np.random.default_rng([seed, episode]))
        judge.reset(lab)
        oracle.reset()
        while judge.update(lab) is Outcome.RUNNING:
            state = lab.step(oracle.step(state).command)
        used += time.thread_time() - began
        simulated += state.stamp
        episode += 1
    return simulated / used
