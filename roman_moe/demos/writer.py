"""EpisodeWriter: records one demonstration as a rosbag2 folder with MCAP storage.

The folder appears under its name complete, or not at all: it is written beside its place and renamed when closed.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from roman_moe.core.action import ACTION_SIZE, Command
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.messages import JOINT_STATE
from roman_moe.core.skills import SKILLS
from roman_moe.core.state import SceneState
from roman_moe.demos.bag import GRIPPER_TOPIC, SCENE_TOPIC, TOPIC_TYPES, TWIST_TOPIC, answer_topic, codec, typestore
from roman_moe.demos.metadata import GATE, MONOLITHIC, NETWORKS, EpisodeMeta


class EpisodeWriter:
    """Writes the episode `path` tick by tick; `close` keeps it, leaving the `with` block without that drops it.

    Args:
        path: the episode's folder, not there yet.
        network: what is taught: a skill, or "gate".

    Raises:
        DemonstrationError: if the folder exists or there is no such network.
    """

    def __init__(self, path: Path, network: str) -> None:
        if network not in (*NETWORKS, MONOLITHIC):
            raise DemonstrationError(f"{path}: network {network!r}: expected one of {', '.join(NETWORKS)}")
        if path.exists():
            raise DemonstrationError(f"{path}: exists already: remove it or record into another folder")
        self._path = path
        self._network = network
        self._ticks = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        # The bag's file carries its folder's name, hence a folder within a temporary one.
        self._temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        self._bag = Writer(self._temporary / path.name, version=9, storage_plugin=StoragePlugin.MCAP)
        self._bag.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._bag.open()
        topics = {**TOPIC_TYPES, answer_topic(network): JOINT_STATE}
        self._connections = {
            topic: self._bag.add_connection(topic, kind, typestore=typestore()) for topic, kind in topics.items()
        }

    def add(self, scene: SceneState, answer: NDArray[np.float64], command: Command) -> None:
        """Add one tick.

        Args:
            scene: what the network sees.
            answer: what it should answer: an action, (4,), or weights of `SKILLS`, (7,).
            command: what was sent to the arm, disturbances included.

        Raises:
            DemonstrationError: if anything is not finite, or the answer has another length; nothing is written then.
        """
        size = len(SKILLS) if self._network == GATE else ACTION_SIZE
        if answer.shape != (size,):
            raise DemonstrationError(
                f"{self._path}: answer {self._ticks} has shape {answer.shape}: expected ({size},) for {self._network}"
            )
        for what, finite in (
            (SCENE_TOPIC, scene.is_finite() and bool(scene.object_valid.all())),
            (answer_topic(self._network), bool(np.isfinite(answer).all())),
            ("command", command.is_finite()),
        ):
            if not finite:
                wrong = "is not finite, or has an object that is not valid"
                raise DemonstrationError(f"{self._path}: {what} {self._ticks} {wrong}: nothing to learn from")
        messages = codec()
        if self._network == GATE:
            taught = messages.weights(scene.stamp_ns, SKILLS, answer)
        else:
            taught = messages.action(scene.stamp_ns, answer)
        self._write(SCENE_TOPIC, scene.stamp_ns, messages.scene(scene))
        self._write(answer_topic(self._network), scene.stamp_ns, taught)
        self._write(TWIST_TOPIC, scene.stamp_ns, messages.twist(command))
        self._write(GRIPPER_TOPIC, scene.stamp_ns, messages.gripper(command))
        self._ticks += 1

    def close(self, meta: EpisodeMeta) -> None:
        """Complete the episode and give it its name.

        Raises:
            DemonstrationError: if it has no tick, or `meta` is about another network.
        """
        if meta.network != self._network:
            raise DemonstrationError(
                f"{self._path}: network {meta.network!r} in its metadata: expected {self._network!r}"
            )
        if self._ticks == 0:
            raise DemonstrationError(f"{self._path}: no tick was recorded")
        for key, value in meta.to_custom_data().items():
            self._bag.set_custom_data(key, value)
        self._bag.close()
        (self._temporary / self._path.name).rename(self._path)
        self._temporary.rmdir()

    def discard(self) -> None:
        """Drop what was recorded; nothing to do once closed."""
        self._bag.abort()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _write(self, topic: str, stamp_ns: int, message: object) -> None:
        connection = self._connections[topic]
        self._bag.write(connection, stamp_ns, typestore().serialize_cdr(message, connection.msgtype))
