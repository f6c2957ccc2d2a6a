"""A saboteur beside a running graph: does it harm through its own topics, services and processes, and watches.

For `roman-moe chaos` (bench/chaos.py): it is no part of any graph that is to do something useful.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.context import Context
from rclpy.node import Node

from roman_moe.control.bundle import load_bundle
from roman_moe.control.manifest import load_manifest
from roman_moe.core.action import Command
from roman_moe.core.errors import RomanError
from roman_moe.core.state import NANOSECONDS, begins_anew
from roman_moe.nodes.base import topics
from roman_moe.nodes.base.serialized import BodiesReader, NumbersReader
from roman_moe.nodes.bringup.bringup import Graph
from roman_moe.nodes.bringup.graph_client import node_of
from roman_moe.testing.probe import Probe
from roman_moe.wire.bodies import Bodies, MessageError, scene_layout

MOVING = 0.05  # [m/s] commanded, from which the hand moves in earnest
LOSS = 0.3
DELAY = 0.02  # [s]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        inject: puts it in.
        needs_stop: whether the arm cannot go on meanwhile.
        lasts: for how many more control periods `inject` is called in each.
        graph: "usual", "lossy" (scenes are dropped and delayed) or "full_shm".
        uncounted: whether the saboteur's messages come as from a known node: nodes do not count it as a publisher, or
            the arm would only rest between two. They do so from then on.
    """

    name: str
    inject: Callable[[Saboteur], None]
    needs_stop: bool = False
    lasts: int = 0
    graph: str = "usual"
    uncounted: bool = False


class Saboteur(Probe):
    """Does harm to a running graph, and watches what comes of it."""

    def __init__(self, context: Context, graph: Graph, others: Path, rng: np.random.Generator) -> None:
        super().__init__("saboteur", context)
        self.graph, self.others, self.rng = graph, others, rng
        manifest = load_manifest(others)
        self.spec, self.skills = manifest.task, manifest.skills
        self.period_ns = round(NANOSECONDS / manifest.rates.control_rate)
        self.hand: list[Bodies] = []  # of this episode
        self.episode = 0  # counted from the first that was seen
        self.commands: list[tuple[int, float]] = []  # likewise: stamp [ns], speed [m/s]
        self.scene = b""
        self._read_hand = BodiesReader(
            topics.HAND_STATE.name, topics.HAND_STATE.kind, scene_layout(self.spec).hand_names
        )
        self._read_twist = NumbersReader(topics.TWIST_COMMAND.kind, topics.TWIST)
        self._sending: dict[str, Any] = {}
        for topic, handle in (
            (topics.HAND_STATE, self._on_hand),
            (topics.TWIST_COMMAND, self._on_command),
            (topics.SCENE, self._on_scene),
        ):
            self.create_subscription(topic.kind, topic.name, handle, topic.qos, raw=True)

    def _on_hand(self, data: bytes) -> None:
        with contextlib.suppress(MessageError):
            bodies = self._read_hand(data)
            if self.hand and begins_anew(bodies.stamp_ns, self.hand[-1].stamp_ns):
                self.begin_episode()
            self.hand.append(bodies)

    def _on_command(self, data: bytes) -> None:
        with contextlib.suppress(MessageError):
            stamp, twist = self._read_twist(data)
            self.commands.append((stamp, float(np.linalg.norm(twist[:3]))))

    def _on_scene(self, data: bytes) -> None:
        self.scene = data

    def begin_episode(self) -> None:
        self.episode += 1
        self.hand.clear()
        self.commands.clear()

    @property
    def stamp(self) -> int:
        """Of the newest hand state [ns]; -1 before there was one."""
        return self.hand[-1].stamp_ns if self.hand else -1

    @property
    def time_s(self) -> float:
        """Of the episode, since its first state that was seen [s]; 0 before there was one."""
        return (self.hand[-1].stamp_ns - self.hand[0].stamp_ns) / NANOSECONDS if self.hand else 0.0

    @property
    def leading(self) -> str:
        assert self.graph.monitor.tick is not None
        return self.graph.monitor.tick.leading

    def in_motion(self, earliest: float) -> bool:
        """Whether a fault now would hit the hand in motion, and one expert alone."""
        tick = self.graph.monitor.tick
        return (
            self.time_s >= earliest
            and tick is not None
            and float(tick.weights.max()) > 0.9
            and len(self.commands) > 3
            and min(speed for _, speed in self.commands[-3:]) > MOVING
            and float(np.linalg.norm(self.hand[-1].velocities[0])) > MOVING
        )

    def send(self, topic: topics.Topic, *messages: Any) -> None:
        """Publish messages, or bytes, on any topic."""
        if topic.name not in self._sending:
            self._sending[topic.name] = self.create_publisher(topic.kind, topic.name, topic.qos)
        for message in messages:
            self._sending[topic.name].publish(message)

    def be_silent(self) -> None:
        """Give up all that was published."""
        for publisher in self._sending.values():
            self.destroy_publisher(publisher)
        self._sending.clear()


def _future(saboteur: Saboteur) -> int:
    return saboteur.stamp + 3600 * NANOSECONDS


def _second_commander(saboteur: Saboteur) -> None:
    spec = saboteur.spec
    wild = Command(saboteur.stamp, np.array([spec.action.top_speed, 0.0, 0.0]), spec.gripper.open)
    saboteur.send(topics.TWIST_COMMAND, topics.CODEC.twist(wild))
    saboteur.send(topics.GRIPPER_COMMAND, topics.CODEC.gripper(wild))


def _two_gates(saboteur: Saboteur) -> None:
    """As a gate of another make has it: ours would not become active beside the first."""
    count = len(saboteur.skills)
    other = np.eye(count)[saboteur.rng.integers(count)]
    saboteur.send(topics.GATE_WEIGHTS, topics.CODEC.weights(saboteur.stamp, saboteur.skills, other))


