"""Provenance of demonstrations: which code made them, and a hash of what a set of them says."""

from __future__ import annotations

import hashlib
from pathlib import Path

from roman_moe.demos.bag import TICKS
from roman_moe.demos.checksums import CUSTOM_CHECKSUM
from roman_moe.demos.reader import episode_folders, read_ticks

NOT_CONTENT = ("git_commit", TICKS, CUSTOM_CHECKSUM)
"""Custom data that say nothing about what is demonstrated."""


def dataset_hash(dataset: Path, network: str) -> str:
    """sha256 over all that the demonstrations of one network say, in hexadecimal.

    It covers names, metadata and messages, but not the recording commit, the bag's container or wall times: recording
    again with the same seed gives the same hash as long as the demonstrations are the same.

    Raises:
        DemonstrationError: if there is none, or one cannot be read.
    """
    digest = hashlib.sha256()

    def add(content: bytes) -> None:
        digest.update(len(content).to_bytes(8, "big") + content)

    for path in episode_folders(dataset, network):
        _, custom, topics, _ = read_ticks(path, network)
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
