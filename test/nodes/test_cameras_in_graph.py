"""From pixels to twist through the whole graph: the lab's images, the estimator, and what follows."""

from __future__ import annotations

from typing import Any

import numpy as np
from worlds import TASK

from roman_moe.control.bundle import load_bundle
from roman_moe.control.controller import Controller
from roman_moe.core.outcome import Outcome
from roman_moe.core.paths import share_folder
from roman_moe.nodes.bringup.bringup import run_episode
from roman_moe.sim.camera_poses import CameraPoses
from roman_moe.sim.episode import run_episode as run_in_process
from roman_moe.sim.world import World

BUNDLE, SEED = share_folder() / "models/roman", 3


def test_markers_in_images_lead_the_arm_through_the_graph_as_in_process() -> None:
    """The same images, poses and twists, and so the same states to the last bit."""
    record = run_episode(BUNDLE, "0", seed=SEED, poses="markers", lockstep=True)
    assert record.success
    world, states = World(TASK, markers=True), []

    def on_tick(_: Any, step: Any) -> None:
        states.append(world.physics_state())

    controller, source = Controller(load_bundle(BUNDLE)), CameraPoses("markers")
    result = run_in_process(world, controller, TASK.start("0"), SEED, source, on_tick=on_tick)
    assert result.outcome == Outcome.SUCCESS.value
    np.testing.assert_array_equal(record.physics_states, states)
