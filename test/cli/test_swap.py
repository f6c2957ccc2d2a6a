"""`roman-moe swap`: what cannot be meant is one line; and everything that is done to a running graph, end to end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bundles import tiny_network, write_tiny_bundle
from specs import ROMAN, SKILLS

from roman_moe.cli import main as entry
from roman_moe.cli.swap import Swap, running_manifest
from roman_moe.core.errors import RomanError

pytest.importorskip("rclpy")

from roman_moe.nodes.bringup import graph_client, snapshot
from roman_moe.nodes.bringup.snapshot import GraphListener


def one_line(capfd: pytest.CaptureFixture[str]) -> str:
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("roman-moe: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "expected NETWORK MODEL"),
        (["push"], "expected NETWORK MODEL"),
        (["push", "a.onnx", "--take-out"], "expected NETWORK MODEL"),
        (["push", "--take-out", "--put-back"], "expected NETWORK MODEL"),
        (["push", "--bundle", "models/roman"], "expected NETWORK MODEL"),
        (["--take-out"], "expected NETWORK MODEL"),
        (["push", "a.onnx", "b.onnx"], "b.onnx"),
    ],
)
def test_what_cannot_be_meant_gives_one_line_and_2(
    arguments: list[str], named: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(["swap", *arguments]) == 2
    assert named in one_line(capfd)


class Graph:
    """As much of a client as swapping needs, and of the nodes behind it.

    Attributes:
        models: parameter `model` of each node.
        refuses: nodes that refuse, from how many requests on.
    """

    def __init__(self, bundle: Path, refuses: dict[str, int]) -> None:
        self.bundle = bundle
        self.models = {graph_client.node_of(network): "" for network in (*SKILLS, "gate")}
        self.refuses = refuses

    def get(self, node: str, parameter: str) -> str:
        return str(self.bundle) if parameter == "bundle" else self.models[node]

    def set(self, node: str, _: str, value: str) -> None:
        if node in self.refuses:
            self.refuses[node] -= 1
            if self.refuses[node] < 0:
                raise graph_client.Refusal(f"{node} refuses: no")
        self.models[node] = value


def swap_bundle(graph: Graph, bundle: Path) -> str:
    return Swap(bundle=bundle)._swap_bundle(graph, bundle, running_manifest(graph))  # type: ignore[arg-type]


def test_a_bundle_changes_over_as_a_whole(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    graph = Graph(bundle, {})
    swap_bundle(graph, bundle)
    assert graph.models["gate"] == str(bundle / "gate.onnx")
    assert graph.models["expert_push"] == str(bundle / "push.onnx")


def test_a_bundle_that_is_refused_in_part_changes_nothing(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    graph = Graph(bundle, {"expert_button": 0})  # the last that is asked
    with pytest.raises(RomanError, match="expert_button refuses: no; all networks are as they were"):
        swap_bundle(graph, bundle)
    assert set(graph.models.values()) == {""}


def test_what_cannot_be_set_back_is_named_and_the_others_are(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    graph = Graph(bundle, {"expert_button": 0, "expert_push": 1})
    with pytest.raises(RomanError, match="refuses: no; could not be set back: push$"):
        swap_bundle(graph, bundle)
    assert {node for node, model in graph.models.items() if model} == {"expert_push"}


def test_a_bundle_that_means_something_else_by_an_action_is_refused_before_anything_changes(tmp_path: Path) -> None:
    task = replace(ROMAN, action=replace(ROMAN.action, gripper_threshold=0.9))
    running, other = write_tiny_bundle(tmp_path / "tiny"), write_tiny_bundle(tmp_path / "other", spec=task)
    graph = Graph(running, {})
    with pytest.raises(RomanError, match=r"task roman, sha256 \w+\.\.\.: the graph that runs has roman, sha256"):
        swap_bundle(graph, other)
    assert set(graph.models.values()) == {""}


@pytest.fixture
def running(own_domain: int, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`roman-moe run` in a domain of its own, in which the test's own commands look for it, too."""
    bundle = write_tiny_bundle(tmp_path / "tiny", seed=1)
    command = [sys.executable, "-m", "roman_moe", "run", "--bundle", str(bundle), "--start", "button"]
    # no one reads what it shows: a pipe that is full would hold up the graph
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def status(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and table."""
    file = tmp_path / "status.json"
    code = entry.main(["status", "--seconds", "1.2", "--json", str(file)])
    return code, json.loads(file.read_text()), capfd.readouterr().out


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert entry.main(list(arguments)) == 0, capfd.readouterr().err
    return capfd.readouterr().out


def test_a_running_graph_from_the_command_line(
    running: subprocess.Popen[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    for module, timeout in [
        (graph_client, "FIND"),
        (graph_client, "ANSWER"),
        (snapshot, "FIND"),
        (snapshot, "REPORT"),
    ]:
        monkeypatch.setattr(module, f"{timeout}_TIMEOUT", 600.0)  # only a hang reaches it
    with graph_client.graph_client() as client:
        watch = GraphListener(client)
        while watch.look(0.3).leading is None:  # it has only just begun to start
            assert running.poll() is None
    _, report, table = status(capfd, tmp_path)
    expert = report["nodes"]["expert_push"]
    assert expert["model"] == f"{tmp_path}/tiny/push.onnx"
    assert len(expert["sha256"]) == 64
    assert expert["sha256"][:12] in table
    assert report["leading"]["skill"] in SKILLS
    assert 0.0 < report["leading"]["weight"] <= 1.0
    assert {"scene", "gate/weights", "delta_twist_cmds"} <= set(report["rates_hz"])
    assert all(age >= 0.0 for age in report["ages_s"].values())

    for arguments in (["dance", "a.onnx"], ["gate", "--take-out"]):
        assert entry.main(["swap", *arguments]) == 2
        assert f"unknown network {arguments[0]!r}: expected one of {', '.join(SKILLS)}" in one_line(capfd)
    other = write_tiny_bundle(tmp_path / "other", seed=2)
    assert "push runs" in said(capfd, "swap", "push", str(other / "push.onnx"))
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(tiny_network("pull"))
    assert entry.main(["swap", "push", str(wrong)]) == 2
    assert "expert_push refuses: " in one_line(capfd)
    assert "all 8 networks run" in said(capfd, "swap", "--bundle", str(other))
    assert "taken out: push" in said(capfd, "swap", "push", "--take-out")
    assert "taken out: none" in said(capfd, "swap", "push", "--put-back")

    assert "no safety-rated" in said(capfd, "stop")
    code, report, table = status(capfd, tmp_path)
    while report["nodes"]["blender"]["level"] != "error":  # a report comes once a second, or later on a busy machine
        assert running.poll() is None
        code, report, table = status(capfd, tmp_path)
    assert code == 1
    assert report["nodes"]["blender"]["guard"] == "20 STOPPED"
    expert = report["nodes"]["expert_push"]
    assert expert["model"] == str(other / "push.onnx")
    assert expert["refused_models"] == "1"
    assert "skill pull" in expert["last_fault"]
    assert "STOPPED" in table
    assert "from rest" in said(capfd, "stop", "--rearm")

    assert "deactivate done" in said(capfd, "lifecycle", "blender", "deactivate")
    assert entry.main(["lifecycle", "blender", "deactivate"]) == 2  # once is enough
    assert "blender refuses to deactivate" in one_line(capfd)
    assert "activate done" in said(capfd, "lifecycle", "blender", "activate")
    assert entry.main(["lifecycle", "blender", "dance"]) == 2
    assert "expected NODE and one of configure, activate" in one_line(capfd)

    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 130
    assert "Traceback" not in errors
