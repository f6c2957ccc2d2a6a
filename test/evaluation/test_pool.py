"""Worker processes: results arrive whatever the number of workers, and none outlives its parent."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor

import pytest
from worlds import TASK

from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.evaluation.pool import job_counts, run_jobs


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_gives_its_result(workers):
    assert sorted(run_jobs(math.isqrt, [9, 1, 4], workers)) == [(0, 3), (1, 1), (2, 2)]


def test_what_workers_do_is_known_while_they_do_it():
    assert job_counts() is None
    counts = [job_counts() for _ in run_jobs(math.isqrt, [9, 1, 4], 1)]
    assert counts == [None] * 3  # no workers
    seen = []
    for _ in run_jobs(math.isqrt, [9, 1, 4], 2):
        counts = job_counts()
        seen.append((counts.workers, counts.in_flight, counts.done, counts.again))
    assert seen == [(2, 2, 1, 0), (2, 1, 2, 0), (2, 0, 3, 0)]
    assert job_counts() is None


def test_an_error_in_a_worker_comes_through():
    with pytest.raises(ConfigError, match="unknown skill 'pushh'"):
        list(run_jobs(TASK.start, ["push", "pushh", "pull"], 2))


def test_a_dead_worker_is_an_error_not_a_hang():
    with pytest.raises(RomanError, match="worker process died"):
        list(run_jobs(os._exit, [1, 1], 2))


BLOCKED = """
    import threading
    from roman_moe.evaluation.pool import run_jobs

    def work(number):
        if number > 0:
            threading.Event().wait()  # for ever

    if __name__ == "__main__":
        for _ in run_jobs(work, range(4), 2):
            print("running", flush=True)
"""


@pytest.mark.parametrize("how", ["ctrl-c", "kill"])
def test_no_worker_outlives_its_parent(tmp_path, how):
    script = tmp_path / "blocked.py"
    script.write_text(textwrap.dedent(BLOCKED))
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=os.getcwd(),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "running\n"
    if how == "ctrl-c":
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to parent and workers alike
    else:
        parent.kill()
    # The pipes end only when parent and workers have all gone.
    _, errors = parent.communicate(timeout=300)
    assert parent.returncode != 0
    assert errors.count("Traceback") == (1 if how == "ctrl-c" else 0)  # the parent's own KeyboardInterrupt only


def test_ctrl_c_while_the_workers_start_is_not_lost(monkeypatch):
    submit = ProcessPoolExecutor.submit

    def interrupted(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return submit(self, *arguments)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run_jobs(abs, [1, 2], 2))
