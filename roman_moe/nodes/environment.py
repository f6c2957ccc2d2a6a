"""What ROS reads from the environment: discovery, domain, log folder; set for a graph's life unless the user did."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

DISCOVERY = "ROS_AUTOMATIC_DISCOVERY_RANGE"
DOMAIN = "ROS_DOMAIN_ID"
LOG_DIR = "ROS_LOG_DIR"

HIGHEST_DOMAIN = 101  # above it, DDS ports run into Linux' ephemeral ones


@contextlib.contextmanager
def ros_environment(separate: bool, private: bool) -> Iterator[None]:
    """Set what the user has not set, and take it back at the end.

    Args:
        separate: the nodes are processes, which must find each other on this machine.
        private: nobody else is to see the graph, nor the graph anybody else: one process closes discovery, several take
            a random domain of their own. Otherwise the graph is open to this machine on the usual domain.
    """
    wanted = {DISCOVERY: "OFF" if private and not separate else "LOCALHOST"}
    if private and separate:
        wanted[DOMAIN] = str(random.SystemRandom().randint(1, HIGHEST_DOMAIN))
    if not _log_folder_is_usable():
        wanted[LOG_DIR] = str(Path(tempfile.gettempdir()) / f"roman_moe-{os.getuid()}" / "log")
    added = [name for name in wanted if not os.environ.get(name)]
    os.environ.update({name: wanted[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _log_folder_is_usable() -> bool:
    """Whether ROS can write its logs where it would; it refuses to start otherwise."""
    if os.environ.get(LOG_DIR):
        return True  # the user's choice: ROS says so itself if it is none
    home = os.environ.get("HOME")
    root = os.environ.get("ROS_HOME") or (str(Path(home) / ".ros") if home else None)
    if root is None:
        return False
    folder = Path(root) / "log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
