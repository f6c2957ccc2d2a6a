"""The graph as processes: the same answers, a clear word when one dies, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from specs import SKILLS
from worlds import TASK, roman_world

from roman_moe.control.bundle import load_bundle
from roman_moe.control.controller import Controller
from roman_moe.core.errors import RomanError
from roman_moe.nodes.base.environment import DOMAIN
from roman_moe.nodes.base.process import PARENT_VARIABLE
from roman_moe.nodes.bringup.bringup import Graph, Tick, running_graph
from roman_moe.nodes.bringup.graph import NodeSpec, load_description, resolve
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.sim.streams import Streams

START = 300.0  # [s] for a dozen processes; only a hang reaches it


@pytest.fixture(autouse=True)
def _own_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DOMAIN, raising=False)  # the bring-up takes one at random


def specs(bundle: Path, **arguments: object) -> tuple[NodeSpec, ...]:
    return resolve(load_description(), {"bundle": str(bundle), "lockstep": True, **arguments})


def shared_memory_of(processes: Iterable[int]) -> list[str]:
    """Fast DDS' files in shared memory that any of them has: one that is killed would leave them behind."""
    maps = "".join(Path(f"/proc/{process}/maps").read_text() for process in processes)
    return [line for line in maps.splitlines() if "/dev/shm/fast" in line]


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def first_tick(graph: Graph) -> Tick:
    assert graph.spin_until(lambda: graph.monitor.tick is not None, START), graph.monitor.faults()
    assert graph.monitor.tick is not None
    return graph.monitor.tick


def test_processes_are_in_the_namespace_of_the_graph(bundle: Path) -> None:
    some = [spec for spec in specs(bundle, arm="mock") if spec.name in ("pose_source", "observer", "mock_arm")]
    namespace = ("--ros-args", "-r", "__ns:=/left")
    with running_graph(some, separate=True, ros_arguments=namespace) as graph:
        graph.spin_until(lambda: set(graph.monitor.statuses) == {spec.name for spec in some}, START)
        assert {status.name for status in graph.monitor.statuses.values()} == {f"left/{spec.name}" for spec in some}


def test_processes_give_the_in_process_weights_and_leave_nothing(bundle: Path) -> None:
    count = 40
    ticks: dict[int, Tick] = {}
    with running_graph(
        specs(bundle, seed=7), separate=True, on_tick=lambda tick: ticks.setdefault(tick.stamp_ns, tick)
    ) as graph:
        processes = graph.processes
        others = {"lab", "pose_source", "observer", "gate", "blender"}
        assert set(processes) == others | {f"expert_{skill}" for skill in SKILLS}
        assert graph.spin_until(lambda: bool(graph.monitor.episodes), START)  # the lab has told when it began
        ticks.clear()
        assert graph.spin_until(lambda: len(ticks) >= count, START)
        there = Counter(graph.monitor.get_node_names())
        assert set(there.values()) == {1}, there
        assert set(graph.names) <= set(there)
        assert not shared_memory_of(processes.values())
    assert not any(is_alive(process) for process in processes.values())

    lab, controller, streams = roman_world(), Controller(load_bundle(bundle)), Streams.of_seed(7)
    state = lab.reset(TASK.start(6), streams.start)
    sensor = TruthPoses(0.005).open(lab, streams)
    compared = 0
    while state.stamp_ns <= max(ticks):  # the first ticks may have been over before their topics found this process
        step = controller.step(sensor.measure(state))
        if state.stamp_ns in ticks:
            np.testing.assert_array_equal(ticks[state.stamp_ns].weights, step.weights, err_msg=str(state.stamp_ns))
            compared += 1
        state = lab.step(step.command)
    assert compared >= count


def test_a_process_that_dies_is_named_and_ends_the_others(bundle: Path) -> None:
    with running_graph(specs(bundle), separate=True) as graph:
        first_tick(graph)
        processes = graph.processes
        os.kill(processes["expert_push"], signal.SIGKILL)
        with pytest.raises(RomanError, match=r"node expert_push ended with exit code -9"):
            graph.spin_until(lambda: False, START)
    assert not any(is_alive(process) for process in processes.values())


def test_a_process_that_cannot_start_says_why(bundle: Path) -> None:
    bad = NodeSpec("pose_source", "pose_source", {"task": "roman", "noise_bound": -1.0})
    with (
        pytest.raises(RomanError, match=r"node pose_source ended with exit code 2: .*'noise_bound' is out of range"),
        running_graph([bad], separate=True) as graph,
    ):
        graph.spin_until(lambda: False, START)


def test_ctrl_c_ends_all_processes(bundle: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(f"""
        from roman_moe.nodes.bringup.bringup import running_graph
        from roman_moe.nodes.bringup.graph import load_description, resolve

        specs = resolve(load_description(), {{"bundle": {str(bundle)!r}, "episodes": 0}})
        try:
            with running_graph(specs, separate=True) as graph:
                print(*graph.processes.values(), flush=True)
                assert graph.spin_until(lambda: graph.monitor.tick is not None, {START})
                print("running", flush=True)
                graph.spin_until(lambda: False, {START})
        except KeyboardInterrupt:
            print("ended", flush=True)
        """)
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        processes = [int(text) for text in process.stdout.readline().split()]
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ended\n"
    assert process.returncode == 0
    assert not any(is_alive(process) for process in processes)


def test_nodes_end_with_the_process_that_started_them(bundle: Path) -> None:
    environment = {**os.environ, PARENT_VARIABLE: "-1"}
    command = [sys.executable, "-m", "roman_moe.nodes", "observer", "--ros-args", "-p", "task:=roman"]
    finished = subprocess.run(command, env=environment, timeout=START, check=False)
    assert finished.returncode == 0
