"""A stop reaches all that command the arm, waits for nothing that there is not, and is sure of what it says."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from rclpy.context import Context
from rclpy.node import Node
from std_srvs.srv import Trigger

from roman_moe.core.errors import RomanError
from roman_moe.nodes.base.process import make_executor, ros_context
from roman_moe.nodes.base.topics import GRIPPER_COMMAND
from roman_moe.nodes.bringup import graph_client
from roman_moe.nodes.bringup.graph_client import BLENDER, BRIDGE, GraphClient

FOREVER = 1e6  # [s]: what waits for it, the test's own time limit ends


class Others:
    """Nodes beside the graph_client, in a thread of their own, that play the graph."""

    def __init__(self, context: Context) -> None:
        self._context, self._executor = context, make_executor(context)
        self._nodes: list[Node] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self.stopped: list[str] = []

    def add(self, name: str, stops: bool, moves: bool, success: bool = True, lost: int = 0) -> None:
        """A node that has a software stop, of which so many answers get lost, or plays the arm, or both."""
        node = Node(name, context=self._context, start_parameter_services=False)

        def stop(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            self.stopped.append(name)
            response.success, response.message = success, "stopped" if success else "no"
            return response

        if stops:
            service = node.create_service(Trigger, "~/stop", stop)
            send = service.send_response
            service.send_response = lambda *answer: send(*answer) if self.stopped.count(name) > lost else None  # type: ignore[method-assign]
        if moves:
            node.create_subscription(GRIPPER_COMMAND.kind, GRIPPER_COMMAND.name, lambda _: None, GRIPPER_COMMAND.qos)
        self._nodes.append(node)
        self._executor.add_node(node)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._executor.shutdown()
        for node in self._nodes:
            node.destroy_node()

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.02)


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[Others]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    monkeypatch.setattr(graph_client, "FIND_TIMEOUT", 60.0)
    with ros_context() as context:
        others = Others(context)
        yield others
        others.close()


def stop(others: Others) -> Any:
    client = GraphClient(others._context)
    try:
        return client.command("stop")
    finally:
        client.close()


def test_where_the_arm_is_no_bridge_none_is_waited_for(others: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_client, "SETTLE", FOREVER)
    others.add(BLENDER, stops=True, moves=False)
    others.add("lab", stops=False, moves=True)
    assert stop(others) == ["blender: stopped"]


def test_blender_and_bridge_are_both_stopped(others: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_client, "SETTLE", FOREVER)
    others.add(BLENDER, stops=True, moves=False)
    others.add(BRIDGE, stops=True, moves=True)
    assert sorted(stop(others)) == ["arm_bridge: stopped", "blender: stopped"]
    assert set(others.stopped) == {BLENDER, BRIDGE}


def test_without_a_blender_the_bridge_is_stopped(others: Others) -> None:
    others.add(BRIDGE, stops=True, moves=True)
    assert stop(others) == ["arm_bridge: stopped"]


def test_a_bridge_that_cannot_be_asked_is_no_success(others: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_client, "ANSWER_TIMEOUT", 1.0)
    others.add(BLENDER, stops=True, moves=False)
    others.add(BRIDGE, stops=False, moves=True)
    with pytest.raises(RomanError, match="arm_bridge does not answer"):
        stop(others)
    assert set(others.stopped) == {BLENDER}


def test_an_answer_that_got_lost_is_asked_for_again(others: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_client, "ASK_AGAIN", 0.1)
    monkeypatch.setattr(graph_client, "ANSWER_TIMEOUT", FOREVER)
    others.add(BLENDER, stops=True, moves=False, lost=2)
    others.add("lab", stops=False, moves=True)
    assert stop(others) == ["blender: stopped"]
    assert len(others.stopped) > 2


def test_who_refuses_is_named(others: Others) -> None:
    others.add(BLENDER, stops=True, moves=False, success=False)
    others.add(BRIDGE, stops=True, moves=True)
    with pytest.raises(RomanError, match="blender refuses: no"):
        stop(others)


def test_a_stop_imports_neither_messages_nor_what_draws_and_parses() -> None:
    heavy = {"tyro", "rich", "sensor_msgs", "geometry_msgs", "diagnostic_msgs", "onnxruntime", "mujoco"}
    code = (
        "import sys; from roman_moe.cli import main, quick_stop; import roman_moe.nodes.bringup.graph_client; "
        f"print({heavy!r} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.strip() == "set()", done.stderr
