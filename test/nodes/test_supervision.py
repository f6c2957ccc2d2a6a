"""Supervision: what dies or freezes is started again and the graph goes on; the world and hopeless cases are not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bundles import write_tiny_bundle
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from roman_moe.core.errors import RomanError
from roman_moe.nodes.base.environment import DOMAIN
from roman_moe.nodes.bringup.bringup import Graph, running_graph
from roman_moe.nodes.bringup.graph import NodeSpec, load_description, resolve
from roman_moe.nodes.bringup.node_processes import CONNECTION_RETRIES, RESTART_LIMIT, START_TIMEOUT, NodeProcesses
from roman_moe.testing.probe import Probe

START = 300.0  # [s] for a dozen processes; only a hang reaches it


@pytest.fixture
def graph(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    monkeypatch.delenv(DOMAIN, raising=False)  # the bring-up takes one at random
    specs = resolve(load_description(), {"bundle": str(bundle), "episodes": 0})
    with running_graph(specs, separate=True, respawn=True) as graph:
        assert graph.spin_until(lambda: graph.monitor.tick is not None, START), graph.monitor.faults()
        yield graph


def test_what_is_killed_or_frozen_is_started_again_and_the_graph_goes_on(graph: Graph) -> None:
    before = graph.processes
    os.kill(before["blender"], signal.SIGKILL)
    os.kill(before["observer"], signal.SIGSTOP)
    assert graph.spin_until(lambda: len(graph.restarts) == 2, START), graph.restarts
    assert sorted(line.split()[1] for line in graph.restarts) == ["blender", "observer"]
    assert any("ended with exit code -9" in line for line in graph.restarts)
    assert any("sent no report for too long" in line for line in graph.restarts)
    after = graph.processes
    assert {name for name in before if before[name] != after[name]} == {"blender", "observer"}
    there = graph.monitor.tick
    assert graph.spin_until(lambda: graph.monitor.tick is not there, START), graph.monitor.faults()
    # DDS shows the killed commander for 20 s: the arm does not take it for a second one
    assert not any("HALT_TWO_COMMANDERS" in line for line in graph.monitor.faults())
    assert "two" not in facts(graph, "lab").get("last_fault", "")


def facts(graph: Graph, node: str) -> dict[str, str]:
    status = graph.monitor.statuses.get(node)
    return {value.key: value.value for value in status.values} if status else {}


def test_a_successor_begins_where_its_predecessor_was_stopped_taken_out_and_swapped(
    graph: Graph, bundle: Path, tmp_path: Path
) -> None:
    other = write_tiny_bundle(tmp_path / "other", seed=9) / "push.onnx"
    probe = graph.add(lambda context: Probe("probe", context))
    assert graph.spin_until(lambda: probe.finds("push"), START)
    future = probe.set_model("push", other)
    assert graph.spin_until(lambda: facts(graph, "expert_push").get("model") == str(other), START), future.result()
    graph.trigger("blender", "stop")
    assert graph.spin_until(lambda: facts(graph, "blender").get("stopped") == "True", START)
    setter = graph.monitor.create_client(SetParameters, "blender/set_parameters")
    assert graph.spin_until(setter.service_is_ready, START)
    out = Parameter("taken_out", value=["pull", "push"]).to_parameter_msg()
    setter.call_async(SetParameters.Request(parameters=[out]))
    assert graph.spin_until(lambda: facts(graph, "blender").get("taken_out") == "pull,push", START)
    assert graph.spin_until(lambda: len(graph.said) == 1, START)
    assert "stopped until rearm" in graph.said[0]
    for node in ("blender", "expert_push"):
        before = graph.processes[node]
        os.kill(before, signal.SIGKILL)
        assert graph.spin_until(lambda node=node, before=before: graph.processes[node] != before, START)  # type: ignore[misc]
        graph.monitor.statuses.pop(node)
        assert graph.spin_until(lambda node=node: node in graph.monitor.statuses, START)  # type: ignore[misc]
    assert facts(graph, "blender")["stopped"] == "True"
    assert facts(graph, "blender")["taken_out"] == "pull,push"
    assert graph.spin_until(lambda: facts(graph, "blender").get("guard") == "20 STOPPED", START)
    assert facts(graph, "expert_push")["model"] == str(other)


def test_the_successor_of_a_deactivated_node_waits_until_it_is_activated(graph: Graph) -> None:
    def change(transition: int) -> None:
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        assert graph.spin_until(future.done, START)
        assert future.result().success

    def successor_of(node: str) -> None:
        before = graph.processes[node]
        os.kill(before, signal.SIGKILL)
        assert graph.spin_until(lambda: graph.processes[node] != before, START)
        graph.monitor.statuses.pop(node)
        assert graph.spin_until(lambda: node in graph.monitor.statuses, START)

    client = graph.monitor.create_client(ChangeState, "blender/change_state")
    assert graph.spin_until(client.service_is_ready, START)
    graph.trigger("blender", "stop")
    assert graph.spin_until(lambda: facts(graph, "blender").get("stopped") == "True", START)
    change(Transition.TRANSITION_DEACTIVATE)
    assert graph.spin_until(lambda: facts(graph, "blender").get("autostart") == "False", START)
    change(Transition.TRANSITION_CLEANUP)
    successor_of("blender")
    assert graph.monitor.any_inactive  # so that nobody who misses it is taken for deaf
    graph.spin_until(lambda: False, 1.0)
    there = graph.monitor.tick
    assert not graph.spin_until(lambda: graph.monitor.tick is not there, 2.0)
    assert graph.spin_until(client.service_is_ready, START)
    change(Transition.TRANSITION_CONFIGURE)
    change(Transition.TRANSITION_ACTIVATE)
    assert graph.spin_until(lambda: graph.monitor.tick is not there, START), graph.monitor.faults()
    assert facts(graph, "blender")["stopped"] == "True"
    assert graph.spin_until(lambda: facts(graph, "blender").get("autostart") == "True", START)
    successor_of("blender")
    again = graph.monitor.tick
    assert graph.spin_until(lambda: graph.monitor.tick is not again, START), graph.monitor.faults()


def test_a_successor_that_does_not_come_together_with_the_others_is_started_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node_processes = NodeProcesses(respawn=True)
    node_processes.start(NodeSpec("pose_source", "pose_source", {"task": "roman"}))
    node_processes.start(NodeSpec("observer", "observer", {"task": "roman"}))
    began = time.monotonic()
    restarts: list[str] = []

    def look(first: float, last: float, missing: dict[str, float]) -> None:
        for tenths in range(round(10 * first), round(10 * last)):  # it has to look often, or it doubts itself
            now = began + tenths / 10.0
            monkeypatch.setattr(time, "monotonic", lambda now=now: now)
            last_reports = dict.fromkeys(("pose_source", "observer"), now)
            node_processes.check(last_reports, missing={name: began + since for name, since in missing.items()})
        restarts[:] = node_processes.restarts

    try:
        look(0.0, 40.0, {"observer": 1.0})  # from the first start on: whatever it is, no successor is to blame
        assert not restarts
        os.kill(node_processes.ids["observer"], signal.SIGKILL)
        os.waitid(os.P_PID, node_processes.ids["observer"], os.WEXITED | os.WNOWAIT)
        look(40.0, 42.0, {})
        assert len(restarts) == 1
        look(42.0, 45.0, {"observer": 42.0})  # it starts, waits, and hears: all well
        look(45.0, 60.0, {})
        look(60.0, 90.0, {"observer": 60.0})  # later trouble is not of its start
        assert len(restarts) == 1
        os.kill(node_processes.ids["observer"], signal.SIGKILL)
        os.waitid(os.P_PID, node_processes.ids["observer"], os.WEXITED | os.WNOWAIT)
        look(90.0, 102.0, {"blender": 92.0})
        assert len(restarts) == 2
        look(102.0, 103.0, {"blender": 92.0})
        assert restarts[2:] == [
            "node observer is not connected to the others (blender received nothing): started again"
        ]
        look(103.0, 300.0, {"blender": 92.0})
        assert len(restarts) == 2 + CONNECTION_RETRIES  # then it must have another reason
        assert all("observer" in restart for restart in restarts)
    finally:
        monkeypatch.undo()
        node_processes.end()


def test_a_supervisor_that_was_suspended_takes_nobody_for_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    node_processes = NodeProcesses(respawn=True)
    node_processes.start(NodeSpec("pose_source", "pose_source", {"task": "roman"}))
    began = time.monotonic()
    last_reports = {"pose_source": began + 1.0}
    try:
        for later, restarts in ((2.0, 0), (20.0, 0), (22.0, 0), (23.0, 0), (24.5, 1)):
            monkeypatch.setattr(time, "monotonic", lambda later=later: began + later)
            node_processes.check(last_reports)
            assert len(node_processes.restarts) == restarts, later
    finally:
        monkeypatch.undo()
        node_processes.end()


def test_the_world_is_not_started_again(graph: Graph) -> None:
    os.kill(graph.processes["lab"], signal.SIGKILL)
    with pytest.raises(RomanError, match=r"node lab ended with exit code -9"):
        graph.spin_until(lambda: False, START)


def test_what_dies_again_and_again_is_an_error() -> None:
    node_processes = NodeProcesses(respawn=True)
    node_processes.start(NodeSpec("pose_source", "pose_source", {"task": "roman"}))
    try:
        for count in range(RESTART_LIMIT):
            os.kill(node_processes.ids["pose_source"], signal.SIGKILL)
            _check_until(node_processes, lambda count=count: len(node_processes.restarts) > count)  # type: ignore[misc]
        os.kill(node_processes.ids["pose_source"], signal.SIGKILL)
        with pytest.raises(RomanError, match=rf"code -9: .*; {RESTART_LIMIT} nodes were started again in 30 s already"):
            _check_until(node_processes, lambda: False)
        assert len(node_processes.restarts) == RESTART_LIMIT
    finally:
        node_processes.end()


@pytest.mark.parametrize(
    ("name", "parameters", "complaint"),
    [
        ("pose_source", {"task": "roman", "noise_bound": -1.0}, "'noise_bound' is out of range"),
        ("arm_bridge", {}, "parameter 'config' is empty"),
    ],
)
def test_a_node_that_refuses_its_configuration_is_not_started_again(
    name: str, parameters: dict[str, object], complaint: str
) -> None:
    node_processes = NodeProcesses(respawn=True)
    node_processes.start(NodeSpec(name, name, parameters))
    try:
        with pytest.raises(RomanError, match=rf"node {name} ended with exit code 2: [^;]*{complaint}[^;]*$"):
            _check_until(node_processes, lambda: False)
        assert not node_processes.restarts
    finally:
        node_processes.end()


def _check_until(node_processes: NodeProcesses, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + START
    while not condition():
        assert time.monotonic() < end
        node_processes.check({})


def test_a_node_that_starts_is_not_taken_for_a_frozen_one(monkeypatch: pytest.MonkeyPatch) -> None:
    node_processes = NodeProcesses(respawn=True)
    node_processes.start(NodeSpec("pose_source", "pose_source", {"task": "roman"}))
    began = time.monotonic()
    try:
        for later in range(round(START_TIMEOUT) + 2):  # it has to look often, or it doubts itself
            monkeypatch.setattr(time, "monotonic", lambda later=later: began + later)
            node_processes.check({"pose_source": began - 100.0})  # its predecessor's last word
            assert len(node_processes.restarts) == (later >= START_TIMEOUT), later
    finally:
        monkeypatch.undo()
        node_processes.end()
