"""A Ray cluster of two one-core nodes gives what one process gives, whatever is killed meanwhile."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from importlib.util import find_spec

import pytest
from ray_nodes import RayNodes, busy_workers, try_kill
from worlds import TASK

from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.demos.dataset import dataset_hash
from roman_moe.evaluation.cluster.choice import open_cluster
from roman_moe.evaluation.collect import Collection, collect
from roman_moe.evaluation.evaluate import Evaluation, evaluate
from roman_moe.evaluation.pool import run_jobs
from roman_moe.sim.pose_source import TruthPoses

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: make test-cluster installs it"),
]


@pytest.fixture(scope="module")
def nodes():
    """Two nodes."""
    nodes = RayNodes()
    try:
        nodes.start()
        os.environ["RAY_AUTH_TOKEN_PATH"] = nodes.environment["RAY_AUTH_TOKEN_PATH"]
        yield nodes
    finally:
        os.environ.pop("RAY_AUTH_TOKEN_PATH", None)
        nodes.close()


@pytest.fixture
def cluster(nodes):
    """Connected to both."""
    with open_cluster(nodes.address, [TASK.folder]) as cluster:
        nodes.wait_for(cores=2)
        yield cluster


def report(workers, on_result=lambda result: None):
    """What an evaluation says."""
    return evaluate(Evaluation("oracle", TASK, [0], ["button"], 8, TruthPoses(0.005), 3, workers), on_result)


def test_every_job_gives_its_result(cluster):
    assert sorted(run_jobs(math.isqrt, [9, 1, 4], cluster)) == [(0, 3), (1, 1), (2, 2)]


def test_an_error_of_ours_comes_through(cluster):
    with pytest.raises(ConfigError, match="unknown skill 'pushh'"):
        list(run_jobs(TASK.start, ["pushh", "pushh"], cluster))


def test_a_job_that_raises_is_not_run_again(cluster, tmp_path):
    with pytest.raises(ValueError, match="no"):
        list(run_jobs(exec, [f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); raise ValueError('no')"], cluster))
    assert (tmp_path / "runs").read_text() == "x"


def test_the_report_is_that_of_one_process(cluster):
    assert report(cluster) == report(1)


def test_a_killed_worker_changes_no_report(cluster):
    killed: list[int] = []

    def kill_one(result) -> None:
        if not killed:
            killed.extend(pid for pid in busy_workers()[:1] if try_kill(pid))

    assert report(cluster, kill_one) == report(1)
    assert killed


def test_a_lost_node_changes_no_report(nodes, cluster):
    nodes.start()
    nodes.wait_for(cores=3)
    lost = []
    assert report(cluster, lambda result: lost or lost.append(nodes.kill_newest())) == report(1)
    assert lost


def test_demonstrations_are_those_of_one_process(cluster, tmp_path):
    for name, workers in (("here", 1), ("there", cluster)):
        plan = Collection(TASK, tmp_path / name, 2, 0, TruthPoses(0.005), 0.5, 0.5, 0.5, 0, workers, skills=["button"])
        collect(plan)
    here, there = (dataset_hash(tmp_path / name, TASK.spec, "button") for name in ("here", "there"))
    assert here == there


def test_a_bundle_is_that_of_one_process(cluster, tmp_path):
    from small_recipe import small_recipe

    from roman_moe.learning.runs.run import Run, train_run

    few = {"demonstrations": 1, "clone": {"steps": 5}, "ppo": {"steps": 64}, "cloning": {"epochs": 1.0}}
    recipe = small_recipe(**few, validation={"episodes": 2})
    demos = tmp_path / "demos"
    collect(Collection(TASK, demos, 1, 1, TruthPoses(0.005), 0.0, 0.0, 0.0, 0, cluster))
    bundles = []
    for name, workers in (("here", 1), ("there", cluster)):
        train_run(Run(TASK, tmp_path / name, recipe, demos, 3, workers), TASK.spec.networks)
        bundles.append({file.name: file.read_bytes() for file in (tmp_path / name / "bundle").glob("*.onnx")})
    assert bundles[0] == bundles[1]
    assert len(bundles[0]) == len(TASK.spec.networks)


def test_a_job_that_kills_its_workers_is_an_error_not_a_hang(cluster):
    with pytest.raises(RomanError, match="lost with its worker"):
        list(run_jobs(os._exit, [1], cluster))


def refused(*options: str, **environment: str) -> str:
    """The one line that `roman-moe evaluate` says, and no more."""
    command = [sys.executable, "-m", "roman_moe", "evaluate", "oracle", "--scenarios", "0", "--episodes", "1", *options]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_wrong_token_is_refused_in_one_line(nodes):
    line = refused("--cluster", nodes.address, RAY_AUTH_TOKEN="0" * 64)
    assert f"--cluster {nodes.address}: refuses this machine: expected the head's token" in line


def test_no_token_is_refused_in_one_line(nodes, tmp_path):
    line = refused("--cluster", nodes.address, RAY_AUTH_TOKEN_PATH="", HOME=str(tmp_path))
    assert f"--cluster {nodes.address}: no token here" in line


def test_an_address_where_nobody_is_is_refused_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert f"--cluster 127.0.0.1:{port}: no Ray head there" in refused("--cluster", f"127.0.0.1:{port}")
