"""What every test runs under: a ROS graph that nobody else hears, logs in a passing folder, one thread a library."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from roman_moe.nodes.base.environment import DOMAIN, private_settings, reserved_domain

# Tests' own processes import this checkout, installed or not, and a sourced ROS where there is one.
ROOT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))

# The suite starts some hundred processes: each would compile the package anew where bytecode is not written.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Before the libraries that read them are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Whatever the shell has exported: a test that joined a running graph would move an arm.
_reserved = reserved_domain()  # for as long as these tests run
for name, value in private_settings(separate=True, domain=_reserved.__enter__()).items():
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value

# How long an example takes depends on the machine and on what else it does; a hang meets pytest's timeout.
hypothesis.settings.register_profile(
    "any_machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any_machine")

# What a folder's tests need beyond the core: a ROS workspace (`colcon test`) may have less than `make install` brings.
NEEDS = {
    "bench": ("mujoco", "onnx", "onnxruntime", "rclpy", "rosbags"),
    "cli": ("mujoco", "onnx", "onnxruntime", "rclpy", "rosbags"),
    "control": ("onnx", "onnxruntime"),
    "demos": ("mcap", "rosbags"),
    "demos/convert": ("h5py", "mcap", "mujoco", "pyarrow", "rosbags"),
    "evaluation": ("mcap", "mujoco", "onnx", "onnxruntime", "rosbags"),
    "lab": ("gymnasium", "mujoco"),
    "learning": ("gymnasium", "mujoco", "onnx", "onnxruntime", "rosbags", "stable_baselines3", "torch"),
    "nodes": ("mujoco", "onnx", "onnxruntime", "rclpy"),
    "report": ("matplotlib", "mujoco", "PIL"),
}
MISSING = {
    folder: absent
    for folder, modules in NEEDS.items()
    if (absent := [module for module in modules if importlib.util.find_spec(module) is None])
}
collect_ignore = list(MISSING)


def pytest_report_header() -> list[str]:
    return [f"test/{folder} is left out: no {', '.join(absent)}" for folder, absent in MISSING.items()]


@pytest.fixture
def own_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS domain for this test and the processes that it starts, and for nobody else."""
    with reserved_domain() as domain:
        monkeypatch.setenv(DOMAIN, str(domain))
        yield domain


# A shell that starts us in the background, or nohup, ignores signals, and so would our own children: tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def ros_logs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """ROS needs a folder for its logs, and a home may not be writable."""
    os.environ["ROS_LOG_DIR"] = str(tmp_path_factory.mktemp("ros_log"))


@pytest.fixture(scope="session")
def control_msgs_folder() -> Path | None:
    """Where control_msgs lies that had to be generated; None if it is installed."""
    pytest.importorskip("rclpy")
    from control_msgs_types import NotPossibleError, import_folder

    try:
        return import_folder()
    except NotPossibleError as error:
        pytest.skip(str(error))


@pytest.fixture
def control_msgs(control_msgs_folder: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """control_msgs is installed, for this test and the processes that it starts."""
    if control_msgs_folder is not None:
        monkeypatch.syspath_prepend(str(control_msgs_folder))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(control_msgs_folder), os.environ["PYTHONPATH"]]))
    importlib.import_module("control_msgs.action")  # for good: a library with classes in it cannot be loaded twice


@pytest.fixture(autouse=True)
def _without_control_msgs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that does not ask for control_msgs has none, whatever is installed and whichever test came before."""
    if "control_msgs" not in request.fixturenames:
        monkeypatch.setitem(sys.modules, "control_msgs.action", None)
