"""The option --cluster of verbs with many jobs: the machines that run them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from roman_moe.cli.options import say

if TYPE_CHECKING:
    from roman_moe.evaluation.pool import Workers


@contextlib.contextmanager
def workers_of(
    console: Console, address: str, processes: int, files: Sequence[Path], folders: Sequence[Path] = ()
) -> Iterator[Workers]:
    """Who runs the jobs, as long as the block lasts: so many processes, or a cluster if an address is given.

    Args:
        files: files and folders that jobs read.
        folders: that jobs write to.

    Raises:
        ConfigError: if there is no such cluster, or it cannot be used.
    """
    if not address:
        yield processes
        return
    from roman_moe.evaluation.cluster.choice import open_cluster

    with open_cluster(address, files, folders, processes) as cluster:
        for line in cluster.lines:
            say(console, line)
        yield cluster
