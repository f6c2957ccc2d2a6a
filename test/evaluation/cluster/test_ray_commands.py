"""A command whose cluster's head is lost says so; on a new cluster it then gives what processes give."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml
from ray_nodes import busy_workers, killing, two_nodes
from small_recipe import SMALL

from roman_moe.core.config import merged
from roman_moe.evaluation.cluster.worker_check import digest

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: make test-cluster installs it"),
]

FEW = {"demonstrations": 1, "clone": {"steps": 5}, "ppo": {"steps": 64}, "cloning": {"epochs": 1.0}}

COLLECT = "collect --out demos --episodes 1 --gate-episodes 1 --perturbation 0 --json result.json"

COMMANDS = {
    "evaluate": ("evaluate oracle --scenarios 0 --skills button --episodes 8 --json result.json", "", "result.json"),
    "collect": (COLLECT, ".demos-*/new/*/*", "result.json"),  # which has the hash of the demonstrations
    "train": (
        "train all --demos demos --recipe recipe.yaml --out run",
        "run/push/checkpoint.pt",
        "run/bundle/*.onnx",
    ),
    "ablate": (
        "ablate --methods bc,hybrid --skills push,button --seeds 1 --episodes 1 --time-limit 5 --recipe recipe.yaml "
        "--out study",
        "study/*/*/run/*/checkpoint.pt",
        "study/**/*.onnx",
    ),
    "compare": (
        "compare --methods sac,mt_sac --seeds 2 --steps 1000 --out study",
        "study/*/*/*/policy.pt",
        "study/**/policy.pt",
    ),
    "data": ("data images --count 220 --out images", "images/part_*/labels.npz", "images/part_*"),
}
"""Command line; what is there when the head is killed; what has to come out."""


def roman_moe(line, folder, *more):
    """Run a command in a folder."""
    command = [sys.executable, "-m", "roman_moe", *line.split(), *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def content(path):
    """What is in a file or folder, without the time and the file names that PyTorch writes into it."""
    if path.suffix != ".pt":
        return digest(path)
    import torch

    policy = torch.load(path, weights_only=True)["actor"]
    return {name: value.numpy().tobytes() for name, value in policy.items()}


def contents(folder, pattern):
    """Of all that a command should make."""
    return {str(path.relative_to(folder)): content(path) for path in folder.glob(pattern)}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_lost_head_ends_a_command_in_one_line_and_a_new_one_gives_what_processes_give(name, tmp_path):
    line, begun, made = COMMANDS[name]
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    recipe = {"rates": {}, "defaults": merged(SMALL, FEW), "networks": {"gate": {"demonstrations": 1}}}
    (here / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    if name == "train":
        assert roman_moe(COLLECT, here).returncode == 0
    shutil.copytree(here, there)
    assert roman_moe(line, here).returncode == 0

    def begins():
        return bool(busy_workers()) and (not begun or any(there.glob(begun)))

    with two_nodes() as nodes, killing(nodes.kill_head, begins):
        cut_off = roman_moe(line, there, "--cluster", nodes.address)
    assert cut_off.returncode == 2, cut_off.stderr
    (said,) = cut_off.stderr.splitlines()
    assert f"the cluster's head at {nodes.address} is lost" in said

    with two_nodes() as nodes:
        again = roman_moe(line, there, "--cluster", nodes.address, *["--resume"] * (name == "train"))
    assert again.returncode == 0, again.stderr
    assert contents(here, made)
    assert contents(there, made) == contents(here, made)
