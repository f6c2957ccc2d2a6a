"""Monitor: what the bring-up knows of a running graph: only what its topics say, whichever way it runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import String

from roman_moe.control.guard import GuardStatus
from roman_moe.core.outcome import Outcome
from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.base.diagnostics import PROCESS, STATUS, STOPPED, WAITING, local_name
from roman_moe.nodes.base.parameters import AUTOSTART
from roman_moe.nodes.base.process import remap_arguments
from roman_moe.nodes.base.topics import DIAGNOSTICS, ENDED, HELD_TICKS, OUTCOME, TICK
from roman_moe.nodes.bringup.change_reports import ChangeReports
from roman_moe.nodes.control.blender import MISSED_TICKS, TAKEN_OUT
from roman_moe.nodes.control.network_node import MODEL
from roman_moe.wire.bodies import MessageError
from roman_moe.wire.codec import decode_tick


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """What one control tick decided.

    Attributes:
        stamp_ns: of the tick's scene [ns] since the episode's first tick.
        skills: that the weights are of, in the bundle's order.
        weights: that the blender used last, (len(skills),).
        leading: skill of the largest weight.
        missed_ticks: so far: ticks that the arm was held, or blended without all that was needed.
        guard: code of what the guard did to the command (`control.guard.GuardStatus`).
    """

    stamp_ns: int
    skills: tuple[str, ...]
    weights: NDArray[np.float64]
    leading: str
    missed_ticks: int
    stopped: bool = False
    guard: int = 0


RUNNING = Outcome.RUNNING.value

MISSING_INPUT = tuple(
    f"{status.value} {status.name}"
    for status in (
        GuardStatus.HALT_EXPERTS_SILENT,
        GuardStatus.HALT_GATE_SILENT,
        GuardStatus.HALT_OBSERVER_SILENT,
        GuardStatus.HALT_OBJECTS_STALE,
    )
)
"""What the blender reports of its guard while messages are missing."""


@dataclass(frozen=True, slots=True)
class EpisodeStatus:
    """How one episode stands, as the lab says.

    Attributes:
        outcome: "running", "fault" or another value of `core.outcome.Outcome`.
        time_s: since its start [s].
    """

    start: str
    seed: int
    outcome: str
    time_s: float


class Monitor(Node):
    """Listens to the blender's ticks, diagnostics and the lab's outcome.

    Args:
        remaps: other names for the graph's topics, by the usual ones.

    Attributes:
        episodes: status of the lab's episodes, twice each: when it begins and when it ends.
        statuses: last report of each node, by its name.
        last_reports: when it came [s], `time.monotonic`.
        changes: what has happened in the graph, in words; whoever shows them takes them out.
        missing: since when [s] each node has said in all its reports that it misses what another should send.
    """

    def __init__(self, context: Context, remaps: Mapping[str, str] | None = None) -> None:
        super().__init__("monitor", context=context, cli_args=remap_arguments(remaps or {}))
        self.tick: Tick | None = None
        self.episodes: list[EpisodeStatus] = []
        self.statuses: dict[str, DiagnosticStatus] = {}
        self.last_reports: dict[str, float] = {}
        self.missing: dict[str, float] = {}
        self.changes: list[str] = []
        self._change_reports = ChangeReports()
        self._new_ticks: list[tuple[int, Tick]] = []  # with their stamps
        self._weights: NDArray[np.float64] | None = None  # last that were used
        self._began = 0  # stamp of the episode's first tick
        self._awaited: int | None = 0  # an episode begins with the first tick from this stamp on
        self._exact = False  # whether it began at this very stamp, also if its first tick was not received
        self._stamp: int | None = None  # of the last tick
        self._processes: dict[str, str] = {}  # id of each node's living process
        self._killed: set[str] = set()  # ids of those that are told as ended: a late report of one changes nothing
        self._ended = self.create_publisher(ENDED.kind, ENDED.name, ENDED.qos)
        for topic, handle in (
            (TICK, self._on_tick),
            (DIAGNOSTICS, self._on_diagnostics),
            (OUTCOME, self._on_outcome),
        ):
            self.create_subscription(topic.kind, topic.name, handle, topic.qos)

    def tell_ended(self, node: str) -> None:
        """Tell all that the process of a node has been killed: DDS shows it for a while, as if it lived."""
        process = self._processes.pop(node, None)  # not known again before the next process's first report
        if process is not None:
            self.tell_process_ended(process)

    def tell_process_ended(self, process: str) -> None:
        """Tell all not to count a process's publishers, by its id in hexadecimal digits."""
        self._killed.add(process)
        self._ended.publish(String(data=process))

    def restart_parameters(self, node: str) -> dict[str, Any]:
        """Parameters that a node begins with when it is restarted, as its last report has them."""
        said = self._said(node)
        kept: dict[str, Any] = {MODEL: said[MODEL]} if MODEL in said else {}
        if said.get(TAKEN_OUT):
            kept[TAKEN_OUT] = said[TAKEN_OUT].split(",")
        return {**kept, **{key: said[key] == str(True) for key in (STOPPED, AUTOSTART) if key in said}}

    @property
    def any_inactive(self) -> bool:
        """Whether somebody has deactivated a node, so that others may miss what it would send them."""
        return any(self._said(node).get(AUTOSTART) == str(False) for node in self.statuses)

    @property
    def stopped(self) -> bool:
        return any(self._said(node).get(STOPPED) == str(True) for node in self.statuses)

    def _said(self, node: str) -> dict[str, str]:
        status = self.statuses.get(node)
        return {value.key: value.value for value in status.values} if status else {}

    @property
    def missed_ticks(self) -> int:
        """Ticks that the blender missed or the lab held, over all episodes."""
        return self._count(MISSED_TICKS) + self._count(HELD_TICKS)

    @property
    def finished(self) -> str | None:
        """How the last episode ended; None while there is none or it goes on."""
        return self.episodes[-1].outcome if self.episodes and self.episodes[-1].outcome != RUNNING else None

    def take_ticks(self) -> list[Tick]:
        """The ticks since this was last asked."""
        ticks, self._new_ticks = self._new_ticks, []
        return [tick for _, tick in ticks]

    def faults(self) -> list[str]:
        """One line for each node that is not well."""
        return [f"{name}: {status.message}" for name, status in sorted(self.statuses.items()) if status.level != b"\0"]

    def _count(self, kind: str) -> int:
        return sum(int(v.value) for status in self.statuses.values() for v in status.values if v.key == kind)

    def _on_tick(self, message: Any) -> None:
        try:
            told = decode_tick(message)
        except MessageError:  # not the blender's
            return
        stamp = told.command.stamp_ns
        if stamp == self._stamp:  # decided already: the arm is being brought to rest
            return
        if self._awaited is not None and stamp >= self._awaited:
            self._began, self._awaited = self._awaited if self._exact else stamp, None
        self._began = min(self._began, stamp)  # a clock was set back
        self._stamp = stamp
        if told.weights.any() or self._weights is None:
            self._weights = told.weights
        leading = told.skills[int(np.argmax(self._weights))]  # of an arm that is halted: who led last
        since, missed = stamp - self._began, self.missed_ticks
        self.tick = Tick(since, told.skills, self._weights, leading, missed, self.stopped, told.guard)
        self._new_ticks.append((stamp, self.tick))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = local_name(status, self.get_namespace())
            if name is not None:
                self.statuses[name] = status
                self.last_reports[name] = now = time.monotonic()
                process = self._said(name).get(PROCESS)
                if process is not None and process not in self._killed:
                    self._processes[name] = process
                self.changes += self._change_reports.lines(name, self._said(name))
                if _misses(status):
                    self.missing.setdefault(name, now)
                else:
                    self.missing.pop(name, None)

    def _on_outcome(self, message: DiagnosticStatus) -> None:
        values = {value.key: value.value for value in message.values}
        try:
            seed, time_s = int(values["seed"]), int(values["time_ns"]) / NANOSECONDS
            first_ns = int(values["first_ns"])
        except (KeyError, ValueError):  # not the lab's
            return
        if message.message == RUNNING:
            self._awaited, self._exact = first_ns, values.get("real_time") == str(False)
            if self._exact:  # its first ticks may have overtaken its word
                self._new_ticks = [
                    (stamp, replace(tick, stamp_ns=stamp - first_ns) if stamp >= first_ns else tick)
                    for stamp, tick in self._new_ticks
                ]
        self.episodes.append(EpisodeStatus(message.name, seed, message.message, time_s))


def _misses(status: DiagnosticStatus) -> bool:
    """Whether a node says that it does not receive what it needs."""
    guard = next((value.value for value in status.values if value.key == STATUS), "")
    return status.message.startswith(WAITING) or guard in MISSING_INPUT
