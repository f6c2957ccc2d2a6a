"""Quality of service: sensors of either reliability are received, and what does not match is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from messages import hand_message, poses_message
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_rig import Rig
from scenes import hand_at, poses_at

from roman_moe.nodes.arms.pose_source import PoseSource
from roman_moe.nodes.base.diagnostics import INCOMPATIBLE, INCOMPATIBLE_QOS
from roman_moe.nodes.base.topics import CODEC, HAND_STATE, OBJECT_POSES, SCENE, TRUTH_POSES, Topic
from roman_moe.nodes.bringup.bringup import node_class
from roman_moe.nodes.bringup.graph import load_description, resolve
from roman_moe.nodes.control.observer import Observer

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


def poses() -> Any:
    return poses_message(CODEC, poses_at(0))


def hand() -> Any:
    return hand_message(CODEC, hand_at(0))


def offering(topic: Topic, reliability: ReliabilityPolicy) -> Topic:
    return Topic(topic.name, topic.kind, QoSProfile(depth=5, reliability=reliability))


@pytest.mark.parametrize("reliability", [RELIABLE, BEST_EFFORT])
def test_poses_of_either_reliability_make_a_scene(rig: Rig, reliability: ReliabilityPolicy) -> None:
    rig.add(Observer, task="roman", lockstep=True)
    rig.listen(SCENE)
    rig.send(HAND_STATE, hand())
    rig.send(offering(OBJECT_POSES, reliability), poses())
    rig.last(SCENE)
    assert rig.reported("observer", INCOMPATIBLE_QOS) == 0


@pytest.mark.parametrize("reliability", [RELIABLE, BEST_EFFORT])
def test_a_camera_of_either_reliability_reaches_the_pose_source(rig: Rig, reliability: ReliabilityPolicy) -> None:
    rig.add(PoseSource, task="roman")
    rig.listen(OBJECT_POSES)
    rig.send(offering(TRUTH_POSES, reliability), poses())
    rig.last(OBJECT_POSES)


TOPICS = {
    *("hand_state", "joint_states", "truth/object_poses", "object_poses", "scene", "gate/weights"),
    *("expert/push/action", "delta_twist_cmds", "gripper_cmd", "clock", "diagnostics"),
}


def test_what_does_not_match_is_named_on_every_topic(rig: Rig, bundle: Path) -> None:
    """By each node that has an end of it: where less is offered than requested, or more is requested than offered."""
    names = ("pose_source", "observer", "gate", "expert_push", "blender", "lab")
    specs = resolve(load_description(), {"bundle": str(bundle), "start": "push", "lockstep": True})
    nodes = [rig.add(node_class(s.executable), s.name, **s.parameters) for s in specs if s.name in names]
    stranger = rig.join(lambda context: Node("stranger", context=context))
    less = QoSProfile(depth=1, reliability=BEST_EFFORT)
    more = QoSProfile(depth=1, reliability=RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    ends = [(node, end, True) for node in nodes for end in node.publishers]
    ends += [(node, end, False) for node in nodes for end in node.subscriptions]
    expected, made = [], set()
    for node, end, publishes in ends:
        topic = end.topic_name.lstrip("/")
        if topic not in TOPICS or (not publishes and end.qos_profile.reliability != RELIABLE):
            continue
        expected.append((node, topic))
        if (topic, publishes) not in made:
            made.add((topic, publishes))
            if publishes:
                stranger.create_subscription(end.msg_type, end.topic_name, lambda _: None, more)
            else:
                stranger.create_publisher(end.msg_type, end.topic_name, less)
    assert {topic for _, topic in expected} == TOPICS
    for node, topic in expected:
        rig.spin_until(lambda node=node, topic=topic: f"{topic} (" in node.diagnostics.facts.get(INCOMPATIBLE, ""))
        assert node.diagnostics.counts[INCOMPATIBLE_QOS] >= 1
    rig.spin_until(lambda: "object_poses (" in rig.fact("pose_source", INCOMPATIBLE))
