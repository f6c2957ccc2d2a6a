"""What a smaller installation lacks is named at once, with one command; and nothing is asked for that is not needed.

Processes of their own, in which packages cannot be imported, as where they are not installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from roman_moe.cli import user_errors
from roman_moe.cli.doctor import ready
from roman_moe.cli.user_errors import EXTRAS, ROS_MODULES

BLOCK = """
import contextlib, io, json, sys

class Blocker:
    def __init__(self, blocked):
        self.blocked = blocked
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

blocked, task = json.loads(sys.argv[1])
sys.meta_path.insert(0, Blocker(blocked))
"""
REFUSED = """
from roman_moe.cli.main import main
told = []
for arguments in task:
    with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.redirect_stdout(io.StringIO()) as said:
        code = main(arguments)
    told.append([code, said.getvalue(), error.getvalue()])
print(json.dumps(told))
"""
FROM_ONNX = """
from roman_moe.cli.main import main
from roman_moe.core.paths import find_shipped
assert main(["export", "--from", str(find_shipped("models/roman") / "push.onnx"), "--skill", "push"]) == 0
"""
HYBRID = "gymnasium, matplotlib, mujoco, onnx, onnxruntime, rosbags, stable_baselines3, tensorboard, torch"
GRAPH = "mujoco, onnxruntime, rclpy"
NEEDS = {
    "demo": ("PIL, imageio_ffmpeg, matplotlib, mujoco, onnxruntime, rclpy", "cpu,lab,report,ros"),
    "demo --no-video": ("matplotlib, mujoco, onnxruntime, rclpy", "cpu,lab,report,ros"),
    "demo --no-video --poses markers": ("cv2, matplotlib, mujoco, onnxruntime, rclpy", "cpu,lab,report,ros,vision"),
    "run --poses markers": (f"cv2, {GRAPH}", "cpu,lab,ros,vision"),
    "run": (GRAPH, "cpu,lab,ros"),
    "run --arm mock": ("onnxruntime, rclpy", "cpu,ros"),
    "status": ("rclpy", "ros"),
    "lifecycle blender activate": ("rclpy", "ros"),
    "stop": ("rcl_interfaces", "ros"),  # which starts before its options are read
    "swap push --take-out": ("rclpy", "ros"),
    "evaluate oracle": ("mujoco", "lab"),
    "evaluate models/roman": ("mujoco, onnxruntime", "cpu,lab"),
    "collect": ("mcap, mujoco, rosbags", "demos,lab"),
    "demos list demos": ("mcap, rosbags", "demos"),
    "demos plot demos": ("matplotlib, mcap, rosbags", "demos,report"),
    "demos export demos --to lerobot out": (
        "cv2, imageio_ffmpeg, mcap, pyarrow, rosbags",
        "convert,demos,report,vision",
    ),
    "demos import demos --from robomimic out": ("h5py, mcap, rosbags", "convert,demos"),
    "demos replay demos": ("mcap, mujoco, rosbags", "demos,lab"),
    "record --task roman --skill push --arm mock": ("mcap, rclpy, rosbags", "demos,ros"),
    "evaluate multitask seed_0 --routing a.png": ("matplotlib, sklearn, torch", "report,train"),
    "train all": (HYBRID, "cpu,demos,lab,report,train"),
    "train expert push": (HYBRID, "cpu,demos,lab,report,train"),
    "train gate": (HYBRID, "cpu,demos,lab,report,train"),
    "train bc": ("onnx, onnxruntime, rosbags, torch", "cpu,demos,train"),
    "ablate": (HYBRID.replace("mujoco", "mcap, mujoco"), "cpu,demos,lab,report,train"),
    "export a b": ("onnxruntime", "cpu"),
    "export --from policy.onnx --skill push": ("onnx, onnxruntime", "bench,cpu"),
    "export --from policy.zip --skill push": ("onnx, onnxruntime, torch", "cpu,train"),
    "bench sim": ("gymnasium, mujoco", "lab"),
    "bench control": ("onnxruntime", "cpu"),
    "bench graph": ("onnxruntime, rclpy", "cpu,ros"),
    "bench learn": ("gymnasium, mujoco, rosbags, stable_baselines3, tensorboard, torch", "demos,lab,train"),
    "bench mixtures": ("torch", "train"),
    "bench swap": ("mujoco, onnx, onnxruntime, rclpy", "bench,cpu,lab,ros"),
    "bench endurance": (GRAPH, "cpu,lab,ros"),
    "chaos": ("mujoco, onnx, onnxruntime, rclpy", "bench,cpu,lab,ros"),
}
"""Of each command: what it names where nothing but the core is installed, and the extras of its one command."""


def without(blocked: Sequence[str], code: str, task: Any, folder: Path) -> str:
    """Output of a process in which these packages are not installed."""
    command = [sys.executable, "-c", BLOCK + code, json.dumps([list(blocked), task])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_core_alone_names_everything_that_is_missing_at_once(tmp_path: Path) -> None:
    told = json.loads(without([*EXTRAS, *ROS_MODULES], REFUSED, [command.split() for command in NEEDS], tmp_path))
    for (command, (packages, extras)), (code, said, error) in zip(NEEDS.items(), told, strict=True):
        assert (code, said) == (2, ""), command
        assert error.count("\n") == 1
        assert error.startswith(f"roman-moe: {packages} {'are' if ',' in packages else 'is'} not installed: "), command
        assert f"run pip install '.[{extras}]' in the checkout" in error, command
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("evaluate oracle", "from roman_moe.cli.main import main; assert main(task) == 0"),
        ("chaos", "import roman_moe.bench.chaos, roman_moe.testing.damage, roman_moe.nodes.arms.lab_node"),
        ("bench swap", "import roman_moe.bench.swap, roman_moe.nodes.arms.lab_node"),
        ("bench graph", "import roman_moe.bench.graph"),
        ("collect", "import roman_moe.evaluation.collect"),
        ("export a b", "from roman_moe.cli.main import main; assert main(['export', 'models/roman', 'bundle']) == 0"),
        ("export --from policy.onnx --skill push", FROM_ONNX),
        (
            "train bc",
            "import roman_moe.learning.runs.clone, roman_moe.learning.algorithms.bc, roman_moe.learning.export",
        ),
        (
            "demo",
            "import roman_moe.nodes.arms.lab_node, roman_moe.report.video, roman_moe.sim.render, roman_moe.cli.demo",
        ),
    ],
)
def test_what_a_command_does_not_name_it_does_not_import(command: str, code: str, tmp_path: Path) -> None:
    needed = {name.strip() for name in NEEDS[command][0].split(",")}
    needed |= {"glfw"} if "mujoco" in needed else set()  # which MuJoCo's own package imports where it is there
    needed |= {"PIL"} if "matplotlib" in needed else set()  # likewise
    needed |= set(ROS_MODULES) if "rclpy" in needed else set()
    blocked = ({*EXTRAS, *ROS_MODULES}) - needed
    task = ["evaluate", "oracle", "--scenarios", "0", "--episodes", "1", "--workers", "1"]
    without(sorted(blocked), code, task, tmp_path)


def test_doctor_names_the_same_for_each_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(user_errors, "installed", lambda module: False)
    monkeypatch.setenv("COLUMNS", "10000")
    lines = ready()
    found = {tuple(names.strip().split(", ")): state for state, names in zip(lines[::2], lines[1::2], strict=True)}
    for words in ("demo", "run", "train all", "train bc", "collect", "bench swap"):
        (state,) = [state for names, state in found.items() if words in names]
        packages, extras = NEEDS[words]
        assert state.startswith(f"{packages} are not installed: ")
        assert f"'.[{extras}]'" in state
    (state,) = [state for names, state in found.items() if "tasks list" in names]
    assert state == "can run:"
