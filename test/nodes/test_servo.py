"""End to end: the shipped bundle solves scenario 2 through MoveIt Servo's conventions, and a robot behind them.

The robot is a process that speaks nothing but Servo's topics (test/servo_stand_in.py), with its timeouts and limits.
It is the source of /clock: simulated time waits for the graph, so that nothing depends on how fast this machine is.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roman_moe.control.limits import load_limits
from roman_moe.core.paths import share_folder
from roman_moe.nodes.bringup.bringup import running_graph
from roman_moe.nodes.bringup.graph import load_description, resolve

STAND_IN = Path(__file__).parents[1] / "servo_stand_in.py"
HANG = 600.0  # [s] of wall time, which only a hang reaches
SIMULATED = ("--ros-args", "-p", "use_sim_time:=true")


class StandIn:
    """The robot's process, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.reports: list[dict[str, Any]] = []
        self.ready = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.reports.append(json.loads(line))
            self.ready.set()

    @property
    def last(self) -> dict[str, Any]:
        return self.reports[-1] if self.reports else {"state": "starting"}

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()


@contextlib.contextmanager
def stand_in(*options: str) -> Iterator[StandIn]:
    command = [sys.executable, str(STAND_IN), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        robot = StandIn(process)
        try:
            assert robot.ready.wait(HANG)  # the bridge refuses to be active without it
            yield robot
        finally:
            robot.end()


pytestmark = pytest.mark.usefixtures("own_domain")


def specs(**arguments: Any) -> Any:
    chosen = {
        "arm": "servo",
        "arm_config": "config/arms/franka.yaml",
        "bundle": str(share_folder() / "models/roman"),
    }
    return resolve(load_description(), {**chosen, **arguments})


@pytest.mark.parametrize("arm", ["franka", pytest.param("ur", marks=pytest.mark.slow)])
def test_the_bundle_solves_scenario_2_behind_servo(arm: str) -> None:
    """UR's file is in other units: unitless twists, one finger joint in radians, a pose at the flange."""
    file = f"config/arms/{arm}.yaml"
    with (
        stand_in("--scenario", "2", "--seed", "0", "--config", file, "--clock") as robot,
        running_graph(specs(arm_config=file, use_sim_time=True), private=False) as graph,
    ):
        assert graph.spin_until(lambda: robot.last["state"] == "done", HANG), (
            robot.last,
            graph.monitor.faults(),
        )
        facts = {value.key: value.value for value in graph.monitor.statuses["arm_bridge"].values}
    print(robot.last, facts)
    assert robot.last["outcome"] == "success", robot.last
    assert robot.last["top_speed"] <= load_limits().speed + 1e-6
    assert "dropped" not in robot.last
    assert "other_type" not in robot.last
    assert facts["servo_status"] == "NO_WARNING"


@pytest.mark.slow
@pytest.mark.parametrize(("arm", "gripper"), [("franka", "FrankaGripper"), ("ur", "RobotiqController")])
def test_the_bundle_solves_scenario_2_with_the_gripper_commanded_by_action(
    control_msgs: None, arm: str, gripper: str
) -> None:
    """The fingers' topic has no subscriber here: what the gripper does, it does for a goal."""
    file = f"config/arms/{arm}.yaml"
    with (
        stand_in("--scenario", "2", "--seed", "0", "--config", file, "--clock", "--gripper", gripper) as robot,
        running_graph(specs(arm_config=file), private=False, ros_arguments=SIMULATED) as graph,
    ):
        done = graph.spin_until(lambda: robot.last["state"] == "done", HANG)
        assert done, (robot.last, graph.monitor.faults())
        facts = {value.key: value.value for value in graph.monitor.statuses["arm_bridge"].values}
    print(robot.last, facts)
    assert robot.last["outcome"] == "success", robot.last
    assert facts["gripper"].startswith("action /")
    assert robot.last["gripper"].get("REJECTED", 0) == 0
    # opened, closed on the handle or the vial and opened again at least
    assert sum(robot.last["gripper"].values()) >= 3, robot.last


def test_read_only_the_graph_decides_and_the_robot_hears_nothing() -> None:
    with (
        stand_in("--scenario", "2", "--clock") as robot,
        running_graph(specs(read_only=True, use_sim_time=True), private=False) as graph,
    ):
        ticks = set()

        def decided() -> bool:
            if graph.monitor.tick is not None:
                ticks.add(graph.monitor.tick.stamp_ns)
            return len(ticks) >= 20

        assert graph.spin_until(decided, HANG), graph.monitor.faults()
        assert robot.last == {"state": "ready"}  # its time begins with the first twist that it gets
