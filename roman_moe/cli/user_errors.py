"""Turns an exception that a user can fix into one line that says how; every other exception is a bug.

Invariant: a line names what was found and what to do; all other exceptions pass through.
"""

from __future__ import annotations

import errno
import importlib.util
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from roman_moe.core.errors import RomanError, one_line
from roman_moe.core.paths import is_checkout

EXTRAS: Mapping[str, str] = {
    "PIL": "report",
    "glfw": "lab",
    "gymnasium": "lab",
    "h5py": "convert",
    "imageio_ffmpeg": "report",
    "matplotlib": "report",
    "cv2": "vision",
    "mcap": "demos",
    "mujoco": "lab",
    "onnx": "bench",
    "onnxruntime": "cpu",
    "pyarrow": "convert",
    "ray": "cluster",
    "submitit": "slurm",
    "rosbags": "demos",
    "sklearn": "train",
    "stable_baselines3": "train",
    "tensorboard": "train",
    "torch": "train",
}
"""Extra of setup.py that brings each optional module; ROS has a line of its own."""

REQUIRED = ("numpy", "rich", "tyro", "yaml")  # modules that no command does without

ROS_MODULES = (
    "action_msgs",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "rcl_interfaces",
    "rclpy",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "visualization_msgs",
)

_SHARED_OBJECT = re.compile(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file")


def reason(error: Exception) -> str | None:
    """The line for an exception, without a line break; None if it is none that a user can mend."""
    if isinstance(error, RomanError):
        return one_line(error)
    if isinstance(error, ImportError):
        return _missing(error)
    if isinstance(error, OSError) and error.filename is not None:
        return one_line(f"{error.filename}: {error.strerror}")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "no space left on the device: free some and try again"
    if isinstance(error, RuntimeError) and "MUJOCO_GL" in str(error):  # MuJoCo looks at it when it is imported
        return one_line(f"{error}: set it to egl, osmesa or glfw, or leave it unset")
    return None


def needed_by(command: Any) -> tuple[str, ...]:
    """Packages that a verb with its options does not run without: its own, and those of its plot and its cluster."""
    cluster, plot = getattr(command, "cluster", ""), getattr(command, "plot", None)
    of_cluster = ("submitit",) if cluster.startswith("slurm") else ("ray",) if cluster else ()
    return (*getattr(command, "needs", ()), *(("matplotlib",) if plot else ()), *of_cluster)


def missing(modules: Iterable[str]) -> str | None:
    """The line that names all of these modules that are not installed, and the one command; None if none is missing."""
    absent = sorted({module for module in modules if not installed(module)})
    if not absent:
        return None
    extras = {EXTRAS.get(module, "ros") for module in absent}
    if "train" in extras:
        extras.discard("bench")  # which it contains
    are = "are" if len(absent) > 1 else "is"
    line = f"{', '.join(absent)} {are} not installed: {_install(','.join(sorted(extras)))}"
    if "ros" in extras:
        line += "; or source a ROS 2 installation for rclpy"
    return f"{line}; gpu in place of cpu for a GPU" if "cpu" in extras else line


def installed(module: str) -> bool:
    """Whether a module can be found; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _missing(error: ImportError) -> str | None:
    library = _SHARED_OBJECT.search(str(error))
    if library:
        return (
            f"system library {library[1]} is missing: install its package (make install does it on Debian and Ubuntu)"
        )
    module = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError):
        return None
    if module in ROS_MODULES:
        return f"{module} is not installed: source a ROS 2 installation, or {_install('ros')}"
    if module == "onnxruntime":
        return f"neither onnxruntime nor onnxruntime-gpu is installed: {_install('cpu')}; gpu in place of cpu for a GPU"
    if module in EXTRAS:
        return f"{module} is not installed: {_install(EXTRAS[module])}"
    if module in REQUIRED:
        return f"{module} is not installed: {_install()}"
    return None


def _install(extra: str = "") -> str:
    """The command for an extra. Outside a checkout it names the package: pip keeps it, and adds what the extra has."""
    checkout = is_checkout(Path(__file__).parents[1])
    package = "." if checkout else "roman_moe"
    command = f"run pip install '{package}[{extra}]'" if extra else f"run pip install {package}"
    return f"{command} in the checkout (make install brings everything)" if checkout else command
