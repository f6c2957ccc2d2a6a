"""control_msgs in tests: goals and results cross DDS between processes, and no test's modules reach another."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest
from ros_rig import Rig

SERVER = """
import json, sys
import rclpy
from control_msgs.action import GripperCommand, ParallelGripperCommand
from rclpy.action import ActionServer
from rclpy.node import Node

def single(handle):
    goal, result = handle.request.command, GripperCommand.Result()
    result.position, result.effort, result.stalled = goal.position, goal.max_effort, True
    handle.abort()
    return result

def parallel(handle):
    result = ParallelGripperCommand.Result(state=handle.request.command, reached_goal=True)
    handle.succeed()
    return result

rclpy.init()
node = Node("server")
servers = [ActionServer(node, GripperCommand, "/single", single),
           ActionServer(node, ParallelGripperCommand, "/parallel", parallel)]
rclpy.spin(node)
"""


@pytest.fixture
def server(shared_rig: Rig, control_msgs: None) -> Any:  # the rig first: it chooses the domain
    with subprocess.Popen([sys.executable, "-c", SERVER]) as process:
        yield process
        process.kill()


def test_goals_and_results_cross_from_process_to_process(server: Any, shared_rig: Rig) -> None:
    from control_msgs.action import GripperCommand, ParallelGripperCommand
    from rclpy.action import ActionClient

    def result_of(kind: Any, name: str, goal: Any) -> Any:
        client = ActionClient(shared_rig._probe, kind, name)
        shared_rig.spin_until(client.server_is_ready)
        handle = shared_rig.answer(client.send_goal_async(goal))
        return shared_rig.answer(handle.get_result_async())

    goal = GripperCommand.Goal()
    goal.command.position, goal.command.max_effort = 0.02, 15.0
    answer = result_of(GripperCommand, "/single", goal)
    assert (answer.status, answer.result.position, answer.result.effort, answer.result.stalled) == (6, 0.02, 15.0, True)
    goal = ParallelGripperCommand.Goal()
    goal.command.name, goal.command.position, goal.command.effort = ["knuckle"], [0.4], [50.0]
    answer = result_of(ParallelGripperCommand, "/parallel", goal)
    assert (answer.status, answer.result.reached_goal, answer.result.state.position.tolist()) == (4, True, [0.4])


# In the order in which they stand, each of these would meet what the one before left behind.


def test_a_test_that_asks_for_control_msgs_may_take_it_away(
    control_msgs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module("gripper_emulator")
    monkeypatch.setitem(sys.modules, "control_msgs.action", None)
    with pytest.raises(ImportError):
        importlib.import_module("control_msgs.action")


def test_a_test_that_does_not_ask_for_control_msgs_has_none() -> None:
    with pytest.raises(ImportError):
        importlib.import_module("control_msgs.action")


def test_the_next_test_has_the_same_classes(control_msgs: None) -> None:
    from control_msgs.action import GripperCommand

    assert importlib.import_module("gripper_emulator").GripperCommand is GripperCommand
