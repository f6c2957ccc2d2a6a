"""Nodes as child processes: started quietly, watched, and ended together; none outlives the block that holds them.

A process that ends by itself, or sends no report for too long, is an error, or is restarted if `respawn` is set.
One that refuses its configuration (exit code 2) is an error at once, since another start would refuse it again.

DDS discovery now and then leaves two processes without a connection for ever: in one of some 420 starts on a busy
machine, by a script that is not kept. So a restarted process that the other nodes do not receive is restarted again.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import yaml

from roman_moe.core.errors import RomanError
from roman_moe.nodes.base.process import PARENT_VARIABLE, REFUSED, remap_arguments
from roman_moe.nodes.bringup.graph import NodeSpec

CHECK_PERIOD = 0.1  # [s]
REPORT_TIMEOUT = 4.0  # [s] without a report (one comes every second), after which a node counts as frozen, as in nav2
START_TIMEOUT = 300.0  # [s] to the first report: a dozen processes load at once, and the machine may be busy
CONNECTION_TIMEOUT = 10.0  # [s] for a restarted node to be connected: on a busy machine it took up to 3 s
CONNECTION_RETRIES = 3  # restarts for that: there may be another reason, such as a robot that is off
RESTART_LIMIT = 5  # within RESTART_PERIOD: what fails more often than that does not fail by accident
RESTART_PERIOD = 30.0  # [s]
NOT_RESTARTABLE = "lab_node"
"""Executable that holds the world: one that is started again would be another one."""
END_TIMEOUT = 3.0  # [s] from SIGTERM to SIGKILL: a node takes 0.2 s


@dataclass(frozen=True)
class _NodeProcess:
    spec: NodeSpec
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    began: float  # [s]

    @property
    def name(self) -> str:
        return self.spec.name


class NodeProcesses:
    """The processes of one graph. Whoever starts them calls `end`.

    Args:
        respawn: start a node that has ended or is frozen again, unless it refused its configuration.
        ros_arguments: `--ros-args` and what follows it, for every node.

    Attributes:
        on_end: called with the name of a node whose process has ended, before it is started again.
        restarts: what was started again, and why, in order.
    """

    def __init__(self, respawn: bool = False, ros_arguments: Sequence[str] = ()) -> None:
        self._respawn = respawn
        self._ros_arguments = ros_arguments
        self.on_end: Callable[[str], None] = lambda name: None
        self.restarts: list[str] = []
        self._restarted: deque[float] = deque(maxlen=RESTART_LIMIT)  # when [s]
        self._processes: list[_NodeProcess] = []
        self._next_check = time.monotonic()
        self._not_before = self._restarted_at = 0.0
        self._restarted_lately: dict[str, int] = {}  # restarts of each for want of a connection
        self._folder = tempfile.TemporaryDirectory(prefix="roman_moe-")

    @property
    def ids(self) -> dict[str, int]:
        """Process ids by node name."""
        return {running.name: running.process.pid for running in self._processes}

    def start(self, spec: NodeSpec) -> None:
        """Start one node's process; it ends with this one, even if this one is killed."""
        file = Path(self._folder.name) / f"{spec.name}.yaml"
        # a file, since text such as "6" would become a number on the command line
        file.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(spec.parameters)}}), encoding="utf-8")
        command = [sys.executable, "-m", "roman_moe.nodes", spec.executable]
        command += self._ros_arguments  # before the file: what it sets holds, as in one process
        command += ["--ros-args", "-r", f"__node:={spec.name}", "--params-file", str(file)]
        command += remap_arguments(spec.remaps)
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `end`)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=_environment(),
            start_new_session=True,  # Ctrl-C comes to us alone: we end them
        )
        self._processes.append(_NodeProcess(spec, process, errors, time.monotonic()))

    def check(
        self,
        last_reports: Mapping[str, float],
        restart_parameters: Callable[[str], Mapping[str, Any]] = lambda name: {},
        missing: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Look after them, now and then however often it is called.

        Args:
            last_reports: when the last report of each node came [s], `time.monotonic`, by name.
            restart_parameters: of a node, what it begins with when it is restarted: what was set meanwhile, such as
                another model, or that it was stopped.
            missing: since when [s] nodes have missed what another should send them.

        Raises:
            RomanError: if a process has ended, with its last words, and is not to be started again.
        """
        now = time.monotonic()
        if now < self._next_check:
            return
        if now - self._next_check > REPORT_TIMEOUT / 2.0:  # we did not look, or were suspended: nodes did report
            self._not_before = now + REPORT_TIMEOUT
        self._next_check = now + CHECK_PERIOD
        for running in list(self._processes):
            if running.process.poll() is not None:
                reason = f"ended with exit code {running.process.returncode}: {_last_line(running)}"
            elif self._respawn and now > max(self._not_before, _report_deadline(running, last_reports)):
                reason = "sent no report for too long"
            else:
                continue
            self._restarted_lately[running.name] = 0
            self._replace(running, reason, now, restart_parameters(running.name))
        if now - self._restarted_at > CONNECTION_TIMEOUT:
            self._check_connections(missing, now, restart_parameters)

    def _check_connections(
        self, missing: Mapping[str, float], now: float, restart_parameters: Callable[[str], Mapping[str, Any]]
    ) -> None:
        """Restart again what is not connected; if nothing is missing, all restarted nodes are connected."""
        if not missing:
            self._restarted_lately.clear()
        left_out = [name for name, since in missing.items() if now - since > CONNECTION_TIMEOUT]
        tries = {name: count for name, count in self._restarted_lately.items() if count < CONNECTION_RETRIES}
        if not (left_out and tries):
            return
        name = min(tries, key=lambda name: tries[name])
        self._restarted_lately[name] += 1
        (running,) = (running for running in self._processes if running.name == name)
        reason = f"is not connected to the others ({', '.join(sorted(left_out))} received nothing)"
        self._replace(running, reason, now, restart_parameters(name))

    def _replace(self, running: _NodeProcess, reason: str, now: float, restart_parameters: Mapping[str, Any]) -> None:
        reason = f"node {running.name} {reason}"
        hopeless = running.spec.executable == NOT_RESTARTABLE or running.process.returncode == REFUSED
        if hopeless or not self._respawn:
            raise RomanError(reason)
        if len(self._restarted) == RESTART_LIMIT and now - self._restarted[0] < RESTART_PERIOD:
            raise RomanError(f"{reason}; {RESTART_LIMIT} nodes were started again in {RESTART_PERIOD:.0f} s already")
        self._restarted.append(now)
        self._restarted_at = now
        running.process.kill()
        running.process.wait()
        running.errors.close()
        self._processes.remove(running)
        self.on_end(running.name)
        self.start(dataclasses.replace(running.spec, parameters={**running.spec.parameters, **restart_parameters}))
        self.restarts.append(f"{reason}: started again")

    def end(self) -> None:
        """End them all, politely first: a node that shuts down itself tells the others that it goes."""
        for running in self._processes:
            running.process.terminate()
        deadline = time.monotonic() + END_TIMEOUT
        for running in self._processes:
            try:
                running.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
            running.errors.close()
        self._folder.cleanup()


def _report_deadline(running: _NodeProcess, last_reports: Mapping[str, float]) -> float:
    """When its next report is due [s]; a start may take longer."""
    last = last_reports.get(running.name, 0.0)
    return last + REPORT_TIMEOUT if last > running.began else running.began + START_TIMEOUT


def _last_line(running: _NodeProcess) -> str:
    running.errors.seek(0)
    lines = running.errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "it printed nothing"


def _environment() -> dict[str, str]:
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    root = Path(__file__).parents[3]
    if root.name not in ("site-packages", "dist-packages"):  # a checkout that is not installed
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return environment
