"""A queue gives what one process gives; submitit's local executor stands for Slurm."""

from __future__ import annotations

import math
import os
from importlib.util import find_spec

import pytest
from worlds import TASK

from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.evaluation.cluster.choice import open_cluster
from roman_moe.evaluation.evaluate import Evaluation, evaluate
from roman_moe.evaluation.pool import job_counts, run_jobs
from roman_moe.sim.pose_source import TruthPoses

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        find_spec("submitit") is None, reason="submitit is not installed: make test-cluster installs it"
    ),
]


@pytest.fixture
def queue(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_cluster("slurm-local", [TASK.folder]) as queue:
        yield queue
    assert not list(tmp_path.iterdir())


def test_the_report_is_that_of_one_and_of_two_processes(queue):
    plan = ("oracle", TASK, [0], ["button"], 3, TruthPoses(0.005), 3)
    one, two, there = (evaluate(Evaluation(*plan, workers)) for workers in (1, 2, queue))
    assert one == two == there


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


def test_a_partition_that_does_not_exist_is_one_line(tmp_path, monkeypatch):
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


def test_no_slurm_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="--cluster slurm: no Slurm here"), open_cluster("slurm", []):
        pass
