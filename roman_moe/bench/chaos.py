"""Faults put into a running graph, one an episode: does the arm come to rest in time, does the task go on?

Every node is a process of its own, the lab runs in real time, and the bring-up's supervision restarts what dies. The
fault comes at a random moment at which the hand moves and one expert leads. If the fault takes away what the graph
needs, the arm has to be at rest within `Limits.max_command_age` and one control tick. This time counts from the scene
that the last moving command answered to the first at which the hand is at rest and stays so. That command must be no
older than it takes the graph to notice the loss.

The lab itself is not killed: it is the world.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.bundle import load_bundle
from roman_moe.control.limits import load_limits
from roman_moe.core.errors import RomanError
from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.base.peers import own_process
from roman_moe.nodes.base.topics import SCENE
from roman_moe.nodes.bringup.bringup import Graph, running_graph
from roman_moe.nodes.bringup.graph import load_description, resolve
from roman_moe.nodes.bringup.monitor import RUNNING
from roman_moe.nodes.bringup.node_processes import START_TIMEOUT
from roman_moe.testing.saboteur import FAULTS, Fault, LossyRelay, Saboteur
from roman_moe.testing.weakened_expert import disturbed_copy

AT_REST = 0.003  # [m] the hand swings by up to 2.7 mm on the arm's servos when its command stops
MOTION_TIMEOUT = 60.0  # [s]
NOTICED = 0.15  # [s] until a loss must show: the gate's period or the poses' greatest age, and the tick under way
WATCHED = 0.5  # [s] of simulated time after a fault; a pose source was seen back after 0.8 s, maybe 0.65 s
EPISODE_TIMEOUT = 120.0  # [s] from a fault to the episode's end; without one, scenario 2 takes 13 s
EARLIEST, LATEST = 1.0, 9.0  # [s] of an episode at which a fault may come
STARTS = ("2", "3", "4", "5", "6")
SHARED_MEMORY = "/dev/shm"
SEGMENT_BYTES = 1 << 20


@dataclass
class Result:
    """What came of all runs with one fault, as the report has it."""

    runs: int = 0
    stopped_in_time: int = 0
    task_successes: int = 0
    needs_stop: bool = False
    slowest_stop_s: float = 0.0
    slowest_since_fault_s: float = 0.0
    restarts: int = 0
    failures: list[str] = field(default_factory=list)


def measure(
    bundle_path: str | Path,
    *,
    runs: int = 10,
    faults: Sequence[str] = (),
    start: str = "2",
    seed: int = 0,
    damaged: int = 200,
    on_run: Callable[[str, Result], None] = lambda name, result: None,
) -> dict[str, Any]:
    """Put each fault into so many episodes.

    Args:
        runs: episodes with each fault.
        faults: names of those to put in; all if none.
        start: skill or scenario that every episode starts from.
        damaged: how many damaged networks to swap to while the arm moves; none if 0.

    Returns:
        {"faults": {name: {"runs", "stopped_in_time", "task_successes", "needs_stop", "slowest_stop_s",
        "slowest_since_fault_s", "restarts", "failures"}}, "damaged_models": {"tried", "refused", "crashes"}}.

    Raises:
        RomanError: if the graph does not run without any fault.
    """
    if start not in STARTS:
        raise RomanError(f"chaos: start {start!r}: expected one of {', '.join(STARTS)}, which are not over too soon")
    chosen = [fault for fault in FAULTS if not faults or fault.name in faults]
    results = {fault.name: Result(needs_stop=fault.needs_stop) for fault in chosen}
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="roman_moe-") as name:
        folder = Path(name)
        others = disturbed_copy(bundle_path, folder / "others", np.random.default_rng(seed))
        for kind in ("usual", "lossy", "full_shm"):
            if kind == "full_shm" and any(fault.graph == kind for fault in chosen) and not _shared_memory_is_full():
                found = _in_full_shared_memory(bundle_path, runs, start, seed)
                results.update({name: Result(**content) for name, content in found.items()})
                continue
            todo = [fault for fault in chosen if fault.graph == kind for _ in range(runs)]
            rng = np.random.default_rng([seed, len(todo)])
            while todo:  # a graph that breaks is started again for the rest
                with _graph(kind, bundle_path, start, seed + sum(r.runs for r in results.values())) as graph:
                    saboteur = graph.add(partial(Saboteur, graph=graph, others=others, rng=rng))
                    while todo and _run(saboteur, todo[0], results[todo[0].name]):
                        on_run(todo[0].name, results[todo.pop(0).name])
                    if todo:
                        on_run(todo[0].name, results[todo.pop(0).name])
        if damaged:
            report["damaged_models"] = _swap_to_damaged(bundle_path, folder, others, start, damaged, seed)
    return {"faults": {name: dataclasses.asdict(result) for name, result in results.items()}, **report}


def _shared_memory_is_full() -> bool:
    """Whether /dev/shm has no room for Fast DDS' segments of half a megabyte each."""
    room = os.statvfs(SHARED_MEMORY)
    return room.f_bavail * room.f_frsize < SEGMENT_BYTES


