"""What a rosbag2 folder holds for an episode: custom data, and the undecoded messages of its topics by name.

Whatever is damaged in it is one line that names the folder: a checksum, a length, or what a library says of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rosbags.rosbag2 import Reader

from roman_moe.core.errors import DemonstrationError, one_line
from roman_moe.core.spec import MONOLITHIC, TaskSpec
from roman_moe.demos.bag import MCAP_SUFFIX, METADATA_FILE, OPTIONAL_TYPES, TICKS, episode_types
from roman_moe.demos.checksums import CUSTOM_CHECKSUM, check_mcap, custom_checksum
from roman_moe.wire.codec import serialized_stamp
from roman_moe.wire.topics import SCENE


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a bag: the stamp in its header [ns], its CDR bytes and its type."""

    stamp_ns: int
    data: bytes
    kind: str


Topics = dict[str, list[Message]]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """The content of a bag.

    Attributes:
        custom: custom data of its metadata.yaml.
        topics: messages by their topic's full name, of those topics alone that an episode may need.
        others: names of its other topics.
    """

    path: Path
    custom: dict[str, str]
    topics: Topics
    others: tuple[str, ...] = ()

    def ticks(self, network: str) -> tuple[Topics, int]:
        """Messages of the complete ticks for a network by relative topic, and how many scenes have no such tick.

        A tick has a message on each of the optional topics that there are.

        Raises:
            DemonstrationError: if a topic is missing or of another type, or a bag of `EpisodeWriter` lacks a message.
        """
        types = episode_types(network)
        prefix = self._namespace(types)
        types |= {name: kind for name, kind in OPTIONAL_TYPES.items() if self.topics.get(prefix + name)}
        for name, kind in types.items():
            other = next((m.kind for m in self.topics[prefix + name] if m.kind != kind), None)
            if other is not None:
                raise DemonstrationError(f"{self.path}: {prefix + name} is of type {other}: expected {kind}")
        scenes = [message.stamp_ns for message in self.topics[prefix + SCENE]]
        if not scenes:
            raise DemonstrationError(f"{self.path}: topic {prefix + SCENE!r} has no message")
        # reversed: the first of several with one stamp is taken
        found = {name: {m.stamp_ns: m for m in reversed(self.topics[prefix + name])} for name in types}
        self._check_complete(scenes, found)
        complete = [stamp for stamp in scenes if all(stamp in messages for messages in found.values())]
        if not complete:
            raise DemonstrationError(
                f"{self.path}: no scene has a message of its stamp on each of "
                f"{', '.join(prefix + name for name in types if name != SCENE)}"
            )
        ticks = {name: [messages[stamp] for stamp in complete] for name, messages in found.items()}
        return ticks, len(scenes) - len(complete)

    def _namespace(self, types: dict[str, str]) -> str:
        """What stands before relative names: "/", "/lab/" of a graph in a namespace, or nothing."""
        found = [topic.removesuffix(SCENE) for topic in self.topics if f"/{topic}".endswith(f"/{SCENE}")]
        whole = [prefix for prefix in found if all(prefix + name in self.topics for name in types)]
        if len(whole) > 1:
            graphs = ", ".join(sorted(prefix + SCENE for prefix in whole))
            raise DemonstrationError(f"{self.path}: holds several graphs ({graphs}): record one of them")
        if not whole:
            prefix = found[0] if found else "/"
            missing = ", ".join(repr(prefix + name) for name in types if prefix + name not in self.topics)
            raise DemonstrationError(
                f"{self.path}: no topic {missing}: it has {', '.join(sorted((*self.topics, *self.others))) or 'none'}"
            )
        return whole[0]

    def _check_complete(self, scenes: list[int], found: dict[str, dict[int, Message]]) -> None:
        expected = self.custom.get(TICKS)
        if expected is None:
            return
        if expected != str(len(scenes)):
            raise DemonstrationError(f"{self.path}: {len(scenes)} scenes: expected {expected}, as its custom data say")
        for name, messages in found.items():
            for index, stamp in enumerate(scenes):
                if stamp not in messages:
                    raise DemonstrationError(f"{self.path}: scene {index} has no message of its stamp on {name!r}")


def read_recording(path: Path, spec: TaskSpec) -> Recording:
    """Read a rosbag2 folder of a task, whatever made it: MCAP or SQLite, of one file or several, compressed or not.

    Raises:
        DemonstrationError: if it is no complete bag, or one of its checksums is wrong.
    """
    if not (path / METADATA_FILE).is_file():
        raise DemonstrationError(f"{path}: no rosbag2 folder with a {METADATA_FILE}")
    try:
        for file in sorted(path.glob(f"*{MCAP_SUFFIX}")):
            check_mcap(file)
        recording = _read(path, spec)
    except Exception as error:  # damaged bytes make rosbags, and what it calls, raise anything
        raise DemonstrationError(
            f"{path}: cannot be read as a bag: {one_line(error) or type(error).__name__}"
        ) from error
    custom = recording.custom
    if CUSTOM_CHECKSUM in custom and custom[CUSTOM_CHECKSUM] != custom_checksum(custom):
        raise DemonstrationError(
            f"{path}: custom data of {METADATA_FILE} are damaged or were changed: they do not match their "
            f"{CUSTOM_CHECKSUM}: record it again, or remove that line if the change is meant"
        )
    return recording


def _read(path: Path, spec: TaskSpec) -> Recording:
    networks = (*spec.networks, MONOLITHIC)
    relative = tuple(f"/{name}" for name in {*OPTIONAL_TYPES, *(t for each in networks for t in episode_types(each))})
    with Reader(path) as bag:
        found = getattr(bag.storage.metadata, "custom", None) or {}
        custom = {str(key): "" if value is None else str(value) for key, value in found.items()}
        needed = [connection for connection in bag.connections if f"/{connection.topic}".endswith(relative)]
        topics: Topics = {connection.topic: [] for connection in needed}
        for connection, _, data in bag.messages(needed) if needed else ():
            content = bytes(data)
            topics[connection.topic].append(Message(serialized_stamp(content), content, connection.msgtype))
        return Recording(path, custom, topics, tuple({c.topic for c in bag.connections} - topics.keys()))
