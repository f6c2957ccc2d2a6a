"""Who else is there: nodes of one name in two processes are two, and a killed one counts until its killer says so."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from ros_rig import Rig, open_rig
from specs import GRIPPER_OPEN
from std_msgs.msg import String

from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError
from roman_moe.core.paths import config_path
from roman_moe.nodes.arms.arm_bridge import ArmBridge
from roman_moe.nodes.arms.mock_arm import MockArmNode
from roman_moe.nodes.base.environment import DISCOVERY, PROFILES, this_machine
from roman_moe.nodes.base.node import MALFORMED
from roman_moe.nodes.base.peers import UNNAMED, TopicPublisher, names_of, own_process
from roman_moe.nodes.base.process import PARENT_VARIABLE, make_executor, ros_context
from roman_moe.nodes.base.topics import CODEC, ENDED, GRIPPER_COMMAND, HAND_STATE, SCENE, TWIST_COMMAND, Topic
from roman_moe.nodes.control.observer import Observer

START = 300.0  # [s] for a process; only a hang reaches it
ONE, TWO = bytes(11) + b"1", bytes(11) + b"2"


@pytest.fixture
def domain(own_domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain of our own that processes of this machine share."""
    for name in (DISCOVERY, *PROFILES):
        monkeypatch.delenv(name, raising=False)
    for name, value in this_machine().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def domain_rig(domain: None) -> Iterator[Rig]:
    """A rig that processes of its domain see."""
    with open_rig() as rig:
        yield rig


@contextlib.contextmanager
def another(name: str, topic: Topic) -> Iterator[subprocess.Popen[str]]:
    """A process with a node of this name, which publishes a topic and says nothing."""
    script = f"""
import sys
from rclpy.node import Node
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.process import ros_context
with ros_context() as context:
    node = Node({name!r}, context=context)
    found = next(t for t in vars(topics).values() if isinstance(t, topics.Topic) and t.name == {topic.name!r})
    publisher = node.create_publisher(found.kind, found.name, found.qos)
    sys.stdin.read()
    node.destroy_node()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("twists", "grippers", "names"),
    [
        ([TopicPublisher("blender", ONE)], [TopicPublisher("blender", ONE)], ["blender"]),
        ([TopicPublisher("blender", ONE)], [TopicPublisher("blender", TWO)], ["blender", "blender"]),
        (
            [TopicPublisher("blender", ONE), TopicPublisher("blender", TWO)],
            [TopicPublisher("blender", ONE)],
            ["blender", "blender"],
        ),
        ([TopicPublisher("blender", ONE), TopicPublisher("blender", ONE)], [], ["blender", "blender"]),
        ([TopicPublisher("blender", ONE)], [TopicPublisher("teleop", ONE)], ["blender", "teleop"]),
        ([TopicPublisher("blender", ONE)], [TopicPublisher(UNNAMED, ONE)], ["blender"]),
        ([TopicPublisher("blender", ONE)], [TopicPublisher(UNNAMED, TWO)], [UNNAMED, "blender"]),
        ([TopicPublisher(UNNAMED, ONE)], [TopicPublisher(UNNAMED, ONE)], [UNNAMED]),
        ([], [], []),
    ],
)
def test_nodes_are_counted_by_process_and_name(
    twists: list[TopicPublisher], grippers: list[TopicPublisher], names: list[str]
) -> None:
    assert names_of(twists, grippers) == names


def test_nodes_of_one_process_have_its_id_and_those_of_another_have_not(domain_rig: Rig) -> None:
    first = domain_rig.join(lambda context: Node("first", context=context))
    second = domain_rig.join(lambda context: Node("second", context=context))
    with ros_context() as context:
        third = Node("first", context=context)
        ids = [own_process(node) for node in (first, second, third)]
        third.destroy_node()
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("topic", [TWIST_COMMAND, GRIPPER_COMMAND])
def test_an_arm_rests_between_two_commanders_of_one_name_until_the_killed_one_is_known(
    domain_rig: Rig, bundle: Path, topic: Topic
) -> None:
    rig = domain_rig
    rig.listen(HAND_STATE)
    arm = rig.add(MockArmNode, bundle=str(bundle))
    rig.send(TWIST_COMMAND, CODEC.twist(Command(0, np.zeros(3), GRIPPER_OPEN)))  # the rig's own node is "probe", too
    with another("probe", topic) as process:
        rig.spin_until(lambda: rig.said("mock_arm", "HALT_TWO_COMMANDERS: probe, probe"))
        assert arm._commanders.in_conflict
        process.kill()
        process.wait()
        assert arm._commanders.in_conflict  # nothing tells it from one that lives, but who has killed it
        (killed,) = {who.process for who in arm.publishers_of(topic)} - {own_process(arm)}
        rig.send(ENDED, String(data="not an id"), String(data=killed.hex()))
        rig.spin_until(lambda: not arm._commanders.in_conflict)
        rig.spin_until(lambda: rig.reported("mock_arm", MALFORMED) == 1)


def test_a_robot_that_another_graphs_bridge_commands_is_left_to_it(domain_rig: Rig, bundle: Path) -> None:
    """Namespaces keep two graphs apart, but not what they tell one robot."""
    settings = {"bundle": str(bundle), "config": str(config_path("arms/franka.yaml"))}
    first = domain_rig.join(lambda context: Node("arm_bridge", context=context))
    first.create_publisher(TwistStamped, "/servo_node/delta_twist_cmds", 1)
    with open_rig() as rig:
        second = rig.join(lambda context: ArmBridge(context=context, namespace="/other", parameters=settings))
        to_servo = Topic("/servo_node/delta_twist_cmds", None)
        rig.spin_until(lambda: names_of(second.publishers_of(to_servo)) == ["arm_bridge"])
        with pytest.raises(RomanError, match="servo_node/delta_twist_cmds is published by arm_bridge"):
            second.start()


@pytest.mark.parametrize("parent", [False, True])
def test_a_second_node_that_says_the_same_is_refused_unless_it_succeeds_a_killed_one(
    domain_rig: Rig, monkeypatch: pytest.MonkeyPatch, parent: bool
) -> None:
    with another("observer", SCENE):
        second = domain_rig.join(lambda context: Observer(context=context, parameters={"task": "roman"}))
        domain_rig.spin_until(lambda: [who.node for who in second.publishers_of(SCENE)] == ["observer"])
        if parent:  # the bring-up has looked around, and has killed the first
            monkeypatch.setenv(PARENT_VARIABLE, str(os.getpid()))
            second.start()
            return
        with pytest.raises(RomanError, match="scene is published by observer: deactivate or end it first"):
            second.start()


def test_a_node_started_by_hand_is_refused_while_another_has_its_name(domain: None) -> None:
    environment = {key: value for key, value in os.environ.items() if key != PARENT_VARIABLE}
    # a killed one is waited for only briefly: whoever lives is there afterwards, too
    script = "from roman_moe.nodes.base import peers, process; peers.LEASE = 1.0; "
    script += "from roman_moe.nodes.control.observer import Observer; process.leave(process.run_node(Observer))"
    command = [sys.executable, "-c", script, "--ros-args", "-p", "task:=roman"]
    with ros_context() as context:
        first, executor = Observer(context=context, parameters={"task": "roman"}), make_executor(context)
        first.start()
        second = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        _, errors = second.communicate(timeout=START)
        executor.shutdown()
        first.destroy_node()
    assert second.returncode == 2
    assert errors.splitlines()[-1].startswith("error: a graph is running in ROS domain ")
    assert "(observer): end it first" in errors
