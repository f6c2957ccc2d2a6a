"""Bring-up: starts the graph that config/graph.yaml describes, runs it, and ends it without leaving anything behind.

Composed, all nodes run in this process under one executor; separate, each has a process of its own. The behaviour is
the same except for speed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import Executor
from rclpy.node import Node
from std_srvs.srv import Trigger

from roman_moe.control.manifest import load_manifest
from roman_moe.core.errors import RomanError
from roman_moe.nodes.base.environment import ros_environment
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.peers import refuse_namesakes
from roman_moe.nodes.base.process import StopSignals, make_executor, ros_context
from roman_moe.nodes.base.services import ParameterServices
from roman_moe.nodes.base.topics import FAULT
from roman_moe.nodes.bringup.episode_record import EpisodeRecord
from roman_moe.nodes.bringup.graph import NodeSpec, Value, load_description, node_class, resolve
from roman_moe.nodes.bringup.monitor import Monitor, Tick
from roman_moe.nodes.bringup.node_processes import START_TIMEOUT, NodeProcesses

__all__ = ["Graph", "Tick", "run_episode", "running_graph"]

N = TypeVar("N", bound=Node)

SPIN_PERIOD = 0.05  # [s]
ANSWER_TIMEOUT = 1.0  # [s] for a node to say that it has stopped
STALL_TIMEOUT = 60.0  # [s] without a tick after the first one
LAST_WORDS = 0.1  # [s] after an episode for what was sent before its outcome on other topics


class Graph:
    """A running graph.

    Attributes:
        restarts: which nodes were started again, and why, in order.
        said: what nodes answered to `trigger`.
    """

    def __init__(
        self,
        context: Context,
        remaps: Mapping[str, str],
        executor: Executor,
        services: ParameterServices,
        node_processes: NodeProcesses,
        signals: StopSignals,
        on_tick: Callable[[Tick], None] | None,
        on_spin: Callable[[Graph], object] | None,
    ) -> None:
        self.names: tuple[str, ...] = ()
        self._context = context
        self._services = services
        self._executor = executor
        self._signals = signals
        self._on_tick = on_tick
        self._on_spin = on_spin
        self._nodes: list[Node] = []
        self._triggers: dict[str, Client[Any, Any]] = {}
        self._asked: list[tuple[str, Any, float]] = []
        self.said: list[str] = []
        self.monitor = self.add(partial(Monitor, remaps=remaps))
        self.node_processes, self.restarts = node_processes, node_processes.restarts
        node_processes.on_end = self.monitor.tell_ended

    def add(self, make: Callable[[Context], N]) -> N:
        """Take a node into this process, and start it if it is one of ours; it ends with the graph."""
        node = make(self._context)
        self._nodes.append(node)
        self._executor.add_node(node)
        if isinstance(node, RomanNode):
            self._services.add(node)
            node.start()
        return node

    @property
    def processes(self) -> dict[str, int]:
        """Process ids by node name; empty when composed."""
        return self.node_processes.ids

    def trigger(self, node: str, service: str) -> None:
        """Call a node's std_srvs/Trigger service; what it says, or that it says nothing, goes to `said`."""
        name = f"{node}/{service}"
        if name not in self._triggers:
            self._triggers[name] = self.monitor.create_client(Trigger, name)
        self._asked.append((name, self._triggers[name].call_async(Trigger.Request()), time.monotonic()))

    def _hear_answers(self) -> None:
        """Keep what was answered to `trigger`; of one that is late first that it is, then the answer."""
        awaited, self._asked = self._asked, []
        for name, future, when in awaited:
            if future.done():
                self.said.append(f"{name}: {future.result().message}")
                continue
            late = time.monotonic() - when > ANSWER_TIMEOUT
            if late:
                self.said.append(f"{name}: no answer yet")
            self._asked.append((name, future, math.inf if late else when))

    def pass_time(self) -> None:
        """Let the nodes of this process work for a moment, and do nothing else."""
        self._signals.spin_once(self._executor, SPIN_PERIOD)

    def spin_once(self) -> None:
        """Let it run for a moment.

        Raises:
            RomanError: if one of its processes has ended and is not to be started again.
        """
        self.pass_time()
        for tick in self.monitor.take_ticks():
            if self._on_tick is not None:
                self._on_tick(tick)
        if self._on_spin is not None:
            self._on_spin(self)
        self._hear_answers()
        # what rests sends nothing: a lab after its episode, a node that somebody has deactivated
        waits = self.monitor.finished is not None or self.monitor.any_inactive
        self.node_processes.check(
            self.monitor.last_reports, self.monitor.restart_parameters, {} if waits else self.monitor.missing
        )

    def close(self) -> None:
        with contextlib.ExitStack() as stack:  # one that fails keeps no other from its end
            for node in self._nodes:
                stack.callback(node.destroy_node)
            stack.callback(self._executor.shutdown)  # first: as long as it holds them, they keep their sockets

    def come_to_rest(self) -> None:
        """Leave whatever this process moves at rest, before the rest of the clean-up, which may take seconds."""
        for node in self._nodes:
            if isinstance(node, RomanNode):
                node.protect(node.come_to_rest)

    def spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Let it run until `condition` holds; False if it did not within `timeout` [s]."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                return False
            self.spin_once()
        return True


