"""Nodes as child processes: started quietly, watched, and ended together; none outlives the block that holds them.

A process that ends by itself, or is silent for too long, is an error, or is restarted if that is wished and can help.
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
from roman_moe.nodes.bringup.graph import NodeSpec, module_of

CHECK_PERIOD = 0.1  # [s]
SILENCE = 4.0  # [s] without a report (there is one every second), after which a node counts as frozen: as nav2 has it
START_PATIENCE = (
    300.0  # [s] until the first report: a dozen processes load at once, and the machine may be slow and busy
)
DEAF_PATIENCE = 10.0  # [s] for a successor to be heard and to hear: on a busy machine it took up to 3 s
DEAF_LIMIT = 3  # times a successor is started anew for that: there may be another reason, such as a robot that is off
RESTART_LIMIT = 5  # within RESTART_PERIOD: what fails more often than that does not fail by accident
RESTART_PERIOD = 30.0  # [s]
WORLD = "lab_node"
"""Executable that holds the world: one that is started again would be another one."""
END_PATIENCE = 3.0  # [s] from SIGTERM to SIGKILL: a node takes 0.2 s


@dataclass(frozen=True)
class _Child:
    spec: NodeSpec
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    began: float  # [s]

    @property
    def name(self) -> str:
        return self.spec.name


class Children:
    """The processes of one graph. Whoever starts them calls `end`.

    Args:
        respawn: start a node that has ended or is frozen again, unless it refused its configuration.
        ros_arguments: `--ros-args` and what follows it, for every node.

    Attributes:
        on_end: called with the name of a node whose process has ended, before its successor is started.
        restarts: what was started again, and why, in order.
    """

    def __init__(self, respawn: bool = False, ros_arguments: Sequence[str] = ()) -> None:
        self._respawn = respawn
        self._ros_arguments = ros_arguments
        self.on_end: Callable[[str], None] = lambda name: None
        self.restarts: list[str] = []
        self._restarted: deque[float] = deque(maxlen=RESTART_LIMIT)  # when [s]
        self._children: list[_Child] = []
        self._next_check = time.monotonic()
        self._patient_until = self._replaced = 0.0
        self._on_trial: dict[str, int] = {}  # successors since all was well: how often each was started for being deaf
        self._folder = tempfile.TemporaryDirectory(prefix="roman_moe-")

    @property
    def ids(self) -> dict[str, int]:
        """Process ids by node name."""
        return {child.name: child.process.pid for child in self._children}

    def start(self, spec: NodeSpec) -> None:
        """Start one node's process; it ends with this one, even if this one is killed."""
        file = Path(self._folder.name) / f"{spec.name}.yaml"
        # a file, since text such as "6" would become a number on the command line
        file.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(spec.parameters)}}), encoding="utf-8")
        command = [sys.executable, "-m", module_of(spec.executable)]
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
        self._children.append(_Child(spec, process, errors, time.monotonic()))

    def check(
        self,
        heard: Mapping[str, float],
        kept: Callable[[str], Mapping[str, Any]] = lambda name: {},
        missing: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Look after them, now and then however often it is called.

        Args:
            heard: when each node was last heard of [s], `time.monotonic`, by name.
            kept: parameters that a node's successor begins with instead of its own: what was set meanwhile, such as
                another model, or that it was stopped.
            missing: since when [s] nodes have missed what another should send them.

        Raises:
            RomanError: if a process has ended, with its last words, and is not to be started again.
        """
        now = time.monotonic()
        if now < self._next_check:
            return
        if now - self._next_check > SILENCE / 2.0:  # we did not look, or were suspended: it is not they who were silent
            self._patient_until = now + SILENCE
        self._next_check = now + CHECK_PERIOD
        for child in list(self._children):
            if child.process.poll() is not None:
                reason = f"ended with exit code {child.process.returncode}: {_last_line(child)}"
            elif self._respawn and now > max(self._patient_until, _latest_word(child, heard)):
                reason = "was silent for too long"
            else:
                continue
            self._on_trial[child.name] = 0
            self._replace(child, reason, now, kept(child.name))
        if now - self._replaced > DEAF_PATIENCE:
            self._judge_successors(missing, now, kept)

    def _judge_successors(
        self, missing: Mapping[str, float], now: float, kept: Callable[[str], Mapping[str, Any]]
    ) -> None:
        """With all well, they have come together with the rest; with a node left out since then, try the next anew."""
        if not missing:
            self._on_trial.clear()
        left_out = [name for name, since in missing.items() if now - since > DEAF_PATIENCE]
        tries = {name: count for name, count in self._on_trial.items() if count < DEAF_LIMIT}
        if not (left_out and tries):
            return
        name = min(tries, key=lambda name: tries[name])
        self._on_trial[name] += 1
        (child,) = (child for child in self._children if child.name == name)
        reason = f"did not come together with the others ({', '.join(sorted(left_out))} heard nothing)"
        self._replace(child, reason, now, kept(name))

    def _replace(self, child: _Child, reason: str, now: float, kept: Mapping[str, Any]) -> None:
        reason = f"node {child.name} {reason}"
        hopeless = child.spec.executable == WORLD or child.process.returncode == REFUSED
        if hopeless or not self._respawn:
            raise RomanError(reason)
        if len(self._restarted) == RESTART_LIMIT and now - self._restarted[0] < RESTART_PERIOD:
            raise RomanError(f"{reason}; {RESTART_LIMIT} nodes were started again in {RESTART_PERIOD:.0f} s already")
        self._restarted.append(now)
        self._replaced = now
        child.process.kill()
        child.process.wait()
        child.errors.close()
        self._children.remove(child)
        self.on_end(child.name)
        self.start(dataclasses.replace(child.spec, parameters={**child.spec.parameters, **kept}))
        self.restarts.append(f"{reason}: started again")

    def end(self) -> None:
        """End them all, politely first: a node that shuts down itself tells the others that it goes."""
        for child in self._children:
            child.process.terminate()
        deadline = time.monotonic() + END_PATIENCE
        for child in self._children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            child.errors.close()
        self._folder.cleanup()


def _latest_word(child: _Child, heard: Mapping[str, float]) -> float:
    """When it has to be heard of again [s]; a start may take longer."""
    last = heard.get(child.name, 0.0)
    return last + SILENCE if last > child.began else child.began + START_PATIENCE


def _last_line(child: _Child) -> str:
    child.errors.seek(0)
    lines = child.errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"


def _environment() -> dict[str, str]:
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    root = Path(__file__).parents[3]
    if root.name not in ("site-packages", "dist-packages"):  # a checkout that is not installed
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return environment
