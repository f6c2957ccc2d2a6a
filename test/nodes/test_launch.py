"""The launch file starts the graph that the bring-up starts; needs launch_ros, which comes with a ROS installation."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from roman_moe.core.paths import share_folder
from roman_moe.nodes.base.process import make_executor, ros_context
from roman_moe.nodes.bringup.graph import load_description, resolve
from roman_moe.nodes.bringup.monitor import Monitor

launch = pytest.importorskip("launch")
pytest.importorskip("launch_ros")

ROOT = Path(__file__).parents[2]
START = 300.0  # [s] for a dozen processes; only a hang reaches it


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This checkout as an installed ROS package."""
    index = tmp_path / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    (index / "roman_moe").touch()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/roman_moe").symlink_to(ROOT / "scripts")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    return tmp_path


def launch_file() -> ModuleType:
    spec = importlib.util.spec_from_file_location("graph_launch", share_folder() / "launch/graph.launch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_argument_of_the_graph_is_a_launch_argument() -> None:
    description = launch_file().generate_launch_description()
    declared = {argument.name: argument for argument in description.get_launch_arguments()}
    assert set(declared) == {*load_description().arguments, "namespace"}
    assert all(argument.description for argument in declared.values())
    assert declared["arm"].choices == ["lab", "mock", "servo", "none"]
    assert declared["bundle"].choices is None


@pytest.mark.parametrize("name", ["bundle", "controller"])
def test_it_starts_the_nodes_of_the_bring_up(bundle: Path, prefix: Path, name: str) -> None:
    context = launch.LaunchContext()
    module = launch_file()
    arguments = {name: str(bundle), "lockstep": "true"}
    for argument in module.generate_launch_description().get_launch_arguments():
        argument.visit(context)
    context.launch_configurations.update(arguments)
    found = {}
    for node in module._nodes(context):
        node._perform_substitutions(context)
        (parameters,) = node._Node__parameters
        values = {"".join(part.text for part in key): value.evaluate(context) for key, value in parameters.items()}
        found[node.node_name.removeprefix("/")] = values
    expected = resolve(load_description(), {"bundle": str(bundle), "lockstep": True})
    assert found == {spec.name: dict(spec.parameters) for spec in expected}


def launched(bundle: Path, ended: list[Any], **arguments: str) -> Any:
    """A service that will launch the graph in the namespace arm, and note each process that ends."""
    source = launch.launch_description_sources.PythonLaunchDescriptionSource(
        str(share_folder() / "launch/graph.launch.py")
    )
    arguments = {"bundle": str(bundle), "start": "push", "lockstep": "true", "namespace": "arm", **arguments}
    arguments["sigterm_timeout"] = f"{START}"  # launch's own 5 s are too few for a dozen processes of a busy machine
    service = launch.LaunchService(noninteractive=True)
    service.include_launch_description(
        launch.LaunchDescription(
            [
                launch.actions.IncludeLaunchDescription(source, launch_arguments=arguments.items()),
                launch.actions.RegisterEventHandler(
                    launch.event_handlers.OnProcessExit(on_exit=lambda event, _: ended.append(event))
                ),
            ]
        )
    )
    return service


def ticks_of(count: int) -> int:
    """How many ticks of the launched graph were seen, once there were `count` or it took too long."""
    seen = 0
    with ros_context(["monitor", "--ros-args", "-r", "__ns:=/arm"]) as context:
        executor, monitor = make_executor(context), Monitor(context)
        executor.add_node(monitor)
        end = time.monotonic() + START
        while seen < count and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
            seen += len(monitor.take_ticks())
        executor.shutdown()
        monitor.destroy_node()
    return seen


def test_it_runs_and_ends_cleanly(bundle: Path, prefix: Path) -> None:
    ended: list[Any] = []
    seen: list[int] = []
    service = launched(bundle, ended)

    def watch() -> None:
        seen.append(ticks_of(10))
        service.shutdown()

    thread = threading.Thread(target=watch)
    thread.start()
    assert service.run() == 0
    thread.join()
    assert seen[0] >= 10
    nodes = {spec.name for spec in resolve(load_description(), {"bundle": str(bundle)})}
    assert {event.process_name.rpartition("-")[0] for event in ended} == nodes
    assert {event.returncode for event in ended} == {0}


@pytest.mark.parametrize("dies", ["lab", "expert_push"])
def test_a_node_that_dies_ends_the_launch(bundle: Path, prefix: Path, dies: str) -> None:
    ended: list[Any] = []
    begun: dict[str, int] = {}
    service = launched(bundle, ended)
    service.include_launch_description(
        launch.LaunchDescription(
            [
                launch.actions.RegisterEventHandler(
                    launch.event_handlers.OnProcessStart(
                        on_start=lambda event, _: begun.update({event.process_name.rpartition("-")[0]: event.pid})
                    )
                )
            ]
        )
    )

    def kill() -> None:
        ticks_of(1)
        os.kill(begun[dies], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    service.run()
    thread.join()
    assert {event.process_name.rpartition("-")[0]: event.returncode for event in ended} == {
        **dict.fromkeys(begun, 0),
        dies: -signal.SIGKILL,
    }
