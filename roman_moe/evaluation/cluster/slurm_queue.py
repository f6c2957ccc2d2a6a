"""Workers of a Slurm queue, by submitit: so many Slurm jobs at a time, each with its share of the jobs.

Each result is a file in a hidden folder that all machines see, complete or not there, and is read as it comes. What a
Slurm job that was killed or ran out of time leaves undone is submitted again; what is there is not done twice.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import pickle
import shutil
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roman_moe.core.errors import ConfigError, RomanError, one_line
from roman_moe.core.files import scratch_folder, write_file
from roman_moe.evaluation.cluster.job_answer import answer, decode, packed
from roman_moe.evaluation.cluster.worker_check import WorkerRequirements
from roman_moe.evaluation.pool import ONE_THREAD, Cluster, JobCounts

SLURM = "slurm"
LOCAL = "slurm-local"  # submitit's stand-in for a queue, on this machine
LOCAL_EXECUTOR = "local"  # submitit's name for it
SUBMISSIONS = 6  # how often a share is submitted that comes to an end without a new result
INTERVAL = 0.5  # [s] between two looks for results
ASKED_EVERY = 10  # looks for results, to one question to Slurm: its controller serves everybody
MINUTES = 24 * 60  # of a Slurm job, unless SBATCH_TIMELIMIT says otherwise


@dataclass(frozen=True)
class SlurmQueue(Cluster):
    """The queue of a partition; Slurm's own for an empty name.

    Attributes:
        requirements: what workers must have in common with us.
        executor: submitit's name for it: "slurm" or "local".
        folder: in which queues have theirs.
    """

    requirements: WorkerRequirements
    executor: str
    partition: str
    folder: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """In a job: one process, since a job that waits for a queue would hold its core."""
        return int, (1,)

    def run(
        self, function: Callable[[Any], Any], jobs: Sequence[Any], counts: JobCounts
    ) -> Generator[tuple[int, Any], None, None]:
        if not jobs:
            return
        with scratch_folder(self.folder, "slurm") as folder:
            works = [packed(function, job) for job in jobs]
            count = min(self.cores, len(works))
            shares = [_Share(self, folder, dict(list(enumerate(works))[first::count])) for first in range(count)]
            try:
                for share in shares:
                    share.submit()
                looks = itertools.count()
                while any(share.works for share in shares):
                    over = self._over(shares, next(looks))
                    for share in shares:
                        for index, data in share.new_results(over):
                            yield index, decode(data)
                    counts.workers = sum(bool(share.works) for share in shares)
                    counts.again = sum(share.again for share in shares)
                    time.sleep(INTERVAL)
            finally:
                for share in shares:
                    share.cancel()

    def _over(self, shares: Sequence[_Share], look: int) -> set[str]:
        """Those of the shares' Slurm jobs that have ended; none where Slurm is not asked this time, or does not answer.

        submitit asks Slurm's accounting, which small installations do not have; squeue is everywhere.
        """
        if self.executor == LOCAL_EXECUTOR:
            return {share.job.job_id for share in shares if share.job.done()}
        if look % ASKED_EVERY:
            return set()
        command = ["squeue", "--noheader", "--format=%A", f"--user={os.getuid()}"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode:
            return set()
        alive = asked.stdout.split()
        return {share.job.job_id for share in shares if share.job.job_id not in alive}


class _Share:
    """Jobs that one Slurm job does, one after another.

    Attributes:
        works: those without a result, by number.
        job: of Slurm, that does them.
        again: how often it was submitted again.
    """

    def __init__(self, queue: SlurmQueue, folder: Path, works: dict[int, bytes]) -> None:
        self._queue, self._folder, self.works = queue, folder, works
        self._left = SUBMISSIONS
        self.job: Any = None
        self.again = 0

    def submit(self) -> None:
        import submitit

        executor = submitit.AutoExecutor(folder=self._folder / "logs", cluster=self._queue.executor)
        executor.update_parameters(name="roman_moe", timeout_min=MINUTES, cpus_per_task=1)
        if self._queue.partition:
            executor.update_parameters(slurm_partition=self._queue.partition)
        self._left -= 1
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # what Slurm says is in the error, too
                self.job = executor.submit(work_off, pickle.dumps(self._queue.requirements), self.works, self._folder)
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            raise ConfigError(f"--cluster {SLURM}: refused by Slurm: {one_line(error)}") from error

    def new_results(self, over: set[str]) -> Iterator[tuple[int, bytes]]:
        """Results since the last call; what a Slurm job that was over before has left undone is submitted again."""
        for index in [index for index in self.works if result_file(self._folder, index).exists()]:
            del self.works[index]
            self._left = SUBMISSIONS
            yield index, result_file(self._folder, index).read_bytes()
        if self.works and self.job.job_id in over:
            if not self._left:
                log = self.job.stderr() or f"it left no log: expected {self._folder.parent} on its machine, too"
                raise RomanError(
                    f"Slurm job {self.job.job_id} ended without a result {SUBMISSIONS} times: "
                    f"{' '.join(log[-300:].split())}"
                )
            self.again += 1
            self.submit()

    def cancel(self) -> None:
        if self.job is not None and self.works:
            self.job.cancel(check=False)


def work_off(requirements: bytes, works: dict[int, bytes], folder: Path) -> None:
    """What a Slurm job does: each job to a file of its own."""
    for index, work in works.items():
        write_file(result_file(folder, index), answer(requirements, work))


def result_file(folder: Path, index: int) -> Path:
    return folder / f"result_{index:06d}.json"


@contextlib.contextmanager
def slurm_queue(address: str, requirements: WorkerRequirements, jobs: int, folder: Path) -> Iterator[SlurmQueue]:
    """A queue.

    Args:
        address: slurm, slurm:PARTITION, or slurm-local for processes of submitit's here.
        jobs: of Slurm at a time.
        folder: that all machines see.

    Raises:
        ConfigError: if Slurm is not there.
    """
    kind, _, partition = address.partition(":")
    if kind == SLURM and shutil.which("srun") is None:
        raise ConfigError(f"--cluster {address}: no Slurm here: srun is not on the path")
    executor = LOCAL_EXECUTOR if kind == LOCAL else SLURM
    if executor == LOCAL_EXECUTOR:
        os.environ.update(ONE_THREAD)
    yield SlurmQueue((f"cluster: {address}, {jobs} jobs at a time",), jobs, requirements, executor, partition, folder)
