"""Workers of a Ray cluster: a job is a task of one core, and Ray finds the core.

A job whose worker or node is lost is run again elsewhere. While a job waits for jobs of its own, its core is free for
them. The address is that of the cluster's head; this machine has to be one of its nodes.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import logging
import os
import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from roman_moe.core.errors import ConfigError, RomanError, one_line
from roman_moe.evaluation.cluster.job_answer import answer, decode, packed
from roman_moe.evaluation.cluster.worker_check import WorkerRequirements
from roman_moe.evaluation.pool import Cluster, JobCounts

AUTO = "auto"
RETRIES = 5  # how often a job is run again after its worker or node was lost
IN_FLIGHT = 1000  # jobs that Ray knows of at a time
STDERR = 2
REACHED_WITHIN = 5.0  # [s] by a head that is there
LOST_AFTER = 30.0  # [s] without an answer, while jobs run
INTERVAL = 1.0  # [s] between two looks at head and nodes

ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",  # whoever has no token runs nothing
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_events_report_interval_ms": "0",  # for dashboards; the end would wait for them where the head is lost
    "RAY_NUM_REDIS_GET_RETRIES": "5",  # seconds until a token that is refused counts as wrong
}
"""What Ray reads when it is imported; what the user has set stays."""


@dataclass(frozen=True)
class RayCluster(Cluster):
    """The cluster to which this process is connected, or of which it is a worker."""

    requirements: WorkerRequirements

    def run(
        self, function: Callable[[Any], Any], jobs: Sequence[Any], counts: JobCounts
    ) -> Generator[tuple[int, Any], None, None]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        task = ray.remote(answer).options(num_cpus=1, max_retries=0)  # Ray's own retries are not counted
        requirements = ray.put(pickle.dumps(self.requirements))
        waiting = iter(range(len(jobs)))
        pending: dict[Any, int] = {}
        lost = [0] * len(jobs)
        head, looked = ray.get_runtime_context().gcs_address, time.monotonic()
        over = threading.Event()
        threading.Thread(target=_count_cores, args=(counts, over), daemon=True).start()
        try:
            while True:
                for index in itertools.islice(waiting, IN_FLIGHT - len(pending)):
                    pending[task.remote(requirements, packed(function, jobs[index]))] = index
                if not pending:
                    return
                done, _ = ray.wait([*pending], timeout=INTERVAL)
                if time.monotonic() - looked > INTERVAL:
                    _check_head(head)
                    looked = time.monotonic()
                for each in done:
                    index = pending.pop(each)
                    try:
                        data = ray.get(each)
                    except RayTaskError as error:
                        raise RomanError(f"job {index}: cannot begin on a worker: {one_line(error)[:300]}") from error
                    except RayError as error:
                        lost[index] += 1
                        if lost[index] > RETRIES:
                            what = f"job {index}: lost with its worker {lost[index]} times: {one_line(error)[:300]}"
                            raise RomanError(what) from error
                        counts.again += 1
                        waiting = itertools.chain([index], waiting)
                    else:
                        yield index, decode(data)
        finally:
            over.set()
            for each in pending:
                ray.cancel(each, force=True)


def _count_cores(counts: JobCounts, over: threading.Event) -> None:
    """Keep their number; in a thread of its own, since Ray answers nothing while the head is lost."""
    import ray

    while not over.wait(INTERVAL):
        with contextlib.suppress(Exception):  # such as the end of the connection
            counts.workers = round(ray.cluster_resources().get("CPU", 0.0))


def _check_head(head: str) -> None:
    """Ray itself waits for a lost head for a minute, and then ends the process.

    Raises:
        RomanError: if nothing answers there.
    """
    try:
        _connect(head, LOST_AFTER)
    except OSError as error:
        raise RomanError(
            f"the cluster's head at {head} is lost: {error}: start one again and then this command, train with --resume"
        ) from error


@contextlib.contextmanager
def ray_cluster(address: str, requirements: WorkerRequirements) -> Iterator[RayCluster]:
    """Connect this process to a cluster.

    Args:
        address: HOST:PORT of its head; "auto" for the one of which this machine is a node.

    Raises:
        ConfigError: if there is none, or it refuses our token.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address != AUTO:
        _reach(address)
    import ray
    from ray.exceptions import AuthenticationError

    try:
        with _silence():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except AuthenticationError as error:
        raise ConfigError(
            f"--cluster {address}: no token here: copy the head's ~/.ray/auth_token, or set RAY_AUTH_TOKEN_PATH"
        ) from error
    except ConnectionError as error:
        if address == AUTO:
            raise ConfigError("--cluster auto: no Ray node runs here: expected `ray start` first") from error
        raise ConfigError(
            f"--cluster {address}: refuses this machine: expected the head's token in ~/.ray/auth_token, and a node "
            "here by `ray start`"
        ) from error
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        cores = sum(node["Resources"].get("CPU", 0.0) for node in nodes)
        far = [node["NodeManagerAddress"] for node in nodes if not _is_loopback(node["NodeManagerAddress"])]
        lines = [f"cluster: Ray, {len(nodes)} nodes with {cores:g} cores"]
        if far:
            lines.append(f"cluster: {', '.join(far)}: beyond this machine's loopback: for trusted networks only")
        if os.environ["RAY_AUTH_MODE"] != "token":
            lines.append("cluster: without token authentication: whoever reaches it runs code on it")
        yield RayCluster(tuple(lines), max(1, round(cores)), requirements)
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Ask before Ray does, which waits for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--cluster {address}: expected HOST:PORT of a Ray head, auto, or slurm[:PARTITION]")
    try:
        _connect(address, REACHED_WITHIN)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--cluster {address}: no Ray head there: {error}") from error


def _connect(address: str, within: float) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), within).close()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What Ray's core writes of each try to connect; whether it could is said in one line of ours."""
    sys.stderr.flush()
    kept = os.dup(STDERR)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), STDERR)
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)


def _is_loopback(address: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return False
