"""EpisodeWriter: records one demonstration as a rosbag2 folder with MCAP storage.

The folder appears under its name complete, or not at all: it is written beside its place (`demos/unfinished.py`) and
renamed when closed. Every checksum that MCAP knows is written. Message headers carry episode time, which begins at 0.
Log and publish times are the wall time at which the recording began plus episode time, so that a bag plays at the
episode's own rate.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import yaml
from mcap.writer import Writer
from numpy.typing import NDArray

from roman_moe.core.action import Command
from roman_moe.core.errors import DemonstrationError, EpisodeTakenError
from roman_moe.core.spec import GATE, MONOLITHIC, TaskSpec
from roman_moe.core.state import POSITION_BOUND, VELOCITY_BOUND, SceneState
from roman_moe.demos.bag import (
    MCAP_SUFFIX,
    METADATA_FILE,
    TICKS,
    answer_topic,
    episode_types,
)
from roman_moe.demos.checksums import CUSTOM_CHECKSUM, custom_checksum
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.teachable import is_teachable
from roman_moe.demos.unfinished import hidden_folder, release, reserve, reserve_anew
from roman_moe.wire import topics as names
from roman_moe.wire.bag_types import codec, typestore
from roman_moe.wire.codec import BlenderTick, LabTick


class _Quoted(str):
    """Text that YAML must not take for something else, such as the commit 1234e56 for a number."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="'")
)


