"""A queue gives what one process gives: in a Slurm of two nodes on this machine, and in submitit's local executor."""

from __future__ import annotations

import math
import os
from importlib.util import find_spec

import pytest
from ray_nodes import killing
from slurm_nodes import MISSING, can_run_slurm, two_slurm_nodes
from worlds import TASK

from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.evaluation.cluster.choice import open_cluster
from roman_moe.evaluation.evaluate import Evaluation, evaluate
from roman_moe.evaluation.pool import job_counts, run_jobs
from roman_moe.sim.pose_source import TruthPoses

KILLS = int(os.environ.get("KILLS", "1"))
"""Of each kind, at as many moments."""

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        find_spec("submitit") is None, reason="submitit is not installed: make test-cluster installs it"
    ),
]


real = pytest.mark.skipif(not can_run_slurm(), reason=MISSING)


@pytest.fixture(scope="module")
def nodes():
    """A real Slurm's."""
    with two_slurm_nodes() as nodes:
        yield nodes


@pytest.fixture(params=["slurm-local", pytest.param("slurm:main", marks=real)])
def queue(request, tmp_path, monkeypatch):
    if request.param != "slurm-local":
        request.getfixturevalue("nodes").bring_back()
    monkeypatch.chdir(tmp_path)
    with open_cluster(request.param, [TASK.folder]) as queue:
        yield queue
    assert not list(tmp_path.iterdir())


def report(workers, on_result=lambda result: None):
    """What an evaluation says."""
    return evaluate(Evaluation("oracle", TASK, [0], ["button"], 8, TruthPoses(0.005), 3, workers), on_result)


@pytest.fixture(scope="module")
def expected():
    """The report of one process."""
    return report(1)


def test_the_report_is_that_of_one_and_of_two_processes(queue, expected):
    assert report(2) == report(queue) == expected


@real
@pytest.mark.parametrize("turn", range(KILLS))
@pytest.mark.parametrize("fault", ["cancel_one", "kill_one", "take_away_one"])
def test_a_fault_of_slurm_changes_no_report(nodes, expected, tmp_path, monkeypatch, fault, turn):
    monkeypatch.chdir(tmp_path)
    nodes.bring_back()
    done = []
    with (
        open_cluster("slurm:main", [TASK.folder]) as queue,
        killing(getattr(nodes, fault), lambda: len(done) >= turn % 4),
    ):
        assert report(queue, lambda result: done.append(job_counts().again)) == expected
    print(f"{fault}, {turn + 1}: {done[-1]} Slurm jobs submitted again")
    assert not list(tmp_path.iterdir())


def test_an_error_of_ours_comes_through(queue):
    with pytest.raises(ConfigError, match="unknown skill 'pushh'"):
        list(run_jobs(TASK.start, ["pushh"], queue))


def test_what_a_killed_job_left_undone_is_done_again_and_nothing_twice(queue, tmp_path):
    mark, count = tmp_path / "mark", tmp_path / "count"
    first = f"open({str(count)!r}, 'a').write('x')"
    dies_once = f"import os\nif not os.path.exists({str(mark)!r}):\n    open({str(mark)!r}, 'w').close(); os._exit(1)"
    try:
        done = [(index, job_counts().again) for index, _ in run_jobs(exec, [first, "pass", dies_once], queue)]
        assert sorted(index for index, _ in done) == [0, 1, 2]
        assert done[-1] == (2, 1)
        assert count.read_text() == "x"
    finally:
        mark.unlink()
        count.unlink()


def test_a_job_that_always_dies_is_an_error_not_a_hang(queue):
    with pytest.raises(RomanError, match="ended without a result 6 times"):
        list(run_jobs(os._exit, [1], queue))


def test_a_partition_that_does_not_exist_is_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name in ("srun", "sbatch"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: moon' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        open_cluster("slurm:moon", []) as queue,
        pytest.raises(ConfigError, match="refused by Slurm: .*invalid partition specified: moon"),
    ):
        list(run_jobs(math.isqrt, [9], queue))
    assert capfd.readouterr() == ("", "")  # the error alone is said


@real
def test_slurm_itself_refuses_a_partition_that_does_not_exist(nodes, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with (
        open_cluster("slurm:moon", []) as queue,
        pytest.raises(ConfigError, match="refused by Slurm: .*[Ii]nvalid partition"),
    ):
        list(run_jobs(math.isqrt, [9], queue))
    assert capfd.readouterr() == ("", "")  # the error alone is said


def test_no_slurm_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="--cluster slurm: no Slurm here"), open_cluster("slurm", []):
        pass
