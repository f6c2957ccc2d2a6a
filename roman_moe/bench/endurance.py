"""Does the graph leave anything behind: brought up and shut down many times, and left running for long.

It counts child processes, threads, open files and Fast DDS' files in shared memory of this process. It compares the
memory that the process holds after the first minute of simulated time and at the end.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import Any

from roman_moe.core.errors import RomanError
from roman_moe.nodes.bringup.bringup import running_graph
from roman_moe.nodes.bringup.graph import load_description, resolve

TIMEOUT = 90.0  # [s]


def measure(
    bundle_path: str | Path, *, bringups: int = 200, separate_bringups: int = 10, minutes: float = 60.0
) -> dict[str, Any]:
    """Bring the graph up and down, then let it run in lockstep.

    Args:
        bringups: with all nodes in this process, each until its first tick.
        separate_bringups: with a process a node.
        minutes: of simulated time to run for.

    Returns:
        {"composed": {"bringups", "failures", "leaked_processes", "leaked_threads", "leaked_python_threads",
        "leaked_files", "leaked_shared_memory", "median_s"}, "separate": {the same}, "lockstep": {"simulated_minutes",
        "realtime_factor", "memory_mb", "memory_growth", "episodes"}}.
    """
    return {
        "composed": _bring_up_and_down(bundle_path, bringups, separate=False),
        "separate": _bring_up_and_down(bundle_path, separate_bringups, separate=True),
        "lockstep": _run_for_long(bundle_path, minutes),
    }


def _bring_up_and_down(bundle_path: str | Path, times: int, separate: bool) -> dict[str, Any]:
    specs = resolve(load_description(), {"bundle": str(bundle_path), "lockstep": True})
    failures, durations = 0, []
    before: dict[str, int] = {}
    for number in range(times + 1):
        if number == 1:  # after the first: what is loaded once stays
            before = _held()
        began = time.monotonic()
        try:
            with running_graph(specs, separate=separate) as graph:
                failures += not graph.spin_until(lambda: graph.monitor.tick is not None, TIMEOUT)
        except RomanError:
            failures += 1
        durations.append(time.monotonic() - began)
    after = _held()
    durations.sort()
    leaks = {f"leaked_{name}": after[name] - before[name] for name in after} if times else {}
    return {"bringups": times, "failures": failures, **leaks, "median_s": round(durations[len(durations) // 2], 2)}


def _held() -> dict[str, int]:
    gc.collect()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "processes": len(children),
        "threads": len(os.listdir("/proc/self/task")),
        "python_threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "shared_memory": len(list(Path("/dev/shm").glob("fast*"))),
    }


def _run_for_long(bundle_path: str | Path, minutes: float) -> dict[str, Any]:
    specs = resolve(load_description(), {"bundle": str(bundle_path), "lockstep": True, "episodes": 0})
    with running_graph(specs) as graph:
        episodes = graph.monitor.episodes

        def simulated() -> float:
            """Minutes of all ended episodes."""
            return sum(standing.time_s for standing in episodes if standing.outcome != "running") / 60.0

        if not graph.spin_until(lambda: simulated() >= min(1.0, minutes / 2.0), TIMEOUT):
            raise RomanError(f"bench endurance: no episode ended: {graph.monitor.faults()}")
        at_first, since, began = _memory(), simulated(), time.monotonic()
        while simulated() < minutes:
            ended = len(episodes)
            if not graph.spin_until(lambda ended=ended: len(episodes) > ended, TIMEOUT):  # type: ignore[misc]
                raise RomanError(f"bench endurance: the graph stands still: {graph.monitor.faults()}")
        took, at_last = time.monotonic() - began, _memory()
        return {
            "simulated_minutes": round(simulated(), 1),
            "realtime_factor": round((simulated() - since) * 60.0 / took, 1),
            "memory_mb": round(at_last / 1e6, 1),
            "memory_growth": round(at_last / at_first - 1.0, 5),
            "episodes": sum(standing.outcome != "running" for standing in episodes),
        }


def _memory() -> int:
    """Resident memory of this process [bytes]."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
