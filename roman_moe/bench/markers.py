"""How far poses from markers are from the truth, over a task's starts, in images as `perception.markers` sees them."""

from __future__ import annotations

import itertools
import time
from contextlib import closing
from typing import Any

import numpy as np

from roman_moe.core.spec_parts import CameraSpec
from roman_moe.perception.markers import MarkerEstimator
from roman_moe.sim.cameras import SceneCameras
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.world import World

WITHIN = 7.81
"""Square of the distance in standard deviations that 95 % of the errors of three numbers stay below."""


def measure(task: str = "roman", starts: int = 30, width: int = 960, seed: int = 0) -> dict[str, Any]:
    """Look once at each start, of all skills and scenarios in turn, with images of `width` by 3/4 `width` pixels.

    Returns:
        `median_mm` and `p95_mm` of all positions, `inside` the share of them within their 95 % ellipsoid, `look_cpu_ms`
        the median CPU time of a frame set; for each object the same, and how often it was `seen`.
    """
    sim_task = load_sim_task(task)
    world = World(sim_task, markers=True)
    names = [*sim_task.skills, *range(len(sim_task.spec.scenarios))]
    rng = np.random.default_rng(seed)
    errors: dict[str, list[float]] = {name: [] for name in sim_task.spec.objects}
    squares: list[float] = []
    times = []
    size = CameraSpec(width, 3 * width // 4)
    with closing(SceneCameras(world, dict.fromkeys(sim_task.spec.cameras, size))) as cameras:
        finder = MarkerEstimator(sim_task.spec, cameras.cameras)
        for start in itertools.islice(itertools.cycle(names), starts):
            state = world.reset(sim_task.start(start), rng)
            images = cameras.images()
            began = time.process_time()
            found = finder.detect(state.stamp_ns, images)
            times.append(time.process_time() - began)
            for row, name in enumerate(sim_task.spec.objects):
                if found.seen[row]:
                    error = found.positions[row] - state.object_positions[row]
                    errors[name].append(1e3 * float(np.linalg.norm(error)))
                    squares.append(float(error @ np.linalg.solve(found.covariances[row], error)))
    return {
        **_summary([error for each in errors.values() for error in each]),
        "inside": round(float(np.mean(np.array(squares) < WITHIN)), 3),
        "look_cpu_ms": round(1e3 * float(np.median(times)), 1),
        "objects": {name: {"seen": len(each) / starts, **_summary(each)} for name, each in errors.items()},
    }


def _summary(errors: list[float]) -> dict[str, float]:
    if not errors:
        return {}
    return {"median_mm": round(float(np.median(errors)), 2), "p95_mm": round(float(np.percentile(errors, 95)), 2)}