class EpisodeWriter:
    """Writes the episode `path` tick by tick; `close` keeps it, leaving the `with` block without that drops it.

    Args:
        path: the episode's folder, not there yet.
        network: what is taught: a skill, or "gate".
        clock: wall time [ns].
        anew: whether the folder may exist, and is replaced once nobody else writes it: for a job that runs again.

    Raises:
        EpisodeTakenError: if the folder exists, or somebody writes it.
        DemonstrationError: if there is no such network.
    """

    def __init__(
        self,
        path: Path,
        spec: TaskSpec,
        network: str,
        clock: Callable[[], int] = time.time_ns,
        anew: bool = False,
    ) -> None:
        if network not in (*spec.networks, MONOLITHIC):
            raise DemonstrationError(f"{path}: network {network!r}: expected one of {', '.join(spec.networks)}")
        lock = reserve_anew(path) if anew else reserve(path)
        if lock is None:
            raise EpisodeTakenError(f"{path}: exists already, or is being recorded: record into another folder")
        self._path = path
        self._spec = spec
        self._network = network
        self._types = episode_types(network)
        self._began = clock()
        self._stamps: list[int] = []
        self._counts: Counter[str] = Counter()
        self._extent: tuple[int, int] | None = None  # first and last stamp
        self._lock = lock
        self._folder = hidden_folder(path) / path.name
        self._folder.mkdir()
        self._file = (self._folder / f"{path.name}{MCAP_SUFFIX}").open("wb")
        self._mcap = Writer(self._file, enable_data_crcs=True)
        self._mcap.start(profile="ros2")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        for kind in self._types.values():
            self._register_schema(kind)
        for topic, kind in self._types.items():
            self._register(topic, kind)

    def _register_schema(self, kind: str) -> int:
        if kind not in self._schemas:
            definition, _ = typestore().generate_msgdef(kind, ros_version=2)
            self._schemas[kind] = self._mcap.register_schema(kind, "ros2msg", definition.encode())
        return self._schemas[kind]

    def _register(self, topic: str, kind: str) -> None:
        self._types[topic] = kind
        described = {"offered_qos_profiles": "", "topic_type_hash": typestore().hash_rihs01(kind)}
        self._channels[topic] = self._mcap.register_channel(f"/{topic}", "cdr", self._register_schema(kind), described)

    @property
    def ticks(self) -> int:
        return len(self._stamps)

    def add(
        self,
        scene: SceneState,
        answer: NDArray[np.float64],
        command: Command,
        tick: BlenderTick | None = None,
        policy: NDArray[np.float64] | None = None,
    ) -> None:
        """Add one tick.

        Args:
            scene: what the network sees.
            answer: what it should answer: an action, (a,), or weights of the task's skills, (k,).
            command: what was sent to the arm, disturbances included.
            tick: what the blender made of the scene; with one tick, with all.
            policy: what the policy alone would have done, (a,), NaN if it had no answer; likewise.

        Raises:
            DemonstrationError: if there is nothing to learn from the scene (`is_teachable`), anything else is not
                finite, or the answer has another length; nothing is written then.
        """
        index = len(self._stamps)
        size = len(self._spec.skills) if self._network == GATE else self._spec.action.size
        if answer.shape != (size,):
            raise DemonstrationError(
                f"{self._path}: answer {index} has shape {answer.shape}: expected ({size},) for {self._network}"
            )
        for what, finite in (
            (names.SCENE, is_teachable(scene, self._network)),
            (answer_topic(self._network), bool(np.isfinite(answer).all())),
            ("command", command.is_finite()),
        ):
            if not finite:
                bounds = f"{POSITION_BOUND:g} m or {VELOCITY_BOUND:g} m/s"
                wrong = f"is not finite, is beyond {bounds}, or an object that the network observes is neither seen nor"
                raise DemonstrationError(f"{self._path}: {what} {index} {wrong} remembered: nothing to learn from")
        messages = codec()
        if self._network == GATE:
            taught = messages.weights(scene.stamp_ns, self._spec.skill_names, answer)
        else:
            taught = messages.action(scene.stamp_ns, self._spec.action.layout, answer)
        self._write(names.SCENE, scene.stamp_ns, messages.scene(scene))
        self._write(answer_topic(self._network), scene.stamp_ns, taught)
        self._write(names.TWIST_COMMAND, scene.stamp_ns, messages.twist(command))
        self._write(names.GRIPPER_COMMAND, scene.stamp_ns, messages.gripper(command))
        if tick is not None:
            self._write(names.TICK, scene.stamp_ns, messages.tick(scene.stamp_ns, tick.skills, tick.numbers))
        if policy is not None:
            self._write(
                names.POLICY_ACTION, scene.stamp_ns, messages.action(scene.stamp_ns, self._spec.action.layout, policy)
            )
        self._stamps.append(scene.stamp_ns)

    def add_image(self, name: str, stamp_ns: int, data: bytes) -> None:
        """Add a CompressedImage of a camera, serialized (CDR), as it came; its stamp [ns] is its own."""
        topic = names.camera(name, names.COMPRESSED)
        if topic not in self._channels:
            self._register(topic, names.CAMERA_TYPES[names.COMPRESSED])
        self._put(topic, stamp_ns, data)

    def add_lab_tick(self, tick: LabTick) -> None:
        """Add what a lab's arm followed; its stamp is its own."""
        self._write(names.LAB_TICK, tick.command.stamp_ns, codec().lab_tick(tick))

    def close(self, meta: EpisodeMeta) -> None:
        """Complete the episode and give it its name.

        Raises:
            DemonstrationError: if it has no tick, or `meta` is about another network or task.
        """
        if meta.network != self._network:
            raise DemonstrationError(
                f"{self._path}: network {meta.network!r} in its metadata: expected {self._network!r}"
            )
        meta.check_task(self._spec, self._path)
        if not self._stamps:
            raise DemonstrationError(f"{self._path}: no tick was recorded")
        information = self._information(meta)
        self._mcap.add_metadata("rosbag2", {"serialized_metadata": _yaml(information)})
        self._mcap.finish()
        self._file.close()
        temporary = self._folder / f".{METADATA_FILE}"
        temporary.write_text(_yaml({"rosbag2_bagfile_information": information}), encoding="utf-8")
        temporary.rename(self._folder / METADATA_FILE)  # with it the episode is whole
        self._folder.rename(self._path)
        self.discard()

    def _information(self, meta: EpisodeMeta) -> dict[str, Any]:
        """Content of rosbag2's metadata.yaml, version 9 (Jazzy)."""
        custom = {**meta.to_custom_data(), TICKS: str(len(self._stamps))}
        custom[CUSTOM_CHECKSUM] = custom_checksum(custom)
        file = f"{self._path.name}{MCAP_SUFFIX}"
        first, last = self._extent or (0, 0)
        extent = {
            "duration": {"nanoseconds": last - first},
            "starting_time": {"nanoseconds_since_epoch": self._began + first},
            "message_count": self._counts.total(),
        }
        topics = [
            {
                "topic_metadata": {
                    "name": f"/{topic}",
                    "type": kind,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [],
                    "type_description_hash": typestore().hash_rihs01(kind),
                },
                "message_count": self._counts[topic],
            }
            for topic, kind in self._types.items()
        ]
        return {
            "version": 9,
            "storage_identifier": "mcap",
            **extent,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [file],
            "files": [{"path": file, **extent}],
            "custom_data": {key: _Quoted(value) for key, value in custom.items()},
            "ros_distro": os.environ.get("ROS_DISTRO", ""),  # empty without one, as rosbag2 has it
        }

    def discard(self) -> None:
        """Drop what was recorded; nothing to do once closed."""
        with contextlib.suppress(OSError):  # of a full disk
            self._file.close()
        if not self._lock.closed:
            release(self._folder.parent, self._lock)

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _write(self, topic: str, stamp_ns: int, message: object) -> None:
        if topic not in self._channels:
            self._register(topic, names.MESSAGE_TYPES[topic])
        self._put(topic, stamp_ns, bytes(typestore().serialize_cdr(message, self._types[topic])))

    def _put(self, topic: str, stamp_ns: int, data: bytes) -> None:
        time_ns = self._began + stamp_ns
        self._mcap.add_message(self._channels[topic], time_ns, data, time_ns, sequence=len(self._stamps))
        self._counts[topic] += 1
        first, last = self._extent or (stamp_ns, stamp_ns)
        self._extent = min(first, stamp_ns), max(last, stamp_ns)


def _yaml(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
