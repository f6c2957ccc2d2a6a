"""Package description, read by pip and by colcon (ament_python).

Besides the Python package it installs what a ROS installation looks for: `share/ament_index`, `share/roman_moe` and
the executables of `lib/roman_moe`; these are data files too, since pip ignores setup.cfg's script folder.
"""

from __future__ import annotations

import os
import re
from glob import glob
from pathlib import Path

import setuptools
from setuptools import find_packages, setup

NAME = "roman_moe"
HERE = Path(__file__).resolve().parent

LICENSE = "Apache-2.0"  # an SPDX expression
# setuptools before 77, such as Ubuntu 24.04's, has no field for one
LICENSE_FIELD = "license_expression" if int(setuptools.__version__.split(".")[0]) >= 77 else "license"

RUN = ["numpy>=1.26", "pyyaml>=6", "rich>=13", "tyro>=1.0"]

EXTRAS = {
    # rclpy and the messages as wheels, for machines without a ROS installation; both Jazzy's and Kilted's will do
    "ros": [
        "ros-rclpy[fastrtps]>=7.1.6",
        "ros-action-msgs",
        "ros-diagnostic-msgs",
        "ros-geometry-msgs",
        "ros-lifecycle-msgs",
        "ros-rcl-interfaces",
        "ros-rosgraph-msgs",
        "ros-sensor-msgs",
        "ros-std-msgs",
        "ros-std-srvs",
        "ros-visualization-msgs",
    ],
    # never both in one environment: they install the same module
    "cpu": ["onnxruntime>=1.18"],
    "gpu": ["onnxruntime-gpu>=1.18"],
    "lab": ["glfw>=2.5", "gymnasium>=1.1", "mujoco>=3.3,<4.1"],
    "vision": ["opencv-python-headless>=4.13,<5"],  # OpenCV 5.0 has no hand-eye calibration
    "demos": ["mcap>=1.2.1", "rosbags>=0.10.7"],
    # demonstrations for robomimic and LeRobot, and back
    "convert": ["h5py>=3.11", "imageio-ffmpeg>=0.5", "opencv-python-headless>=4.13,<5", "pyarrow>=18"],
    "bench": ["onnx>=1.16"],  # chaos and bench swap change networks; PyTorch is not needed for that
    "report": ["imageio-ffmpeg>=0.5", "matplotlib>=3.8", "pillow>=10"],
    "train": ["onnx>=1.16", "scikit-learn>=1.5", "stable-baselines3>=2.4", "tensorboard>=2.16", "torch>=2.4"],
    # jobs on several machines: the core alone, no dashboard
    "cluster": ["ray>=2.54"],
    "slurm": ["submitit>=1.5.3"],
    # by this name `colcon test` finds that there are tests, and which runner they want
    "test": ["hypothesis>=6.100", "pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.6"],
    "docs": ["furo>=2025.9", "myst-parser>=4", "sphinx>=8.2"],
    "dev": [
        "import-linter>=2.5",
        "lerobot-doctor>=0.2",  # judges what we export, without PyTorch
        "markdown-it-py>=3",
        "mypy>=1.13",
        "ruff>=0.9",
        "setuptools>=77",
        "types-PyYAML",
    ],
}


def together(*names: str) -> list[str]:
    """Requirements of several extras."""
    return [requirement for name in names for requirement in EXTRAS[name]]


# Everything but ROS and the tools: what a machine with a sourced ROS installation adds to it.
EXTRAS["no-ros"] = together("cpu", "lab", "vision", "demos", "report")
EXTRAS["demo"] = together("ros", "no-ros")
EXTRAS["dev"] = together("test", "dev")
EXTRAS["all"] = together("demo", "convert", "train")


def version() -> str:
    """The one place that states it is the package itself."""
    text = (HERE / NAME / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit(f'{NAME}/__init__.py: found no line __version__ = "..."')
    return found.group(1)


def shared(folder: str) -> list[tuple[str, list[str]]]:
    """Data files of `share/roman_moe/<folder>`, subfolders included."""
    return [
        (f"share/{NAME}/{path}", sorted(f"{path}/{name}" for name in names if not name.startswith(".")))
        for path, _, names in sorted(os.walk(folder))
        if names and "__pycache__" not in path
    ]


setup(
    name=NAME,
    version=version(),
    description="A mixture of experts for long robot manipulation: trained from demonstrations, run as a ROS 2 graph",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    **{LICENSE_FIELD: LICENSE},
    license_files=["LICENSE"],
    author="The roman_moe authors",
    maintainer="The roman_moe authors",
    maintainer_email="maintainers@example.com",
    python_requires=">=3.11",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    # The usual place, spelt out: an editable install is then a path, which comes before a folder of the same name, such
    # as the checkout itself, where Python runs beside it; an import hook would come after it.
    package_dir={"": "."},
    package_data={NAME: ["py.typed", "sim/**/*", "tasks/**/*"]},
    exclude_package_data={"": ["*.pyc", "**/__pycache__/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"lib/{NAME}", sorted(glob("scripts/*"))),
        *shared("config"),
        *shared("launch"),
        *shared("models"),
    ],
    install_requires=RUN,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["roman-moe = roman_moe.cli.main:main"]},
    zip_safe=False,
)
