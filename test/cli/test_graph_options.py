"""`--namespace` and `--ros-args`: what they become, and that two graphs side by side do not disturb each other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bundles import write_tiny_bundle

from roman_moe.cli import main as entry
from roman_moe.cli.graph_options import GraphOptions
from roman_moe.cli.ros_args import split
from roman_moe.core.errors import ConfigError

pytest.importorskip("rclpy")

from rclpy.node import Node

from roman_moe.nodes.base.process import make_executor, ros_context
from roman_moe.nodes.base.topics import TWIST_COMMAND

TIMEOUT = 600.0  # [s] for what takes seconds: only a hang reaches it


@pytest.mark.parametrize(
    ("arguments", "own", "ros"),
    [
        (["--rearm"], ["--rearm"], []),
        (["--ros-args", "-r", "__ns:=/left"], [], ["-r", "__ns:=/left"]),
        (["a", "--ros-args", "-p", "b:=c", "--", "d"], ["a", "d"], ["-p", "b:=c"]),
        (["--ros-args", "x", "--", "--ros-args", "y"], [], ["x", "y"]),
        (["a", "--", "b"], ["a", "--", "b"], []),
    ],
)
def test_ros_arguments_end_at_two_dashes(arguments: list[str], own: list[str], ros: list[str]) -> None:
    assert split(arguments) == (own, ros)


@pytest.mark.parametrize("namespace", ["left", "/left", "left/", "/left/"])
def test_a_namespace_is_a_rule_for_all_nodes(namespace: str) -> None:
    assert GraphOptions(namespace).ros_arguments == ("--ros-args", "-r", "__ns:=/left")
    assert GraphOptions(namespace, ("-p", "a:=b")).ros_arguments == ("--ros-args", "-p", "a:=b", "-r", "__ns:=/left")


def test_without_a_namespace_there_is_nothing_to_add() -> None:
    assert GraphOptions().ros_arguments == ()
    assert GraphOptions(ros_args=("-r", "__ns:=/left")).ros_arguments == ("--ros-args", "-r", "__ns:=/left")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (GraphOptions("a b"), "--namespace a b: expected words"),
        (GraphOptions("4"), "--namespace 4: expected words"),
        (GraphOptions("a//b"), "--namespace a//b: expected words"),
        (GraphOptions("left", ("-r", "__ns:=/right")), "give one of them"),
        (GraphOptions(ros_args=("-r", "__node:=x")), "gives all nodes one name: write NODE:__node:=x"),
    ],
)
def test_a_namespace_that_cannot_be_one_is_refused(options: GraphOptions, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        _ = options.ros_arguments


def test_a_verb_without_a_graph_takes_none(capfd: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["demo", "--ros-args", "-r", "__ns:=/left"]) == 2
    captured = capfd.readouterr()
    assert "demo takes no ROS arguments" in captured.err
    assert captured.err.count("\n") == 1


class Listener:
    """Listens to the twists of both graphs.

    Attributes:
        moves: of each namespace, whether each command so far was for a motion.
    """

    def __init__(self, node: Node, spin: Callable[[], None]) -> None:
        self.moves: dict[str, list[bool]] = defaultdict(list)
        self._spin = spin
        for space in ("left", "right"):
            topic = f"/{space}/{TWIST_COMMAND.name}"
            node.create_subscription(TWIST_COMMAND.kind, topic, self._handler(space), TWIST_COMMAND.qos)

    def _handler(self, space: str) -> Callable[[Any], None]:
        def on_twist(message: Any) -> None:
            linear = message.twist.linear
            self.moves[space].append((linear.x, linear.y, linear.z) != (0.0, 0.0, 0.0))

        return on_twist

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, {space: moves[-20:] for space, moves in self.moves.items()}
            self._spin()


@pytest.fixture
def both(own_domain: int, tmp_path: Path) -> Iterator[Listener]:
    """Two graphs side by side in one domain, in the namespaces left and right, and a listener."""
    bundle = write_tiny_bundle(tmp_path / "tiny", seed=1)
    command = [sys.executable, "-m", "roman_moe", "run", "--bundle", str(bundle), "--arm", "mock"]
    options = (["--namespace", "left"], ["--ros-args", "-r", "__ns:=/right"])
    processes = [subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL) for more in options]
    try:
        with ros_context() as context:
            node = Node("listener", context=context, start_parameter_services=False)
            executor = make_executor(context)
            executor.add_node(node)
            yield Listener(node, lambda: executor.spin_once(timeout_sec=0.02))
            executor.shutdown()
            node.destroy_node()
    finally:
        for process in processes:
            process.kill()
            process.wait()


def report(namespace: str, file: Path) -> dict[str, Any]:
    entry.main(["status", "--namespace", namespace, "--seconds", "1.2", "--json", str(file)])
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def test_two_graphs_run_side_by_side_and_a_stop_of_one_leaves_the_other_alone(
    both: Listener, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    moves = both.moves
    both.until(lambda: moves["left"][-1:] == moves["right"][-1:] == [True])
    hint = ""
    while "graphs run in /left, /right: add --namespace /left" not in hint:  # discovery may take its time
        assert entry.main(["stop"]) == 2
        hint = capfd.readouterr().err
        assert hint.count("\n") == 1
        assert "node blender is not running in /" in hint
    assert entry.main(["stop", "--namespace", "left"]) == 0
    both.until(lambda: not any(moves["left"][-20:]))
    already = len(moves["right"])
    both.until(lambda: len(moves["right"]) > already + 40)
    assert not any(moves["left"][-20:])
    assert any(moves["right"][already + 20 :])
    assert entry.main(["swap", "push", "--take-out", "--ros-args", "-r", "__ns:=/right"]) == 0
    assert "taken out: push" in capfd.readouterr().out
    left, right = (report(space, tmp_path / space)["nodes"]["blender"] for space in ("left", "right"))
    assert (left["stopped"], left["taken_out"]) == ("True", "")
    assert (right["stopped"], right["taken_out"]) == ("False", "push")