def _in_full_shared_memory(bundle_path: str | Path, runs: int, start: str, seed: int) -> dict[str, Any]:
    """The same in a process that has a tiny /dev/shm of its own; needs the right to mount."""
    with tempfile.TemporaryDirectory(prefix="roman_moe-") as folder:
        file = Path(folder) / "report.json"
        words = [sys.executable, "-m", "roman_moe", "chaos", "--bundle", str(bundle_path), "--runs", str(runs)]
        words += ["--start", start, "--seed", str(seed), "--faults", "full_shared_memory", "--damaged", "0"]
        words += ["--json", str(file)]
        mount = f"mount -t tmpfs -o size=64k tmpfs {SHARED_MEMORY} && exec {shlex.join(words)}"
        ended = subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, text=True, check=False)
        if not file.exists():
            last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
            return {"full_shared_memory": {"failures": [f"cannot be tried here: {last}"]}}
        return json.loads(file.read_text())["faults"]


@contextlib.contextmanager
def _graph(kind: str, bundle_path: str | Path, start: str, seed: int) -> Iterator[Graph]:
    """The graph as processes, watched over."""
    specs = resolve(
        load_description(), {"bundle": str(bundle_path), "start": start, "seed": seed % 2**30, "episodes": 0}
    )
    if kind == "lossy":
        relayed = {SCENE.name: LossyRelay.SOURCE}
        specs = tuple(dataclasses.replace(s, remaps=relayed) if s.executable == "observer" else s for s in specs)
    with running_graph(specs, separate=True, respawn=True) as graph:
        if kind == "lossy":
            graph.add(LossyRelay)
        yield graph


def _run(saboteur: Saboteur, fault: Fault, result: Result) -> bool:
    """One episode with one fault; False if the graph has to be started again."""
    graph, monitor = saboteur.graph, saboteur.graph.monitor
    result.runs += 1
    restarts = len(graph.restarts)
    try:
        begun = saboteur.episode if saboteur.hand else -1
        graph.spin_until(lambda: bool(saboteur.hand) and saboteur.episode != begun, START_TIMEOUT)
        earliest = float(saboteur.rng.uniform(EARLIEST, LATEST))
        if not graph.spin_until(lambda: saboteur.in_motion(earliest), START_TIMEOUT + MOTION_TIMEOUT):
            raise RomanError(f"no motion in {MOTION_TIMEOUT:.0f} s: {'; '.join(monitor.faults())}")
        known = len(monitor.episodes)
        at = saboteur.stamp
        if fault.uncounted:
            monitor.tell_process_ended(own_process(saboteur).hex())
        fault.inject(saboteur)
        stopped = fault.needs_stop and _stopped_in_time(saboteur, fault, at, result)
        for _ in range(fault.lasts):
            _spin_a_tick(saboteur)
            fault.inject(saboteur)
        saboteur.be_silent()
        result.stopped_in_time += stopped
        if not graph.spin_until(lambda: _ended(saboteur, known), EPISODE_TIMEOUT):
            faults = "; ".join(monitor.faults()) or "no node complains"
            raise RomanError(f"{saboteur.leading} still led {EPISODE_TIMEOUT:.0f} s after the fault: {faults}")
        outcome = next(s.outcome for s in monitor.episodes[known:] if s.outcome != RUNNING)
        result.task_successes += outcome == "success"
        if outcome != "success":
            result.failures.append(outcome)
    except RomanError as error:
        result.failures.append(str(error))
        return False
    finally:
        saboteur.be_silent()
        result.restarts += len(graph.restarts) - restarts
    return True


