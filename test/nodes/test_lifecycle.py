"""Managed nodes: silent unless active, every transition within its bound, no illegal one their end, nothing left."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bundles import write_tiny_bundle
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from rclpy.lifecycle.node import LifecycleNodeMixin
from ros_rig import Rig, open_rig
from scenes import scene_at
from specs import ROMAN
from std_msgs.msg import Float64MultiArray

from roman_moe.arms.config import load_arm_config
from roman_moe.control.bundle import load_bundle
from roman_moe.core.errors import BundleError, ConfigError, RomanError
from roman_moe.core.paths import config_path
from roman_moe.nodes.base.diagnostics import ERROR, OK
from roman_moe.nodes.base.managed_node import CALLBACK_FAULTS, ILLEGAL
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.topics import CODEC, SCENE, TWIST_COMMAND, Topic, expert_action
from roman_moe.nodes.bringup.bringup import node_class, running_graph
from roman_moe.nodes.bringup.graph import EXECUTABLES, NodeSpec, load_description, resolve
from roman_moe.nodes.control.blender import Blender
from roman_moe.nodes.control.expert import ExpertNode
from roman_moe.nodes.control.gate import GateNode
from roman_moe.nodes.control.observer import Observer

TRANSITIONS = {
    "unconfigured": {"configure", "shutdown"},
    "inactive": {"activate", "cleanup", "shutdown"},
    "active": {"deactivate", "shutdown"},
    "finalized": set[str](),
}
SHUTDOWN = {
    "unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


def needed(executable: str, bundle: Path, teach: str = "push") -> dict[str, Any]:
    """Parameters that a node does not run without; who teaches a skill speaks in the gate's place. Markers: no file."""
    given = {"bundle": str(bundle), "skill": "push", "config": str(bundle.parent / "arm.yaml")}
    given |= {
        "device": "joy",
        "servo_unchecked": True,
        "teach": teach,
        "demos": str(bundle.parent / "demos"),
        "poses": "markers",
    }
    return {name: given[name] for name in node_class(executable).PARAMETERS.__dataclass_fields__ if name in given}


def play_robot(rig: Rig, bundle: Path) -> None:
    """Subscribe as Servo and a gripper do, without which the bridge refuses to become active."""
    content = yaml.safe_load(config_path("arms/franka.yaml").read_text())
    del content["gripper"]["action"]
    (bundle.parent / "arm.yaml").write_text(yaml.safe_dump(content))
    config = load_arm_config(bundle.parent / "arm.yaml", ROMAN)
    rig.listen(Topic(config.twist.topic, TwistStamped))
    rig.listen(Topic(config.gripper.topic, Float64MultiArray))


def scene(tick: int) -> Any:
    return CODEC.scene(scene_at(tick * 50_000_000, finger_opening=0.0))


class Managed:
    """A node, and whoever manages it through its services."""

    def __init__(self, rig: Rig, kind: type[RomanNode], name: str = "managed", **parameters: Any) -> None:
        self.rig, self.name = rig, name
        self.node = rig.add(kind, name, autostart=False, **parameters)

    def goes(self, transition: str, state: str) -> None:
        """It does as asked and says where it is."""
        assert self.rig.change_state(self.name, transition)
        assert self.state == state

    @property
    def state(self) -> str:
        return self.rig.state(self.name)

    def is_silent(self) -> None:
        self.rig.spin_until(lambda: not self.rig.advertised(self.name))
        assert not list(self.node.subscriptions)


@pytest.mark.parametrize("executable", EXECUTABLES)
def test_only_an_active_node_speaks_and_every_transition_is_made_in_time(
    rig: Rig, bundle: Path, executable: str
) -> None:
    play_robot(rig, bundle)
    managed = Managed(rig, node_class(executable), **needed(executable, bundle))
    assert managed.state == "unconfigured"
    managed.is_silent()
    managed.goes("configure", "inactive")
    managed.is_silent()
    managed.goes("activate", "active")
    spoken = rig.advertised("managed")
    assert bool(spoken) == (executable != "demo_recorder")  # which listens alone
    assert list(managed.node.subscriptions)
    managed.goes("deactivate", "inactive")
    managed.is_silent()
    managed.goes("activate", "active")
    assert rig.advertised("managed") == spoken
    managed.goes("deactivate", "inactive")
    managed.goes("cleanup", "unconfigured")
    managed.is_silent()
    managed.goes("configure", "inactive")
    managed.goes("activate", "active")
    assert rig.advertised("managed") == spoken
    managed.goes("shutdown", "finalized")
    managed.is_silent()
    assert rig.report("managed").message == "shut down"
    assert rig.reported("managed", CALLBACK_FAULTS) == 0


