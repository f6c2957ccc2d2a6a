"""How long one tick of the controller takes in process: features, gate, experts, blend and command."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.control.bundle import Bundle, load_bundle
from roman_moe.control.controller import Controller
from roman_moe.core.errors import BundleError
from roman_moe.core.state import NANOSECONDS, SceneState
from roman_moe.testing.scenes import random_scene

WARM_UP_TICKS = 200


def measure(
    bundle_path: str | Path, ticks: int = 4000, seed: int = 0, beside: str | Path | None = None
) -> dict[str, Any]:
    """Time single calls of `Controller.step` on random scenes, one after the other on one core.

    The gate runs at every second tick; the figures reported first are of these, the longer ticks: all networks. Each
    is followed by the bare calls of the runtime on the same networks, so that what else the machine does falls on both.
    Times grow under load, so run it on an idle machine.

    Args:
        ticks: to time, after 200 that warm up.
        beside: folder of another bundle for the same task, timed in turn on the same scenes.

    Returns:
        {"tick_us": {"p50", "p99"}} of the ticks with the gate, "without_gate_us" likewise of the others, "bare_us" of
        the runtime's calls alone on the gate and all experts with a weight, "tick_over_bare", the ratio of the medians,
        and "ticks". With another bundle, its figures as "beside", and "faster_beside": how many times shorter its
        median of all ticks is.

    Raises:
        BundleError: if a bundle cannot be loaded, or the two differ in task or rates.
    """
    timed = [_Timed(load_bundle(path)) for path in (bundle_path, beside) if path is not None]
    bundle = timed[0].bundle
    if any((each.bundle.spec, each.bundle.rates) != (bundle.spec, bundle.rates) for each in timed):
        raise BundleError(f"{beside}: is for another task than {bundle_path}, or has other rates")
    rng = np.random.default_rng(seed)
    stamps = [round(tick * NANOSECONDS / bundle.rates.control_rate) for tick in range(WARM_UP_TICKS + ticks)]
    scenes = [random_scene(bundle.spec, stamp, rng) for stamp in stamps]
    for tick, scene in enumerate(scenes):
        for each in timed:
            each.step(scene, counts=tick >= WARM_UP_TICKS)
    figures, *others = [each.figures() for each in timed]
    if others:
        medians = [float(np.median(each.with_gate + each.without)) for each in timed]
        figures |= {"beside": others[0], "faster_beside": round(medians[0] / medians[1], 3)}
    return figures


class _Timed:
    """One bundle, and how long its ticks took [ns]."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._controller = Controller(bundle)
        self.with_gate: list[int] = []
        self.without: list[int] = []
        self._bare: list[int] = []

    def step(self, scene: SceneState, counts: bool) -> None:
        bundle = self.bundle
        began = time.perf_counter_ns()
        step = self._controller.step(scene)
        between = time.perf_counter_ns()
        weighed = zip(bundle.experts, step.weights.tolist(), strict=True)
        networks = [bundle.gate, *(expert for expert, weight in weighed if weight != 0.0)]
        ready = time.perf_counter_ns()
        for network in networks:
            network.run()
        ended = time.perf_counter_ns()
        if counts and bundle.rates.gate_due(scene.stamp_ns):
            self.with_gate.append(between - began)
            self._bare.append(ended - ready)
        elif counts:
            self.without.append(between - began)

    def figures(self) -> dict[str, Any]:
        return {
            "tick_us": _percentiles(self.with_gate),
            "without_gate_us": _percentiles(self.without or self.with_gate),
            "bare_us": _percentiles(self._bare),
            "tick_over_bare": round(float(np.median(self.with_gate) / np.median(self._bare)), 3),
            "ticks": len(self.with_gate) + len(self.without),
        }


def _percentiles(nanoseconds: Sequence[int]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(nanoseconds, share)) / 1e3, 1) for share in (50, 99)}
