"""A Ray cluster of one-core nodes on this machine's loopback, whose nodes can be killed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from roman_moe.core.errors import ConfigError
from roman_moe.evaluation.cluster.choice import open_cluster

HOST = "127.0.0.2"  # Ray takes 127.0.0.1 for the machine's address in its network
TOKEN = secrets.token_hex(32)  # of all clusters: a process reads its token once


class RayNodes:
    """A head and, by `start`, more nodes.

    Attributes:
        address: of the head.
        environment: in which processes may use the cluster.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: it holds sockets
        token = self._folder / "token"
        token.write_text(TOKEN, encoding="utf-8")
        with socket.create_server((HOST, 0)) as server:
            port = server.getsockname()[1]
        self.address = f"{HOST}:{port}"
        self.environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self.head = self._start("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self._folder}")
        self._nodes = [self.head]
        wait(lambda: self._answers(port))

    def start(self) -> subprocess.Popen[bytes]:
        """One more node; it joins in some seconds."""
        node = self._start(f"--address={self.address}")
        self._nodes.append(node)
        return node

    def wait_for(self, cores: int) -> None:
        """Until the cluster to which this process is connected has so many cores or more."""
        import ray

        def there() -> bool:
            assert self.head.poll() is None, "the head has ended"
            for node in [
                node for node in self._nodes if node.poll() is not None
            ]:  # Ray's nodes give up on a busy machine
                self._nodes.remove(node)
                self.start()
            return ray.cluster_resources().get("CPU", 0.0) >= cores

        wait(there)

    def kill_head(self) -> bool:
        """As a machine that loses its power."""
        kill(self.head)
        return True

    def kill_busy(self) -> bool:
        """Kill a node, not the head, that runs a job, as a machine that loses its power; whether there was one."""
        busy = {os.getpgid(pid) for pid in busy_workers()}
        for node in self._nodes[::-1]:
            if node is not self.head and busy & groups_of(node.pid):
                self._nodes.remove(node)
                kill(node)
                return True
        return False

    def close(self) -> None:
        """End all nodes."""
        for node in self._nodes:
            kill(node)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
        command += [f"--node-ip-address={HOST}", "--object-store-memory=100000000", *options]
        # A folder that is no checkout: what a job's relative paths begin from comes with the job.
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _answers(self, port: int) -> bool:
        assert self.head.poll() is None, "the head has ended"
        try:
            socket.create_connection((HOST, port), 1.0).close()
        except OSError:
            return False
        return True


def wait(condition: Callable[[], bool]) -> None:
    """Until a condition holds."""
    while not condition():  # pytest's timeout ends it
        time.sleep(0.1)


@contextlib.contextmanager
def two_nodes() -> Iterator[RayNodes]:
    """Both there, of a cluster whose token this process has, as long as the block lasts."""
    nodes = RayNodes()
    try:
        nodes.start()
        os.environ["RAY_AUTH_TOKEN_PATH"] = nodes.environment["RAY_AUTH_TOKEN_PATH"]
        wait(lambda: _has_two_cores(nodes))
        yield nodes
    finally:
        os.environ.pop("RAY_AUTH_TOKEN_PATH", None)
        nodes.close()


def _has_two_cores(nodes: RayNodes) -> bool:
    try:
        with open_cluster(nodes.address, []):
            nodes.wait_for(cores=2)
    except ConfigError:  # the head's port answers before the head itself is a node
        return False
    return True


def kill(node: subprocess.Popen[bytes]) -> None:
    """As a machine that loses its power: all processes of a node at once."""
    for group in {node.pid, *groups_of(node.pid)}:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue
    node.wait()


def groups_of(pid: int) -> set[int]:
    """Process groups of all processes that a process has started."""
    children: dict[int, list[int]] = {}
    groups: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
        groups[int(entry.parent.name)] = int(fields[2])
    found, todo = set(), [pid]
    while todo:
        for child in children.get(todo.pop(), ()):
            found.add(groups[child])
            todo.append(child)
    return found


def busy_workers() -> list[int]:
    """Processes on this machine that run a job."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().startswith(b"ray::answer"):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def kill_worker() -> bool:
    """Kill a process that runs a job; whether there was one."""
    for pid in busy_workers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


@contextlib.contextmanager
def killing(kill: Callable[[], bool], begun: Callable[[], bool]) -> Iterator[None]:
    """Kill once, as soon as something has begun, while the block runs; it fails where nothing was killed."""
    over, killed = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            if begun() and kill():
                killed.set()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert killed.is_set(), "nothing was running"