def _spin_a_tick(saboteur: Saboteur) -> None:
    """Let one control period go by: what is done at every turn of the executor instead would flood the graph."""
    saboteur.graph.spin_until(lambda: False, saboteur.period_ns / NANOSECONDS)


def _ended(saboteur: Saboteur, known: int) -> bool:
    episodes = saboteur.graph.monitor.episodes
    return any(standing.outcome != RUNNING for standing in episodes[known:])


def _stopped_in_time(saboteur: Saboteur, fault: Fault, at: int, result: Result) -> bool:
    """Whether the hand came to rest within the limit after the last command that moved it, and stayed there."""
    limit = load_limits().max_command_age + saboteur.period_ns / NANOSECONDS
    end = at + round(WATCHED * NANOSECONDS)
    episode = saboteur.episode
    while saboteur.stamp < end and saboteur.episode == episode:
        if fault.lasts:
            fault.inject(saboteur)
        _spin_a_tick(saboteur)
    track = [(hand.stamp_ns, hand.translations[0]) for hand in saboteur.hand if hand.stamp_ns >= at]
    if saboteur.episode != episode:
        result.failures.append("another episode began before the arm was seen to rest")
        return False
    # a second commander's commands are no measure: the arm must not follow them
    moving = [stamp for stamp, speed in saboteur.commands if speed > 0.0 and stamp >= at]
    last = at if fault.lasts else max(moving, default=at)
    rest = max(at_rest_from(track), last)  # an arm that is told to move is not at rest, even if it is stuck
    took, since_fault = (rest - last) / NANOSECONDS, (rest - at) / NANOSECONDS
    result.slowest_stop_s = max(result.slowest_stop_s, round(took, 3))
    result.slowest_since_fault_s = max(result.slowest_since_fault_s, round(since_fault, 3))
    in_time = took <= limit + 1e-9 and since_fault <= limit + NOTICED + 1e-9
    if not in_time:
        result.failures.append(
            f"at rest {took:.2f} s after the last motion command, {since_fault:.2f} s after the fault"
        )
    return in_time


def at_rest_from(track: Sequence[tuple[int, NDArray[np.float64]]]) -> int:
    """The first stamp [ns] from which on the hand stays within `AT_REST` of where it is then.

    A drive's safe operating stop is monitored in this way (IEC 61800-5-2): by position, not by speed. A slow creep is
    then no rest, but the swing of a hand that was stopped is one.

    Args:
        track: stamps [ns] and positions of the hand, (3,) [m], in order.
    """
    places = np.array([place for _, place in track])
    return next(
        stamp for i, (stamp, _) in enumerate(track) if np.linalg.norm(places[i:] - places[i], axis=1).max() <= AT_REST
    )


def _swap_to_damaged(
    bundle_path: str | Path, folder: Path, others: Path, start: str, count: int, seed: int
) -> dict[str, Any]:
    """Ask an expert in motion for one damaged network after the other."""
    from roman_moe.testing.damage import damaged_models

    bundle = load_bundle(bundle_path)
    skill = bundle.skills[0]
    files = damaged_models(bundle.path / bundle.manifest.experts[skill].file, folder / "damaged", count, seed)
    refused, unnamed, accepted = 0, [], []
    with _graph("usual", bundle_path, start, seed) as graph:
        saboteur = graph.add(partial(Saboteur, graph=graph, others=others, rng=np.random.default_rng(seed)))
        if not graph.spin_until(lambda: graph.monitor.tick is not None, START_TIMEOUT):
            raise RomanError(f"chaos: no tick: {'; '.join(graph.monitor.faults())}")
        if not graph.spin_until(partial(saboteur.finds, skill), START_TIMEOUT):
            raise RomanError(f"chaos: no parameter services of expert_{skill}")
        for kind, file in files:
            future = saboteur.set_model(skill, file)
            if not graph.spin_until(future.done, 10.0):
                accepted.append(f"{kind}: no answer")
                continue
            answer = future.result().results[0]
            refused += not answer.successful
            if answer.successful:
                accepted.append(kind)
            elif file.name not in answer.reason:
                unnamed.append(kind)
        crashes = len(graph.restarts)
    return {"tried": len(files), "refused": refused, "crashes": crashes, "accepted": accepted, "unnamed": unnamed}