@pytest.mark.parametrize("state", ["unconfigured", "inactive"])
def test_shutdown_is_possible_from_everywhere(rig: Rig, bundle: Path, state: str) -> None:
    managed = Managed(rig, ExpertNode, **needed("expert", bundle))
    if state == "inactive":
        managed.goes("configure", "inactive")
    managed.goes("shutdown", "finalized")


def test_a_node_that_was_deactivated_works_again(rig: Rig, bundle: Path) -> None:
    Managed(rig, ExpertNode, **needed("expert", bundle))
    rig.listen(expert_action("push"))
    answers = rig.heard[expert_action("push").name]
    for transitions in (("configure", "activate"), ("deactivate", "activate"), ("deactivate", "cleanup")):
        for transition in transitions:
            assert rig.change_state("managed", transition)
        if transitions[-1] == "activate":
            before = len(answers)
            rig.send(SCENE, scene(7))
            rig.last(expert_action("push"), before + 1)
    for transition in ("configure", "activate"):
        assert rig.change_state("managed", transition)
    rig.send(SCENE, scene(7))
    rig.last(expert_action("push"), 3)
    np.testing.assert_array_equal(answers[0].velocity, answers[1].velocity)
    np.testing.assert_array_equal(answers[0].velocity, answers[2].velocity)


@pytest.mark.parametrize("state", TRANSITIONS)
def test_an_illegal_transition_is_refused_counted_and_survived(rig: Rig, state: str) -> None:
    managed = Managed(rig, Observer, task="roman")
    way = ["configure", "activate", "shutdown"][: list(TRANSITIONS).index(state)]
    for transition in way:
        assert rig.change_state("managed", transition)
    ids = {name: getattr(Transition, f"TRANSITION_{name.upper()}") for name in TRANSITIONS["inactive"] - {"shutdown"}}
    ids |= {"configure": Transition.TRANSITION_CONFIGURE, "deactivate": Transition.TRANSITION_DEACTIVATE}
    wrong = [*(number for name, number in ids.items() if name not in TRANSITIONS[state]), 123]
    wrong += [number for where, number in SHUTDOWN.items() if where != state]
    labels = [name for name in (*ids, "shutdown") if name not in TRANSITIONS[state]]
    for asked in (*wrong, *labels, "dance"):
        assert not rig.change_state("managed", asked), asked
    assert managed.state == state
    assert managed.node.diagnostics.counts[ILLEGAL] == len(wrong) + len(labels) + 1
    rig.spin_until(lambda: rig.reported("managed", ILLEGAL) == len(wrong) + len(labels) + 1)
    assert f"asked for while {state}" in rig.fact("managed", "last_fault")


def test_where_ros_itself_raises_the_node_lives_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object) -> None:
        raise RuntimeError("Unable to start transition 99\nsomewhere in C")  # as Jazzy's rclpy

    monkeypatch.setattr(LifecycleNodeMixin, "_LifecycleNodeMixin__on_change_state", raises)
    managed = Managed(rig, Observer, task="roman")
    assert not rig.change_state("managed", Transition.TRANSITION_ACTIVATE)
    assert managed.state == "unconfigured"
    rig.spin_until(lambda: "Unable to start transition 99" in rig.fact("managed", "last_fault"))
    assert rig.reported("managed", ILLEGAL) == 1


def test_an_illegal_transition_after_a_failed_one_is_still_counted(rig: Rig, tmp_path: Path) -> None:
    managed = Managed(rig, Blender, bundle=str(tmp_path / "nowhere"))
    assert not rig.change_state("managed", "configure")
    assert managed.node.diagnostics.counts[ILLEGAL] == 0
    assert not rig.change_state("managed", "activate")
    assert managed.node.diagnostics.counts[ILLEGAL] == 1


