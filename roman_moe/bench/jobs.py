"""What a job costs beyond its own work: short jobs in processes, and on a cluster."""

from __future__ import annotations

import math
import time

from roman_moe.evaluation.pool import Workers, run_jobs

PROCESSES = 2


def milliseconds(workers: Workers, jobs: int) -> float:
    """Wall time a job [ms], from the first result of short ones to the last, without the workers' start."""
    ended = [time.perf_counter() for _ in run_jobs(math.isqrt, range(jobs), workers)]
    return 1000.0 * (ended[-1] - ended[0]) / (jobs - 1)
