"""How long one tick of the controller takes in process: features, gate, all experts, blend and command."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.control.bundle import load_bundle
from roman_moe.control.controller import Controller
from roman_moe.core.state import NANOSECONDS
from roman_moe.testing.scenes import random_scene

WARM_UP_TICKS = 200


def measure(bundle_path: str | Path, ticks: int = 4000, seed: int = 0) -> dict[str, Any]:
    """Time single calls of `Controller.step` on random scenes, one after the other on one core.

    The gate runs at every second tick; the figures reported first are of these, the longer ticks: all networks. Each
    is followed by the bare calls of the runtime on the same networks, so that what else the machine does falls on both.
    Times grow under load, so run it on an idle machine.

    Args:
        bundle_path: folder of the controller bundle.
        ticks: to time, after 200 that warm up.
        seed: of the scenes.

    Returns:
        {"tick_us": {"p50", "p99"}} of the ticks with the gate, "without_gate_us" likewise of the others, "bare_us" of
        the runtime's calls on all networks alone, "tick_over_bare", the ratio of the medians, and "ticks".

    Raises:
        BundleError: if the bundle cannot be loaded.
    """
    bundle = load_bundle(bundle_path)
    controller = Controller(bundle)
    networks = [bundle.gate, *bundle.experts]
    rng = np.random.default_rng(seed)
    with_gate: list[int] = []
    without: list[int] = []
    bare: list[int] = []
    stamps = [round(tick * NANOSECONDS / bundle.rates.control_rate) for tick in range(WARM_UP_TICKS + ticks)]
    scenes = [random_scene(bundle.spec, stamp, rng) for stamp in stamps]
    for tick, scene in enumerate(scenes):
        began = time.perf_counter_ns()
        controller.step(scene)
        between = time.perf_counter_ns()
        for network in networks:
            network.run()
        ended = time.perf_counter_ns()
        if tick >= WARM_UP_TICKS and bundle.rates.gate_due(scene.stamp_ns):
            with_gate.append(between - began)
            bare.append(ended - between)
        elif tick >= WARM_UP_TICKS:
            without.append(between - began)
    return {
        "tick_us": _percentiles(with_gate),
        "without_gate_us": _percentiles(without or with_gate),
        "bare_us": _percentiles(bare),
        "tick_over_bare": round(float(np.median(with_gate) / np.median(bare)), 3),
        "ticks": ticks,
    }


def _percentiles(nanoseconds: Sequence[int]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(nanoseconds, share)) / 1e3, 1) for share in (50, 99)}
