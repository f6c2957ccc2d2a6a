"""The shipped bundle with a sparse gate solves the long task with two experts at a time."""

from __future__ import annotations

import numpy as np

from roman_moe.control.controller import ControlStep
from roman_moe.control.manifest import load_manifest
from roman_moe.core.state import SceneState
from roman_moe.evaluation.controllers import make_controller
from roman_moe.sim.env import NOISE_BOUND
from roman_moe.sim.episode import run_episode
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.world import World

TASK = load_sim_task("roman")


def test_it_solves_the_longest_scenario_with_two_experts_at_a_time() -> None:
    weighed: list[int] = []
    ran: list[int] = []

    def count(_: SceneState, step: ControlStep) -> None:
        weighed.append(np.count_nonzero(step.weights))
        ran.append(np.count_nonzero(step.expert_actions.any(axis=1)))

    controller = make_controller("models/roman_sparse", TASK)
    poses = TruthPoses(NOISE_BOUND)
    results = [run_episode(World(TASK), controller, TASK.start(6), seed, poses, on_tick=count) for seed in range(2)]
    assert [result.outcome for result in results] == ["success"] * 2
    assert set(weighed) == {2}
    assert max(ran) <= 2


def test_all_but_its_gate_is_the_dense_bundle_s() -> None:
    sparse, dense = load_manifest("models/roman_sparse"), load_manifest("models/roman")
    assert sparse.experts == dense.experts
    assert sparse.gate != dense.gate
    assert sparse.provenance["networks"]["gate"]["recipe"]["gate"]["k"] == 2
