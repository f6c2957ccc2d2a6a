"""The shipped estimators find objects in images that they were not trained on, and mixtures do tasks by them."""

from __future__ import annotations

import pytest

from roman_moe.bench.estimator import measure
from roman_moe.core.paths import find_shipped
from roman_moe.evaluation.controllers import make_controller
from roman_moe.evaluation.pose_report import poses_report
from roman_moe.evaluation.poses import PosesRequest, judge_poses
from roman_moe.sim.camera_poses import CameraPoses
from roman_moe.sim.episode import run_episode
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.world import World

TASKS = ["roman", "kitting"]


@pytest.mark.parametrize("name", TASKS)
def test_objects_are_found_where_they_are(name: str) -> None:
    request = PosesRequest(load_sim_task(name), find_shipped(f"models/poses/{name}.onnx"), 20, 0, 5, 1)
    report = poses_report(request, judge_poses(request))
    assert report["median_m"] < 0.004
    assert report["moved"]["median_m"] < 0.006
    assert report["unseen"]["median_m"] < 0.01


def test_a_look_takes_little_longer_than_the_network() -> None:
    figures = measure("roman", find_shipped("models/poses/roman.onnx"), 3)
    assert 0.0 < figures["network_ms"]["p50"] <= figures["network_ms"]["p99"]
    assert figures["cameras"] == 2
    assert figures["file_mb"] < 5.0


@pytest.mark.parametrize("name", TASKS)
def test_a_scenario_is_solved_by_what_cameras_see(name: str) -> None:
    task = load_sim_task(name)
    result = run_episode(World(task), make_controller(f"models/{name}", task), task.start(1), 0, CameraPoses("camera"))
    assert result.success, result
    assert result.tally is not None