def _not_finite(saboteur: Saboteur) -> None:
    layout, skills = saboteur.spec.action.layout, saboteur.skills
    stamp, nans = saboteur.stamp + saboteur.period_ns, np.full(len(layout), np.nan)
    nans[0] = 0.5
    saboteur.send(topics.expert_action(saboteur.leading), topics.CODEC.action(stamp, layout, nans))
    saboteur.send(topics.GATE_WEIGHTS, topics.CODEC.weights(stamp, skills, np.full(len(skills), np.inf)))


def _malformed(saboteur: Saboteur) -> None:
    layout, skills = saboteur.spec.action.layout, saboteur.skills
    short = topics.CODEC.action(saboteur.stamp, layout, np.zeros(len(layout)))
    short.velocity = short.velocity[:2]
    long = topics.CODEC.weights(saboteur.stamp, skills, np.ones(len(skills)))
    long.position = [*long.position, 1.0]
    saboteur.send(topics.expert_action(saboteur.leading), short)
    saboteur.send(topics.GATE_WEIGHTS, long)
    saboteur.send(topics.SCENE, saboteur.scene[:100])


def _unknown_skills(saboteur: Saboteur) -> None:
    count = len(saboteur.skills)
    names = [f"dance_{i}" for i in range(count)]
    saboteur.send(topics.GATE_WEIGHTS, topics.CODEC.weights(saboteur.stamp, names, np.ones(count) / count))


def _stamps(at: Callable[[Saboteur], int], saboteur: Saboteur) -> None:
    stamp, layout, skills = at(saboteur), saboteur.spec.action.layout, saboteur.skills
    saboteur.send(topics.expert_action(saboteur.leading), topics.CODEC.action(stamp, layout, np.ones(len(layout))))
    saboteur.send(topics.GATE_WEIGHTS, topics.CODEC.weights(stamp, skills, np.eye(len(skills))[0]))


def _flood(saboteur: Saboteur) -> None:
    layout = saboteur.spec.action.layout
    message = topics.CODEC.action(_future(saboteur), layout, np.ones(len(layout)))
    saboteur.send(topics.expert_action(saboteur.leading), *[message] * 200)


def _clock_back(saboteur: Saboteur) -> None:
    past = bytearray(saboteur.scene)
    past[4:12] = bytes(8)  # the stamp, seconds and nanoseconds
    saboteur.send(topics.SCENE, bytes(past))


def _swap_during_swap(saboteur: Saboteur) -> None:
    bundle = load_bundle(saboteur.others)
    skill = saboteur.leading
    if not saboteur.graph.spin_until(partial(saboteur.finds, skill), 10.0):
        raise RomanError(f"chaos: no parameter services of {node_of(skill)}")
    for _ in range(5):
        saboteur.set_model(skill, saboteur.others / bundle.manifest.experts[skill].file)


def _kill(find: Callable[[Saboteur], str], number: signal.Signals, saboteur: Saboteur) -> None:
    os.kill(saboteur.graph.processes[find(saboteur)], number)


_NODES: tuple[tuple[str, Callable[[Saboteur], str]], ...] = (
    ("pose_source", lambda _: "pose_source"),
    ("observer", lambda _: "observer"),
    ("gate", lambda _: "gate"),
    ("expert", lambda saboteur: node_of(saboteur.leading)),
    ("blender", lambda _: "blender"),
)

FAULTS: tuple[Fault, ...] = (
    *(Fault(f"kill_{name}", partial(_kill, find, signal.SIGKILL), True) for name, find in _NODES),
    *(Fault(f"freeze_{name}", partial(_kill, find, signal.SIGSTOP), True) for name, find in _NODES),
    Fault("second_commander", _second_commander, True, lasts=20),
    Fault("two_gates", _two_gates, lasts=60),
    Fault("not_finite", _not_finite, lasts=10, uncounted=True),
    Fault("malformed", _malformed, lasts=10, uncounted=True),
    Fault("unknown_skills", _unknown_skills, lasts=10, uncounted=True),
    Fault("stamps_from_the_future", partial(_stamps, _future), lasts=10, uncounted=True),
    Fault("stamps_from_the_past", partial(_stamps, lambda _: 0), lasts=10, uncounted=True),
    Fault("flood", _flood, lasts=20, uncounted=True),
    Fault("clock_back", _clock_back, lasts=3, uncounted=True),
    Fault("swap_during_swap", _swap_during_swap),
    Fault("lossy_scenes", lambda _: None, graph="lossy"),
    Fault("full_shared_memory", lambda _: None, graph="full_shm"),
)


class LossyRelay(Node):
    """Stands between the observer and all others: drops some scenes, and delays the rest."""

    SOURCE = "scene_whole"

    def __init__(self, context: Context) -> None:
        super().__init__("lossy_relay", context=context)
        self._rng = np.random.default_rng(0)
        self._publisher = self.create_publisher(topics.SCENE.kind, topics.SCENE.name, topics.SCENE.qos)
        self._waiting: list[tuple[float, bytes]] = []
        self.create_subscription(topics.SCENE.kind, self.SOURCE, self._on_scene, topics.SCENE.qos, raw=True)
        self.create_timer(0.002, self._on_time)

    def _on_scene(self, data: bytes) -> None:
        if self._rng.random() >= LOSS:
            self._waiting.append((time.monotonic() + DELAY * self._rng.random(), data))

    def _on_time(self) -> None:
        now = time.monotonic()
        for when, data in [item for item in self._waiting if item[0] <= now]:
            self._publisher.publish(data)
            self._waiting.remove((when, data))
