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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.evaluation.cluster.answer import answer, decode, packed
from roman_moe.evaluation.cluster.check import Common
from roman_moe.evaluation.pool import Cluster

AUTO = "auto"
RETRIES = 5
"""How often a job is run again after its worker or node was lost."""
IN_FLIGHT = 1000
"""Jobs that Ray knows of at a time."""
STDERR = 2
REACHED_WITHIN = 5.0  # [s] by a head that is there

ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",  # whoever has no token runs nothing
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "5",  # seconds until a token that is refused counts as wrong
}
"""What Ray reads when it is imported; what the user has set stays."""


@dataclass(frozen=True)
class RayCluster(Cluster):
    """The cluster to which this process is connected, or of which it is a worker."""

    common: Common

    def run(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `Cluster`."""
        import ray
        from ray.exceptions import RayError

        task = ray.remote(answer).options(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)
        common = ray.put(pickle.dumps(self.common))
        waiting = enumerate(jobs)
        pending: dict[Any, int] = {}
        try:
            while True:
                for index, job in itertools.islice(waiting, IN_FLIGHT - len(pending)):
                    pending[task.remote(common, packed(function, job))] = index
                if not pending:
                    return
                done, _ = ray.wait([*pending])
                try:
                    data = ray.get(done[0])
                except RayError as error:
                    what = " ".join(str(error).split())[:300]
                    which = pending[done[0]]
                    raise RomanError(f"job {which}: lost with its worker {RETRIES + 1} times: {what}") from error
                yield pending.pop(done[0]), decode(data)
        finally:
            for each in pending:
                ray.cancel(each, force=True)


@contextlib.contextmanager
def ray_cluster(address: str, common: Common) -> Iterator[RayCluster]:
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
        yield RayCluster(tuple(lines), max(1, round(cores)), common)
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Ask before Ray does, which waits for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--cluster {address}: expected HOST:PORT of a Ray head, auto, or slurm[:PARTITION]")
    try:
        socket.create_connection((host, int(port)), REACHED_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--cluster {address}: no Ray head there: {error}") from error


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
