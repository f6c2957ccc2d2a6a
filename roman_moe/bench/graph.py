"""How long the ROS graph takes from a scene's stamp to its command, and how much CPU its control nodes use.

A stand-in for the arm shows states at the controller's rate in real time; pose source, observer, gate, experts and
blender run as ever.
A scene's stamp is the moment at which the arm's state is published, so every hop from there on counts, pose source and
observer included, until the command is received. There is no physics: CPU is all of this process when composed (the
stand-in and the bring-up's monitor included), and all of the control nodes' processes when separate.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.control.manifest import load_manifest
from roman_moe.core.errors import RomanError
from roman_moe.nodes.bringup.bringup import Graph, running_graph
from roman_moe.nodes.bringup.graph import load_description, resolve
from roman_moe.nodes.bringup.node_processes import START_TIMEOUT
from roman_moe.testing.scenes import random_scene
from roman_moe.testing.stand_in_arm import StandInArm

WARM_UP_TICKS = 40


def measure(bundle_path: str | Path, seconds: float = 10.0, seed: int = 0) -> dict[str, Any]:
    """Measure the graph composed and separate, one after the other; run it on an idle machine.

    Args:
        seconds: that each of the two is measured for, after 2 s that warm up.

    Returns:
        {"composed": {"p50_ms", "p99_ms", "cpu_cores", "ticks", "missed_ticks"}, "separate": {the same}}: delay from
        scene stamp to command, CPU of the control nodes, ticks measured and how many of them got no command.

    Raises:
        RomanError: if the bundle cannot be loaded or the graph does not run.
    """
    arguments = {"bundle": str(bundle_path)}
    specs = [spec for spec in resolve(load_description(), arguments) if spec.executable != "lab_node"]
    manifest = load_manifest(bundle_path)
    rate = manifest.rates.control_rate
    rng = np.random.default_rng(seed)
    states = [random_scene(manifest.task, 0, rng) for _ in range(100)]
    figures = {}
    for mode in ("composed", "separate"):
        with running_graph(specs, separate=mode == "separate") as graph:
            arm = graph.add(lambda context: StandInArm(context, states, rate))
            if not graph.spin_until(lambda arm=arm: len(arm.delays_ns) > 0, START_TIMEOUT):  # type: ignore[misc]
                raise RomanError(f"bench graph: no command within {START_TIMEOUT:.0f} s: {graph.monitor.faults()}")
            figures[mode] = _measure(graph, arm, max(1, round(seconds * rate)), rate)
    return figures


def _measure(graph: Graph, arm: StandInArm, ticks: int, rate: float) -> dict[str, Any]:
    processes = list(graph.processes.values())
    timeout = 10.0 * (WARM_UP_TICKS + ticks) / rate
    first = arm.ticks + WARM_UP_TICKS
    graph.spin_until(lambda: arm.ticks >= first, timeout)
    began, cpu_before = time.monotonic(), _cpu_time(processes)
    graph.spin_until(lambda: arm.ticks >= first + ticks, timeout)
    cpu_cores = (_cpu_time(processes) - cpu_before) / (time.monotonic() - began)
    graph.spin_until(lambda: first + ticks - 1 in arm.delays_ns, 1.0 / rate)  # the last one's command
    delays = np.array([arm.delays_ns[tick] for tick in range(first, first + ticks) if tick in arm.delays_ns])
    if not len(delays):
        raise RomanError(f"bench graph: no tick of {ticks} got a command: {graph.monitor.faults()}")
    return {
        "p50_ms": round(float(np.percentile(delays, 50)) / 1e6, 3),
        "p99_ms": round(float(np.percentile(delays, 99)) / 1e6, 3),
        "cpu_cores": round(cpu_cores, 4),
        "ticks": ticks,
        "missed_ticks": ticks - len(delays),
    }


def _cpu_time(processes: Iterable[int]) -> float:
    """CPU time of these processes so far, or of this one if there are none, user and system [s]."""
    processes = list(processes)
    if not processes:
        return time.process_time()
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, fields 14 and 15 counted from the process id on
    return ticks / os.sysconf("SC_CLK_TCK")
