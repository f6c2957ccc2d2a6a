"""Demonstrations for tests: random ticks, recorded as the writer does it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from specs import FLAGS, OBJECTS, ROMAN, SKILLS

from roman_moe.core.action import Command
from roman_moe.core.spec import GATE
from roman_moe.core.state import SceneState
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.wire.bag_types import codec, typestore
from roman_moe.wire.codec import BlenderTick


def make_meta(network: str, **changes: object) -> EpisodeMeta:
    values = {
        "network": network,
        "task": ROMAN.name,
        "task_sha256": ROMAN.digest,
        "start": "scenario_6" if network == GATE else network,
        "outcome": "success",
        "source": "oracle",
        "noise_bound": 0.005,
        "noise_kind": "clipped",
        "perturbation": 0.1,
        "disturbance": "knock_out",
        "delay": 0,
        "lost_share": 0.0,
        "seed": 17,
        "rate": 20.0,
        "git_commit": "0123abc",
    }
    return EpisodeMeta(**{**values, **changes})  # type: ignore[arg-type]


def make_ticks(network: str, count: int = 5, seed: int = 0) -> list[tuple[SceneState, np.ndarray, Command]]:
    rng = np.random.default_rng(seed)
    ticks = []
    for index in range(count):
        stamp = index * 50_000_000
        scene = SceneState(
            spec=ROMAN,
            stamp_ns=stamp,
            hand_position=rng.normal(size=3),
            hand_velocity=rng.normal(size=3),
            finger_opening=float(rng.uniform(0, 0.08)),
            finger_forces=rng.uniform(0, 5, size=2),
            object_positions=rng.normal(size=(len(OBJECTS), 3)),
            flags=rng.integers(0, 2, size=len(FLAGS)).astype(bool),
        )
        answer = rng.dirichlet(np.ones(len(SKILLS))) if network == GATE else rng.uniform(-1, 1, size=4)
        ticks.append((scene, answer, Command(stamp, rng.normal(size=3), float(rng.uniform(0, 0.08)))))
    return ticks


BEGAN = 1_700_000_000_123_456_789


def record(path: Path, network: str, data_seed: int = 0, began: int = BEGAN, ticks: int = 5, **changes: object) -> None:
    with EpisodeWriter(path, ROMAN, network, clock=lambda: began) as writer:
        for tick in make_ticks(network, ticks, data_seed):
            writer.add(*tick)
        writer.close(make_meta(network, **changes))


IMAGE_KIND = "sensor_msgs/msg/CompressedImage"


def add_images(writer, count, width=48):
    """Images 33 ms apart, 32 rows high, each of one grey and lighter than the last; of no width, what is no image."""
    for index in range(count):
        stamp, pixels = index * 33_000_000, np.full((32, max(width, 1), 3), 20 * index, dtype=np.uint8)
        data = cv2.imencode(".png", pixels)[1].ravel()[: None if width else 9]
        header = codec().weights(stamp, (), np.empty(0)).header
        message = typestore().types[IMAGE_KIND](header, "png", data)
        writer.add_image("front", stamp, bytes(typestore().serialize_cdr(message, IMAGE_KIND)))


def corrected(path, skip_tick=-1, images=0, **changes):
    """An episode in whose middle an operator drove; what was written."""
    ticks = []
    with EpisodeWriter(path, ROMAN, "push") as writer:
        for index, (scene, answer, command) in enumerate(make_ticks("push")):
            drove = 1 <= index < 4
            weights = np.zeros(7) if drove else np.eye(7)[2]
            policy = np.full(4, np.nan) if index == 3 else answer / 2
            tick = BlenderTick(SKILLS, weights, command, 3, drove)
            writer.add(scene, answer, command, None if index == skip_tick else tick, policy)
            ticks.append((tick, policy))
        add_images(writer, images)
        writer.close(make_meta("push", **changes))
    return ticks