@contextlib.contextmanager
def running_graph(
    specs: Sequence[NodeSpec],
    *,
    separate: bool = False,
    private: bool = True,
    respawn: bool = False,
    on_tick: Callable[[Tick], None] | None = None,
    on_spin: Callable[[Graph], object] | None = None,
    ros_arguments: Sequence[str] = (),
) -> Iterator[Graph]:
    """Start the nodes; when the block ends, however it ends, nothing of them is left.

    Args:
        specs: the nodes, as `graph.resolve` gives them.
        separate: one process a node.
        private: closed to everybody else, see `ros_environment`.
        respawn: start a process that has ended or is frozen again, but for the lab's, which holds the world, and for
            one that refuses its configuration.
        on_spin: called every `SPIN_PERIOD` or sooner, such as to look at the keyboard.
        ros_arguments: `--ros-args` and what follows it, for every node: such as their namespace.

    Raises:
        RomanError: if a node cannot start.
        KeyboardInterrupt: on Ctrl-C, after everything has ended; SystemExit on other signals likewise.
    """
    signals = StopSignals()
    try:
        with signals, ros_environment(separate, private), contextlib.ExitStack() as stack:
            classes = [node_class(spec.executable) for spec in specs]
            node_processes = NodeProcesses(respawn, ros_arguments)
            context = stack.enter_context(ros_context(ros_arguments))
            services = ParameterServices(context, make_executor(context))
            remaps = {name: other for spec in specs for name, other in spec.remaps.items()}
            graph = Graph(context, remaps, make_executor(context), services, node_processes, signals, on_tick, on_spin)
            graph.names = tuple(spec.name for spec in specs)
            stack.callback(graph.close)
            stack.callback(graph.node_processes.end)
            stack.enter_context(services)
            stack.callback(graph.come_to_rest)
            if not private:
                refuse_namesakes(graph.monitor, graph.names, graph.pass_time, graph.monitor.statuses)
            if separate:
                _start_processes(specs, graph)
            else:
                for spec, kind in zip(specs, classes, strict=True):
                    graph.add(partial(_make, kind, spec))
            yield graph
    except BaseException:
        if signals.number is None:
            raise
        if signals.number == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(128 + signals.number) from None


def _start_processes(specs: Sequence[NodeSpec], graph: Graph) -> None:
    """Start the nodes; the last, the arm, when all others have reported, so that its first messages are received."""
    *others, last = specs
    for spec in others:
        graph.node_processes.start(spec)
    reported = graph.monitor.statuses
    if not graph.spin_until(lambda: all(spec.name in reported for spec in others), START_TIMEOUT):
        silent = ", ".join(spec.name for spec in others if spec.name not in reported)
        raise RomanError(f"graph: no report within {START_TIMEOUT:.0f} s: {silent}")
    graph.node_processes.start(last)


def _make(kind: type[RomanNode], spec: NodeSpec, context: Context) -> RomanNode:
    return kind(spec.name, context=context, parameters=spec.parameters, remaps=spec.remaps)


def run_episode(
    bundle: str | Path,
    start: str,
    *,
    separate: bool = False,
    on_tick: Callable[[Tick], None] | None = None,
    on_spin: Callable[[Graph], object] | None = None,
    ros_arguments: Sequence[str] = (),
    **arguments: Value,
) -> EpisodeRecord:
    """Run one episode through the real graph and return its record.

    Args:
        start: a skill's name, or a scenario's number as text ("6").
        separate: one process a node instead of all in this one.
        on_tick: called in this thread after every tick; must return quickly.
        on_spin: likewise, every `SPIN_PERIOD` or sooner.
        ros_arguments: as for `running_graph`.
        arguments: others of config/graph.yaml, such as `seed` and `lockstep`.

    Raises:
        RomanError: if the bundle, the start or the graph cannot be used, a process dies, or the graph stands still.
        KeyboardInterrupt: on Ctrl-C, after everything has ended; SystemExit on SIGTERM likewise.
    """
    from roman_moe.sim.registry import load_sim_task  # needs MuJoCo, which a robot's graph does not

    # Says what is wrong with it before anything starts.
    load_sim_task(arguments.get("task") or load_manifest(bundle).task.name).start(start)
    with tempfile.TemporaryDirectory(prefix="roman_moe-") as folder:
        file = Path(folder) / "episode.npz"
        arguments |= {"bundle": str(bundle), "start": start, "episode_file": str(file)}
        specs = resolve(load_description(), arguments)
        with running_graph(
            specs, separate=separate, on_tick=on_tick, on_spin=on_spin, ros_arguments=ros_arguments
        ) as graph:
            _spin_to_outcome(graph)
            missed = graph.monitor.missed_ticks
        record = EpisodeRecord.load(file)
        # the last reports may still be under way: the lab itself knows at least how many ticks it has held
        return dataclasses.replace(record, missed_ticks=max(missed, record.held_ticks))


def _spin_to_outcome(graph: Graph) -> None:
    monitor = graph.monitor
    while monitor.finished is None:
        before = monitor.tick
        timeout = START_TIMEOUT if before is None else STALL_TIMEOUT
        if not graph.spin_until(partial(_moved_on, monitor, before), timeout):
            reasons = "; ".join(monitor.faults()) or "no node complains"
            raise RomanError(f"graph: no tick for {timeout:.0f} s: {reasons}")
    graph.spin_until(lambda: False, LAST_WORDS)
    if monitor.finished == FAULT:
        raise RomanError(f"lab: {monitor.statuses['lab'].message}")


def _moved_on(monitor: Monitor, tick: Tick | None) -> bool:
    return monitor.tick is not tick or monitor.finished is not None
