"""Jobs and who runs them: worker processes of this one, or a cluster's (`evaluation.cluster`).

Of processes nothing outlives the caller: not after an error, Ctrl-C or a kill.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

from roman_moe.core.environment import environment
from roman_moe.core.errors import RomanError

Job = TypeVar("Job")
Result = TypeVar("Result")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(eq=False)
class JobCounts:
    """How the jobs of one `run_jobs` stand, for who shows it.

    Attributes:
        workers: that run jobs now, one at a time each.
        again: how often a job was begun again because its worker was lost.
    """

    jobs: int
    workers: int
    done: int = 0
    again: int = 0

    @property
    def in_flight(self) -> int:
        return min(self.workers, self.jobs - self.done)


_counts: JobCounts | None = None


def job_counts() -> JobCounts | None:
    """Of what workers do for this process now; None where it has no workers."""
    return _counts


@dataclass(frozen=True)
class Cluster(ABC):
    """Workers that are not processes of this one. It may be part of a job, whose own jobs then run there, too.

    Attributes:
        lines: what is to be said of it, to people.
        cores: how many it had when the command began.
    """

    lines: tuple[str, ...]
    cores: int

    @abstractmethod
    def run(
        self, function: Callable[[Any], Any], jobs: Sequence[Any], counts: JobCounts
    ) -> Generator[tuple[int, Any], None, None]:
        """As `run_jobs`; keeps `workers` and `again` of the counts, which begin with the cluster's cores and 0."""


Workers = int | Cluster  # how many processes, or the cluster


def cores_here(workers: Workers) -> int:
    """Cores that one job may use by itself."""
    return workers if isinstance(workers, int) else 1


def cores_of(workers: Workers) -> int:
    return workers if isinstance(workers, int) else workers.cores


def run_jobs(function: Callable[[Job], Result], jobs: Sequence[Job], workers: Workers) -> Iterator[tuple[int, Result]]:
    """Yield (index of the job, result) as jobs finish; in this process if `workers` is 1.

    Args:
        function: a module-level function; workers are spawned, so that they share no lock or GL context with us.

    Raises:
        RomanError: if a worker dies, of a cluster several times; whatever `function` raises, as it comes.
    """
    global _counts
    results: Generator[tuple[int, Any], None, None]
    if isinstance(workers, Cluster):
        counts = JobCounts(len(jobs), workers.cores)
        results = workers.run(function, jobs, counts)
    elif min(workers, len(jobs)) > 1:
        counts = JobCounts(len(jobs), min(workers, len(jobs)))
        results = _in_processes(function, jobs, counts.workers)
    else:
        for index, job in enumerate(jobs):
            yield index, function(job)
        return
    before, _counts = _counts, counts
    try:
        for index, result in results:
            counts.done += 1
            yield index, result
    finally:
        _counts = before
        results.close()


def _in_processes(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Generator[tuple[int, Result], None, None]:
    known = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent)
    children: set[multiprocessing.process.BaseProcess] = set()
    try:
        with environment(ONE_THREAD), _interrupts_held():  # numeric libraries read it once, at import
            futures = {executor.submit(function, job): index for index, job in enumerate(jobs)}
            children = set(multiprocessing.active_children()) - known
        for future in as_completed(futures):
            yield futures[future], future.result()
        executor.shutdown()
    except BrokenProcessPool as error:
        raise RomanError("a worker process died (out of memory?): try --workers 1") from error
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in children:  # after a good end they are gone already
            child.terminate()
        for child in children:
            child.join()


def _follow_parent() -> None:
    """End this worker when its parent is gone, however it went (executor workers otherwise wait for ever)."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Children born here never see Ctrl-C, not even while they import: we end them. Ours comes when the block ends."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; a caller in another one gets no interrupt either
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which children inherit
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)