@pytest.mark.parametrize("kind", [ExpertNode, GateNode, Blender])
def test_a_configuration_that_fails_says_why_and_can_be_repeated(
    rig: Rig, tmp_path: Path, kind: type[RomanNode]
) -> None:
    folder = tmp_path / "later"
    skill = {"skill": "push"} if kind is ExpertNode else {}
    managed = Managed(rig, kind, bundle=str(folder), **skill)
    for _ in range(2):
        assert not rig.change_state("managed", "configure")
        assert managed.state == "unconfigured"
        managed.is_silent()
        rig.spin_until(lambda: rig.report("managed").level == ERROR)
        assert f"{folder}: no such folder" in rig.report("managed").message
    write_tiny_bundle(folder)
    managed.goes("configure", "inactive")
    rig.spin_until(lambda: rig.report("managed").level == OK)
    managed.goes("activate", "active")


def test_an_activation_that_fails_leaves_nothing_and_its_reason(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    managed = Managed(rig, Observer, task="roman")
    managed.goes("configure", "inactive")
    with monkeypatch.context() as patch:
        for error in (RomanError("no clock in this house"), ZeroDivisionError("no clock in this house")):

            def fail(*_: object, error: Exception = error) -> None:
                raise error

            patch.setattr(managed.node, "timer", fail)  # by then it has advertised
            assert not rig.change_state("managed", "activate")
            assert managed.state == "inactive"
            managed.is_silent()
            rig.spin_until(lambda: rig.report("managed").level == ERROR)
            assert "no clock in this house" in rig.report("managed").message
    managed.goes("activate", "active")


def test_a_fault_on_the_way_out_keeps_no_node_active(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    managed = Managed(rig, Observer, task="roman")
    managed.goes("configure", "inactive")
    managed.goes("activate", "active")

    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(managed.node, "deactivate", fail)
    monkeypatch.setattr(managed.node, "clean_up", fail)
    managed.goes("deactivate", "inactive")
    managed.is_silent()
    managed.goes("cleanup", "unconfigured")
    managed.goes("shutdown", "finalized")
    assert managed.node.diagnostics.counts[CALLBACK_FAULTS] == 4


def test_a_node_starts_by_itself_or_says_why_not(rig: Rig, tmp_path: Path) -> None:
    rig.add(Observer, task="roman")
    assert rig.state("observer") == "active"
    with pytest.raises(BundleError, match="nowhere: no such folder"):
        rig.add(Blender, bundle=str(tmp_path / "nowhere"))


def test_nodes_come_and_go_while_the_graph_ticks(rig: Rig, bundle: Path) -> None:
    specs = resolve(load_description(), {"bundle": str(bundle), "start": "push", "episodes": 0})
    nodes = {spec.name: rig.add(node_class(spec.executable), spec.name, **spec.parameters) for spec in specs}
    rig.listen(TWIST_COMMAND)
    rig.last(TWIST_COMMAND, 5)
    for name in (*nodes, *nodes):
        before = len(rig.heard[TWIST_COMMAND.name])
        for transition in ("deactivate", "activate"):
            assert rig.change_state(name, transition), (name, transition)
        rig.last(TWIST_COMMAND, before + 3)
    assert not any(node.diagnostics.counts[CALLBACK_FAULTS] for node in nodes.values())


def held() -> tuple[int, int, int]:
    """Python's threads, all threads and open files of this process: a DDS participant has a dozen and some sockets."""
    gc.collect()
    return threading.active_count(), len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def test_when_the_context_ends_neither_files_nor_threads_are_left(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    load_bundle(bundle)  # ONNX Runtime opens files of its own, once a process
    before = held()
    with open_rig() as rig:
        play_robot(rig, bundle)
        for executable in reversed(list(EXECUTABLES)):
            node = rig.add(node_class(executable), executable, autostart=False, **needed(executable, bundle, "gate"))
            rig.serve(node)
            assert rig.change_state(executable, "configure")
            assert rig.change_state(executable, "activate")
            if executable in ("arm_bridge", "mock_arm", "object_pose_estimator"):  # of arms and pose sources, one each
                assert rig.change_state(executable, "deactivate")
        assert threading.active_count() == before[0] + 1
        with pytest.raises(ConfigError, match="'bundle' is not set"):
            rig.add(ExpertNode)
    assert held() == before


def test_a_graph_that_is_refused_leaves_nothing_either(tmp_path: Path) -> None:
    before = held()
    specs = [NodeSpec("blender", "blender", {"bundle": str(tmp_path / "nowhere")})]
    with pytest.raises(BundleError, match="no such folder"), running_graph(specs):
        pass
    assert held() == before
