"""A Ray cluster of two one-core nodes gives what one process gives, whatever is killed meanwhile."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from importlib.util import find_spec

import pytest
from ray_nodes import kill_worker, killing, two_nodes
from small_recipe import small_recipe
from worlds import TASK

from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.demos.dataset import dataset_hash
from roman_moe.evaluation.cluster.choice import open_cluster
from roman_moe.evaluation.collect import Collection, collect
from roman_moe.evaluation.evaluate import Evaluation, evaluate
from roman_moe.evaluation.pool import job_counts, run_jobs
from roman_moe.sim.pose_source import TruthPoses

KILLS = int(os.environ.get("KILLS", "1"))
"""Of each kind, at as many moments."""
EPISODES = 24
"""So many that every node still has some when it is to be killed."""

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: make test-cluster installs it"),
]


@pytest.fixture(scope="module")
def nodes():
    """Two nodes."""
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture
def cluster(nodes):
    """Connected to both."""
    with open_cluster(nodes.address, [TASK.folder]) as cluster:
        yield cluster


def report(workers, on_result=lambda result: None):
    """What an evaluation says."""
    return evaluate(Evaluation("oracle", TASK, [0], ["button"], EPISODES, TruthPoses(0.005), 3, workers), on_result)


def kill_of(what, nodes):
    """How to kill a worker, or a third node."""
    if what == "node":
        nodes.start()
        nodes.wait_for(cores=3)
    return {"worker": kill_worker, "node": nodes.kill_busy}[what]


def test_every_job_gives_its_result(cluster):
    assert sorted(run_jobs(math.isqrt, [9, 1, 4], cluster)) == [(0, 3), (1, 1), (2, 2)]


def test_an_error_of_ours_comes_through(cluster):
    with pytest.raises(ConfigError, match="unknown skill 'pushh'"):
        list(run_jobs(TASK.start, ["pushh", "pushh"], cluster))


def test_a_job_that_raises_is_not_run_again(cluster, tmp_path):
    with pytest.raises(ValueError, match="no"):
        list(run_jobs(exec, [f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); raise ValueError('no')"], cluster))
    assert (tmp_path / "runs").read_text() == "x"


@pytest.fixture(scope="module")
def expected():
    """The report of one process."""
    return report(1)


def test_the_report_is_that_of_one_process(cluster, expected):
    assert report(cluster) == expected


@pytest.mark.parametrize("turn", range(KILLS))
@pytest.mark.parametrize("what", ["worker", "node"])
def test_a_kill_changes_no_report(nodes, cluster, expected, what, turn):
    again = []
    with killing(kill_of(what, nodes), lambda: len(again) >= turn % 8):
        assert report(cluster, lambda result: again.append(job_counts().again)) == expected
    print(f"{what}, kill {turn + 1}: {again[-1]} jobs done again")


def test_demonstrations_are_those_of_one_process(cluster, tmp_path):
    for name, workers in (("here", 1), ("there", cluster)):
        plan = Collection(TASK, tmp_path / name, 2, 0, TruthPoses(0.005), 0.5, 0.5, 0.5, 0, workers, skills=["button"])
        collect(plan)
    here, there = (dataset_hash(tmp_path / name, TASK.spec, "button") for name in ("here", "there"))
    assert here == there


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """What makes a run of seconds in a folder, and what two processes have made of it."""
    from roman_moe.learning.runs.run import Run

    few = {"demonstrations": 1, "clone": {"steps": 5}, "ppo": {"steps": 64}, "cloning": {"epochs": 1.0}}
    recipe = small_recipe(**few, validation={"episodes": 2})
    place = tmp_path_factory.mktemp("train")
    collect(Collection(TASK, place / "demos", 1, 1, TruthPoses(0.005), 0.0, 0.0, 0.0, 0, 2))

    def run(folder, workers):
        return Run(TASK, folder, recipe, place / "demos", 3, workers)

    return run, trained(run(place / "run", 2))


def trained(run, resume=False):
    """The networks of the bundle."""
    from roman_moe.learning.runs.run import train_run

    train_run(run, TASK.spec.networks, resume)
    return {file.name: file.read_bytes() for file in (run.folder / "bundle").glob("*.onnx")}


def checkpoints(folder):
    """How many networks of a run have one."""
    return len([*folder.glob("*/checkpoint.pt")])


def test_a_bundle_is_that_of_processes(cluster, small_run, tmp_path):
    run, expected = small_run
    assert len(expected) == len(TASK.spec.networks)
    assert trained(run(tmp_path, cluster)) == expected


@pytest.mark.parametrize("turn", range(KILLS))
@pytest.mark.parametrize("what", ["worker", "node"])
def test_a_kill_changes_no_bundle(nodes, cluster, small_run, tmp_path, what, turn):
    run, expected = small_run
    with killing(kill_of(what, nodes), lambda: checkpoints(tmp_path) >= turn % 9):
        assert trained(run(tmp_path, cluster)) == expected


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
