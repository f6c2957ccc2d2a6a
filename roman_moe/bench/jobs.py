"""What a job costs beyond its own work: short jobs in processes, and on a cluster."""

from __future__ import annotations

import math
import time

from roman_moe.evaluation.pool import Workers, run_jobs

PROCESSES = 2


def measure(cluster: Workers, jobs: int) -> dict[str, float]:
    """Run short jobs in two processes, then on a cluster.

    Returns:
        `processes_ms`, `cluster_ms`: wall time a job, from the first result to the last, without the workers' start;
        `overhead_ms`: of the cluster beyond processes.
    """
    processes, there = (_milliseconds(workers, jobs) for workers in (PROCESSES, cluster))
    return {"processes_ms": processes, "cluster_ms": there, "overhead_ms": there - processes}


def _milliseconds(workers: Workers, jobs: int) -> float:
    ended = [time.perf_counter() for _ in run_jobs(math.isqrt, range(jobs), workers)]
    return 1000.0 * (ended[-1] - ended[0]) / (jobs - 1)
