"""Gate, experts and blender in a graph of one's own: scene in, twist out, under one's own names."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import write_loose_limits
from ros_rig import TIMEOUT, Rig
from scenes import scene_at
from specs import SKILLS

from roman_moe.core.errors import ConfigError
from roman_moe.nodes.base.topics import CODEC, SCENE, TICK, TWIST_COMMAND, Topic
from roman_moe.nodes.bringup.bringup import Graph, running_graph
from roman_moe.nodes.bringup.graph import load_description, resolve
from roman_moe.nodes.bringup.topic_map import read_topic_map, topic_names
from roman_moe.wire.codec import message_stamp

MAP = """\
scene: /cell/scene
delta_twist_cmds: /cell/arm/twist
gate/weights: weights_of_mine
blender/tick: /cell/tick
"""


AGAIN = 0.2  # [s] after which a scene without an answer is sent again: more often would only keep the graph busy


def written(folder: Path, text: str) -> Path:
    file = folder / "topics.yaml"
    file.write_text(text)
    return file


def specs(bundle: Path, file: Path) -> Any:
    limits = str(write_loose_limits(bundle.parent))
    arguments = {"bundle": str(bundle), "arm": "none", "topics": str(file), "lockstep": True, "limits": limits}
    return resolve(load_description(), arguments)


def test_without_an_arm_there_are_gate_experts_and_blender_alone(bundle: Path, tmp_path: Path) -> None:
    found = specs(bundle, written(tmp_path, MAP))
    assert {spec.name for spec in found} == {"gate", "blender", *(f"expert_{s}" for s in SKILLS)}
    assert all(spec.remaps["scene"] == "/cell/scene" for spec in found)


@pytest.mark.parametrize("separate", [False, True])
def test_scenes_and_commands_have_the_names_of_ones_own_graph(
    shared_rig: Rig, bundle: Path, tmp_path: Path, separate: bool
) -> None:
    rig = shared_rig
    twists = Topic("/cell/arm/twist", TWIST_COMMAND.kind, TWIST_COMMAND.qos)
    rig.listen(twists)
    ticks = []
    with running_graph(
        specs(bundle, written(tmp_path, MAP)), separate=separate, private=False, on_tick=ticks.append
    ) as graph:
        sent = -math.inf
        for stamp in itertools.count(0, 50_000_000):

            def asked(stamp: int = stamp) -> bool:
                """As an arm does in lockstep: what is said while the graph comes together may get lost."""
                nonlocal sent
                if time.monotonic() - sent > AGAIN:
                    rig.send(Topic("/cell/scene", SCENE.kind, SCENE.qos), CODEC.scene(scene_at(stamp)))
                    sent = time.monotonic()
                return any(message_stamp(message) == stamp for message in rig.heard[twists.name])

            spin_both(rig, graph, asked)
            sent = -math.inf
            if stamp > 0 and ticks:
                break
        names = {name for name, _ in rig._probe.get_topic_names_and_types()}
    assert {tick.skills for tick in ticks} == {SKILLS}
    assert {"/cell/tick", "/weights_of_mine", "/gripper_cmd"} <= names
    assert not names & {"/scene", "/delta_twist_cmds", "/gate/weights", f"/{TICK.name}"}


def spin_both(rig: Rig, graph: Graph, condition: Callable[[], bool]) -> None:
    def done() -> bool:
        rig.pass_moment()
        return condition()

    assert graph.spin_until(done, TIMEOUT)


def test_every_topic_of_the_graph_can_have_another_name() -> None:
    names = topic_names(("reach", "fit"), ("left",))
    assert {"scene", "blender/tick", "expert/fit/action", "camera/left/image_raw"} <= set(names)
    assert "/clock" not in names


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- scene\n", "topics.yaml: expected keys and values"),
        ("szene: /cell/scene\n", "topics.yaml, line 1: unknown topic 'szene': expected some of .*scene"),
        ("expert/dance/action: /dance\n", "unknown topic 'expert/dance/action'"),
        ("scene: /cell//scene\n", "scene: '/cell//scene' is no name of a topic"),
        ("scene: 3\n", "scene: 3 is no name of a topic"),
        ("scene: /a\nhand_state: /a\n", "line 2: hand_state: '/a' is the name of scene already"),
        ("scene: [\n", "not valid YAML"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_topic_map(written(tmp_path, text), SKILLS)


def test_a_map_that_is_not_there_is_named(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none.yaml"):
        specs(bundle, tmp_path / "none.yaml")
