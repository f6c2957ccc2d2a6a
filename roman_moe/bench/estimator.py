"""How long the learned estimator of object poses takes for a frame set, and how much of that the network alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.core.spec_parts import CameraSpec
from roman_moe.perception.estimator import PoseEstimator
from roman_moe.sim.cameras import SceneCameras
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.world import World

WARM_UP = 5  # estimates that do not count


def measure(task: str, file: Path, frame_sets: int) -> dict[str, Any]:
    """Estimate again and again from the images of all cameras at a start of a task, on one core.

    Each estimate is followed by the network alone on the same images, so that what else the machine does falls on both.

    Returns:
        `estimate_ms`, from images to positions, and `network_ms`, each with `p50` and `p99`; `network_share`, the ratio
        of the medians; `cameras`; `file_mb` [1e6 bytes].

    Raises:
        BundleError: if the file cannot be used.
    """
    sim_task = load_sim_task(task)
    estimator = PoseEstimator(sim_task.spec, {}, file)
    size = CameraSpec(estimator.metadata.width, estimator.metadata.height)
    world = World(sim_task)
    world.reset(sim_task.start(""), np.random.default_rng(0))
    with closing(SceneCameras(world, dict.fromkeys(sim_task.spec.cameras, size))) as scene:
        estimator.cameras, images = scene.cameras, scene.images()
    pictures, cameras = np.stack(list(images.values())), tuple(estimator.cameras[name] for name in images)
    times = [
        (_milliseconds(lambda: estimator.detect(0, images)), _milliseconds(lambda: estimator.ask(pictures, cameras)))
        for _ in range(WARM_UP + frame_sets)
    ][WARM_UP:]
    p50, p99 = np.percentile(times, (50, 99), axis=0).tolist()
    return {
        "estimate_ms": {"p50": p50[0], "p99": p99[0]},
        "network_ms": {"p50": p50[1], "p99": p99[1]},
        "network_share": p50[1] / p50[0],
        "cameras": len(images),
        "file_mb": file.stat().st_size / 1e6,
    }


def _milliseconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1e3 * (time.perf_counter() - began)
