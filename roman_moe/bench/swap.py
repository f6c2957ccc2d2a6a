"""What replacing a network costs a graph in motion: missed ticks, the step at the seam, and the time until it answers.

The lab runs in real time, with all nodes in this process. One swap follows the other: of the network that leads at the
moment, and now and then of the gate. The networks that take turns are the bundle's own and copies with disturbed
weights. Every answer goes through the real topics. A swap lasts from its request to the report of the first scene that
the new network answered, which /diagnostics brings.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.control.bundle import Bundle, load_bundle
from roman_moe.core.errors import RomanError
from roman_moe.core.spec import GATE
from roman_moe.nodes.bringup.bringup import Graph, running_graph
from roman_moe.nodes.bringup.graph import load_description, resolve
from roman_moe.nodes.bringup.graph_client import node_of
from roman_moe.nodes.control.network_node import SHA256
from roman_moe.testing.probe import Listener, Moment
from roman_moe.testing.weakened_expert import disturbed_copy

RAMP = 0.5  # [s] the nodes' default
GATE_SHARE = 5  # every so many swaps it is the gate's turn
TIMEOUT = 60.0  # [s]


def measure(bundle_path: str | Path, swaps: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Swap so often while the arm moves, and report.

    Returns:
        {"swaps", "missed_ticks", "seam_ratio", "p50_ms", "p99_ms", "largest_seam_step", "largest_seam_excess",
        "largest_expert_step", "mean_difference"}: the seam's ratio is that of the largest step of a swapped expert's
        answer within a ramp to the largest that the experts make by themselves over the same scenes. The excess is by
        how much such a step exceeds those of both its networks over the same two scenes, and the mean difference what
        lies between the answers of the networks taken turns with.

    Raises:
        RomanError: if the graph does not run, or a swap is refused.
    """
    with tempfile.TemporaryDirectory(prefix="roman_moe-") as folder:
        bundle = load_bundle(bundle_path)
        other = load_bundle(disturbed_copy(bundle_path, Path(folder) / "other", np.random.default_rng(seed)))
        arguments = {"bundle": str(bundle_path), "seed": seed, "episodes": 0}
        with running_graph(resolve(load_description(), arguments)) as graph:
            listener = graph.add(lambda context: Listener("bench", context, bundle.spec, bundle.skills))
            if not graph.spin_until(lambda: len(listener.scenes) > 2.0 * bundle.rates.control_rate, TIMEOUT):
                raise RomanError(f"bench swap: no scenes within {TIMEOUT:.0f} s: {graph.monitor.faults()}")
            before = graph.monitor.missed_ticks
            delays, seams = _swap(graph, listener, bundle, other, swaps)
            graph.spin_until(lambda: False, 2.0)  # the last ramp, and the last reports
            missed = graph.monitor.missed_ticks - before
    seam_step, excess, own_step, difference = _steps(listener, seams, bundle.skills, (bundle, other))
    return {
        "swaps": len(delays),
        "missed_ticks": missed,
        "seam_ratio": round(seam_step / own_step, 4),
        "p50_ms": round(float(np.percentile(delays, 50)) * 1000, 1),
        "p99_ms": round(float(np.percentile(delays, 99)) * 1000, 1),
        "largest_seam_step": round(seam_step, 4),
        "largest_seam_excess": round(excess, 4),
        "largest_expert_step": round(own_step, 4),
        "mean_difference": round(difference, 4),
    }


def _swap(
    graph: Graph, listener: Listener, bundle: Bundle, other: Bundle, swaps: int
) -> tuple[list[float], dict[str, list[Moment]]]:
    """Swap so often; how long each took [s], and the first tick after each request by network."""
    next_ones = {name: itertools.cycle((other, bundle)) for name in (*bundle.skills, GATE)}
    delays: list[float] = []
    seams: dict[str, list[Moment]] = {name: [] for name in next_ones}
    for number in range(swaps):
        tick = graph.monitor.tick
        name = GATE if number % GATE_SHARE == 0 or tick is None else tick.leading
        chosen = next(next_ones[name])
        entry = chosen.manifest.networks[name]
        file = chosen.path.resolve() / entry.file
        if not graph.spin_until(partial(listener.finds, name), TIMEOUT):
            raise RomanError(f"bench swap: {node_of(name)} is not to be found")
        seams[name].append(max(listener.scenes))
        began = time.monotonic()
        future = listener.set_model(name, file)
        if not graph.spin_until(future.done, TIMEOUT) or not future.result().results[0].successful:
            raise RomanError(f"bench swap: {name}: {future.result() if future.done() else 'no answer'}")
        if not graph.spin_until(partial(_runs, graph, name, entry.sha256), TIMEOUT):
            raise RomanError(f"bench swap: {name} does not run {file}: {graph.monitor.faults()}")
        delays.append(time.monotonic() - began)
    return delays, seams


def _runs(graph: Graph, name: str, sha256: str) -> bool:
    status = graph.monitor.statuses.get(node_of(name))
    return status is not None and any(v.key == SHA256 and v.value == sha256 for v in status.values)


def _steps(
    listener: Listener, seams: Mapping[str, Sequence[Moment]], skills: tuple[str, ...], bundles: tuple[Bundle, Bundle]
) -> tuple[float, float, float, float]:
    """Four measures of the answers' steps, of all skills together.

    Returns:
        The largest step of a swapped expert within its ramps, and by how much such a step exceeds those of both its
        networks over the same two scenes. Then the experts' own largest step, and the networks' mean difference.
    """
    ramp_ns, period_ns = round(RAMP * 1e9), round(1e9 / bundles[0].rates.control_rate)
    stamps = sorted(listener.scenes)
    seam_step = own_step = excess = 0.0
    differences = []
    for i, skill in enumerate(skills):
        given = listener.answers[skill]
        own = [np.array([bundle.experts[i](listener.scenes[s]) for s in stamps]) for bundle in bundles]
        differences.append(float(np.abs(own[0] - own[1]).mean()))
        follows = np.array([a[0] == b[0] and b[1] - a[1] == period_ns for a, b in itertools.pairwise(stamps)])
        own_steps = np.max([np.abs(np.diff(answers, axis=0)).max(axis=1) for answers in own], axis=0)
        own_step = max(own_step, float(own_steps[follows].max()))
        pairs = zip(stamps, stamps[1:], follows, own_steps, strict=False)
        for before, now, consecutive, usual in pairs:
            if consecutive and before in given and now in given and _within(now, seams[skill], ramp_ns, period_ns):
                step = float(np.abs(given[now] - given[before]).max())
                seam_step, excess = max(seam_step, step), max(excess, step - float(usual))
    return seam_step, excess, own_step, float(np.mean(differences))


def _within(tick: Moment, seams: Sequence[Moment], ramp_ns: int, period_ns: int) -> bool:
    """Whether a tick lies between a request and the end of its ramp, with some ticks for the loading."""
    return any(e == tick[0] and 0 <= tick[1] - stamp <= ramp_ns + 10 * period_ns for e, stamp in seams)
