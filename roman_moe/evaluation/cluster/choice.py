"""The cluster that an option names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from roman_moe.evaluation.cluster.check import common
from roman_moe.evaluation.cluster.ray_cluster import ray_cluster
from roman_moe.evaluation.pool import Cluster


@contextlib.contextmanager
def open_cluster(address: str, files: Sequence[Path], folders: Sequence[Path] = ()) -> Iterator[Cluster]:
    """The cluster at an address, as long as the block lasts.

    Args:
        address: HOST:PORT of a Ray cluster's head, or "auto".
        files: files and folders that jobs read: every worker must have the same.
        folders: that jobs write to: every worker must see them.

    Raises:
        ConfigError: if there is none, or it cannot be used.
    """
    with common(files, folders) as found, ray_cluster(address, found) as cluster:
        yield cluster
