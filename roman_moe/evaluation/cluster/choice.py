"""The cluster that an option names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from roman_moe.evaluation.cluster.ray_cluster import ray_cluster
from roman_moe.evaluation.cluster.slurm_queue import LOCAL, SLURM, slurm_queue
from roman_moe.evaluation.cluster.worker_check import requirements
from roman_moe.evaluation.pool import Cluster


@contextlib.contextmanager
def open_cluster(address: str, files: Sequence[Path], folders: Sequence[Path] = (), jobs: int = 2) -> Iterator[Cluster]:
    """The cluster at an address, as long as the block lasts.

    Args:
        address: HOST:PORT of a Ray cluster's head, "auto", or "slurm" with or without :PARTITION.
        files: files and folders that jobs read: every worker must have the same.
        folders: that jobs write to: every worker must see them.
        jobs: of Slurm at a time.

    Raises:
        ConfigError: if there is none, or it cannot be used.
    """
    queue = address.partition(":")[0] in (SLURM, LOCAL)
    here = folders or [Path.cwd()] * queue  # where a queue's own files go
    with requirements(files, here) as found:
        chosen = slurm_queue(address, found, jobs, Path.cwd()) if queue else ray_cluster(address, found)
        with chosen as cluster:
            yield cluster
