"""A Ray cluster of two one-core nodes gives what one process gives, whatever is killed meanwhile."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from importlib.util import find_spec

import pytest
from ray_nodes import RayNodes
from worlds import TASK

from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.evaluation.cluster.choice import open_cluster
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
        import ray  # which reads the environment

        RayNodes.wait(lambda: ray.cluster_resources()["CPU"] == 2.0)
        yield cluster


def report(workers, episodes: int = 8):
    """What an evaluation says."""
    evaluation = Evaluation("oracle", TASK, [0], ["button"], episodes, TruthPoses(0.005), 3, workers)
    return evaluate(evaluation)


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
