"""How long one tick of the controller takes in process: features, gate, all experts, blend and command."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.bench.scenes import random_scene
from roman_moe.control.bundle import load_bundle
from roman_moe.control.controller import Controller
from roman_moe.core.state import NANOSECONDS

WARM_UP_TICKS = 200


def measure(bundle_path: str | Path, ticks: int = 4000, seed: int = 0) -> dict[str, Any]:
    """Time single calls of `Controller.step` on random scenes, one after the other on one core.

    The gate runs at every second tick; the figure reported first is that of these, the longer ticks: all networks.
    It grows under load, so run it on an idle machine.

    Args:
        bundle_path: folder of the controller bundle.
        ticks: to time, after 200 that warm up.
        seed: of the scenes.

    Returns:
        {"tick_us": {"p50", "p99"}} of the ticks with the gate, "without_gate_us" likewise of the others, and "ticks".

    Raises:
        BundleError: if the bundle cannot be loaded.
    """
    controller = Controller(load_bundle(bundle_path))
    rates = controller.networks.rates
    rng = np.random.default_rng(seed)
    with_gate: list[int] = []
    without: list[int] = []
    for tick in range(WARM_UP_TICKS + ticks):
        scene = random_scene(controller.bundle.spec, round(tick * NANOSECONDS / rates.control_rate), rng)
        began = time.perf_counter_ns()
        controller.step(scene)
        elapsed = time.perf_counter_ns() - began
        if tick >= WARM_UP_TICKS:
            (with_gate if rates.gate_due(scene.stamp_ns) else without).append(elapsed)
    return {
        "tick_us": _percentiles(np.array(with_gate)),
        "without_gate_us": _percentiles(np.array(without or with_gate)),
        "ticks": ticks,
    }


def _percentiles(nanoseconds: NDArray[np.int64]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(nanoseconds, share)) / 1e3, 1) for share in (50, 99)}
