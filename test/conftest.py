"""What every test runs under: a ROS graph that nobody else hears, logs in a passing folder, one thread a library."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from roman_moe.nodes.environment import this_machine

# Tests' own processes import this checkout, installed or not, and a sourced ROS where there is one.
ROOT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))

# Before the libraries that read them are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.update(this_machine())
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))

# A shell that starts us in the background has Ctrl-C ignored, and our own children with us: tests send it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def ros_logs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """ROS needs a folder for its logs, and a home may not be writable."""
    os.environ["ROS_LOG_DIR"] = str(tmp_path_factory.mktemp("ros_log"))
