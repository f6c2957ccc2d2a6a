"""A dataset: a folder with the task's description, and one folder of demonstrations a network.

The description, `task.yaml`, says what the numbers in the recordings mean. `collect` writes it; beside a recording made
with `ros2 bag record` it is copied.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from roman_moe.core.errors import DemonstrationError
from roman_moe.core.files import write_file
from roman_moe.core.spec import TASK_FILE, TaskSpec, read_spec
from roman_moe.demos.bag import TICKS
from roman_moe.demos.checksums import CUSTOM_CHECKSUM
from roman_moe.demos.metadata import FOR_PEOPLE
from roman_moe.demos.reader import episode_folders, read_ticks

NOT_CONTENT = ("git_commit", TICKS, CUSTOM_CHECKSUM, *FOR_PEOPLE)
"""Custom data that say nothing about what is demonstrated."""


def dataset_spec(dataset: Path) -> TaskSpec:
    """Task of a dataset.

    Raises:
        DemonstrationError: if there is no dataset, or it does not say its task.
        ConfigError: naming the mistake in its task.yaml.
    """
    if not dataset.is_dir():
        raise DemonstrationError(f"{dataset}: no demonstration there: make some with `roman-moe collect`")
    file = dataset / TASK_FILE
    if not file.is_file():
        raise DemonstrationError(
            f"{file}: no such file: it says which task was demonstrated; copy the task's own there, or collect again"
        )
    return read_spec(file)


def write_spec(dataset: Path, spec: TaskSpec) -> None:
    write_file(dataset / TASK_FILE, spec.to_yaml())


def dataset_hash(dataset: Path, spec: TaskSpec, network: str) -> str:
    """sha256 over all that the demonstrations of one network say, in hexadecimal.

    It covers names, metadata and messages, but not the recording commit, the bag's container or wall times. So
    recording again with the same seed gives the same hash as long as the demonstrations are the same.

    Raises:
        DemonstrationError: if there is none, or one cannot be read.
    """
    return _hash(episode_folders(dataset, network), dataset, spec, network)


def episode_hash(path: Path, spec: TaskSpec) -> str:
    """Likewise over one demonstration, by its own name alone.

    Raises:
        DemonstrationError: if it cannot be read.
    """
    return _hash([path], path.parent, spec)


def _hash(paths: list[Path], dataset: Path, spec: TaskSpec, network: str | None = None) -> str:
    digest = hashlib.sha256()

    def add(content: bytes) -> None:
        digest.update(len(content).to_bytes(8, "big") + content)

    for path in paths:
        _, custom, topics, _ = read_ticks(path, spec, network)
        add(path.relative_to(dataset).as_posix().encode())
        for key, value in sorted(item for item in custom.items() if item[0] not in NOT_CONTENT):
            add(f"{key}={value}".encode())
        for topic, messages in sorted(topics.items()):
            add(topic.encode())
            for message in messages:
                add(message.kind.encode())
                add(message.stamp_ns.to_bytes(8, "big", signed=True))
                add(message.data)
    return digest.hexdigest()
