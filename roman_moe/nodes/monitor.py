"""Monitor: what the bring-up knows of a running graph: only what its topics say, whichever way it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import String

from roman_moe.control.guard import GuardStatus
from roman_moe.control.rates import Rates
from roman_moe.core.bodies import MessageError
from roman_moe.core.outcome import Outcome
from roman_moe.core.state import NANOSECONDS
from roman_moe.nodes.blender import MISSED_TICKS, TAKEN_OUT
from roman_moe.nodes.diagnostics import PROCESS, STATUS, STOPPED, WAITING, local_name
from roman_moe.nodes.model_slot import MODEL
from roman_moe.nodes.news import News
from roman_moe.nodes.parameters import AUTOSTART
from roman_moe.nodes.topics import DIAGNOSTICS, ENDED, GATE_WEIGHTS, HELD_TICKS, OUTCOME, TWIST_COMMAND, weights_of
from roman_moe.nodes.wire import NumbersReader, serialized_stamp


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """What one control tick decided.

    Attributes:
        stamp_ns: of the tick's scene [ns] since the episode's first command.
        skills: that the weights are of, in the controller's order.
        weights: that the gate gave last, (len(skills),).
        leading: skill of the largest weight.
        missed_ticks: so far: ticks that the arm was held, or blended without all that was needed.
        stopped: whether a software stop holds.
    """

    stamp_ns: int
    skills: tuple[str, ...]
    weights: NDArray[np.float64]
    leading: str
    missed_ticks: int
    stopped: bool = False


RUNNING = Outcome.RUNNING.value

SILENCES = tuple(
    f"{status.value} {status.name}"
    for status in (
        GuardStatus.HALT_EXPERTS_SILENT,
        GuardStatus.HALT_GATE_SILENT,
        GuardStatus.HALT_OBSERVER_SILENT,
        GuardStatus.HALT_OBJECTS_STALE,
    )
)
"""What the blender tells of its guard while somebody is not heard."""

WEIGHTS_PATIENCE = 5.0
"""For how long a command waits for its weights [s], which come on another topic: a gate that has died sends none. ROS
takes 3 s to send again what was lost."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one episode stands, as the lab says.

    Attributes:
        start: name of the skill or scenario that it started from.
        seed: of its start and noise.
        outcome: "running", "fault" or another value of `core.outcome.Outcome`.
        time_s: since its start [s].
    """

    start: str
    seed: int
    outcome: str
    time_s: float


class Monitor(Node):
    """Listens to weights, commands, diagnostics and the lab's outcome.

    Args:
        context: to live in.
        rates: of the controller: which weights a tick follows.
        skills: of the controller, in its order.

    Attributes:
        tick: the last one, once there was one.
        standings: of the lab's episodes, twice each: when it begins and when it ends.
        statuses: last report of each node, by its name.
        heard: when it came [s], `time.monotonic`.
        news: what has happened in the graph, in words; whoever shows them takes them out.
        missing: since when [s] each node has said in all its reports that it misses what another should send.
    """

    def __init__(self, context: Context, rates: Rates, skills: tuple[str, ...]) -> None:
        super().__init__("monitor", context=context)
        self._rates, self._skills = rates, skills
        self._read_weights = NumbersReader(GATE_WEIGHTS.kind, weights_of(skills))
        self.tick: Tick | None = None
        self.standings: list[Standing] = []
        self.statuses: dict[str, DiagnosticStatus] = {}
        self.heard: dict[str, float] = {}
        self.missing: dict[str, float] = {}
        self.news: list[str] = []
        self._news = News()
        self._new_ticks: list[Tick] = []
        self._weights: dict[int, NDArray[np.float64]] = {}  # by gate tick
        self._last_weights: NDArray[np.float64] | None = None
        # commands without weights yet: stamp, when they came [s], and stamp of the episode's first one
        self._unsettled: list[tuple[int, float, int]] = []
        self._began = 0  # stamp of the episode's first command
        self._awaited: int | None = 0  # an episode begins with the first command from this stamp on
        self._exact = False  # whether it began at this very stamp, also if its first command was not heard
        self._stamp: int | None = None  # of the last command
        self._processes: dict[str, str] = {}  # id of each node's living process
        self._killed: set[str] = set()  # ids of those that are told as ended: a late report of one changes nothing
        self._ended = self.create_publisher(ENDED.kind, ENDED.name, ENDED.qos)
        for topic, handle, serialized in (
            (GATE_WEIGHTS, self._on_weights, True),
            (TWIST_COMMAND, self._on_command, True),
            (DIAGNOSTICS, self._on_diagnostics, False),
            (OUTCOME, self._on_outcome, False),
        ):
            self.create_subscription(topic.kind, topic.name, handle, topic.qos, raw=serialized)

    def tell_ended(self, node: str) -> None:
        """Tell all that the process of a node has been killed: DDS shows it for a while, as if it lived."""
        process = self._processes.pop(node, None)  # not known again before the next process's first report
        if process is not None:
            self.tell_process_ended(process)

    def tell_process_ended(self, process: str) -> None:
        """Tell all not to count a process's publishers, by its id in hexadecimal digits."""
        self._killed.add(process)
        self._ended.publish(String(data=process))

    def kept(self, node: str) -> dict[str, Any]:
        """What a node has said of parameters that its successor is to begin with."""
        said = self._said(node)
        kept: dict[str, Any] = {MODEL: said[MODEL]} if MODEL in said else {}
        if said.get(TAKEN_OUT):
            kept[TAKEN_OUT] = said[TAKEN_OUT].split(",")
        return {**kept, **{key: said[key] == str(True) for key in (STOPPED, AUTOSTART) if key in said}}

    @property
    def rests(self) -> bool:
        """Whether somebody has deactivated a node, so that others may miss what it would send them."""
        return any(self._said(node).get(AUTOSTART) == str(False) for node in self.statuses)

    @property
    def stopped(self) -> bool:
        """Whether a software stop holds."""
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
        return self.standings[-1].outcome if self.standings and self.standings[-1].outcome != RUNNING else None

    def take_ticks(self) -> list[Tick]:
        """The ticks since this was last asked."""
        self._settle_ticks()
        ticks, self._new_ticks = self._new_ticks, []
        return ticks

    def troubles(self) -> list[str]:
        """One line for each node that is not well."""
        return [f"{name}: {status.message}" for name, status in sorted(self.statuses.items()) if status.level != b"\0"]

    def _count(self, kind: str) -> int:
        return sum(int(v.value) for status in self.statuses.values() for v in status.values if v.key == kind)

    def _on_weights(self, data: bytes) -> None:
        try:
            stamp, weights = self._read_weights(data)
        except MessageError:  # the blender counts it
            return
        self._weights[self._rates.tick(stamp)] = weights
        self._settle_ticks()

    def _on_command(self, data: bytes) -> None:
        try:
            stamp = serialized_stamp(data)
        except MessageError:  # the lab counts it
            return
        if stamp == self._stamp:  # sent twice, since the lab asked twice
            return
        if self._awaited is not None and stamp >= self._awaited:
            self._began, self._awaited = self._awaited if self._exact else stamp, None
        self._began = min(self._began, stamp)  # a clock was set back
        if self._stamp is not None and stamp < self._stamp:  # a clock was set back
            weights = {key: value for key, value in self._weights.items() if key <= self._rates.tick(stamp)}
            self._settle_ticks(at_once=True)
            self._weights, self._unsettled = weights, []
        self._stamp = stamp
        self._unsettled.append((stamp, time.monotonic(), self._began))
        self._settle_ticks()

    def _settle_ticks(self, at_once: bool = False) -> None:
        """Give each command its weights, or the last there were once it has waited for long enough.

        Commands from before the first weights that this node has heard of are no ticks: it came in the middle.
        """
        while self._unsettled:
            stamp, came, began = self._unsettled[0]
            gate_tick = self._rates.gate_tick(stamp)
            known = [self._weights.get(tick) for tick in range(gate_tick, self._rates.tick(stamp) + 1)]
            weights = next((w for w in known if w is not None and np.isfinite(w).all()), None)
            if weights is None and known[-1] is not None:
                weights = self._last_weights  # the gate had no answer: the arm rests, and who led last is shown
            elif weights is None:
                never = self._last_weights is None and max(self._weights, default=-1) > gate_tick  # we came later
                if not (never or at_once or time.monotonic() - came >= WEIGHTS_PATIENCE):
                    return
                weights = self._last_weights
            del self._unsettled[0]
            if weights is None:
                continue
            self._last_weights = weights
            self._weights = {key: value for key, value in self._weights.items() if key >= gate_tick}
            leading = self._skills[int(np.argmax(weights))]
            self.tick = Tick(stamp - began, self._skills, weights, leading, self.missed_ticks, self.stopped)
            self._new_ticks.append(self.tick)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = local_name(status, self.get_namespace())
            if name is not None:
                self.statuses[name] = status
                self.heard[name] = now = time.monotonic()
                process = self._said(name).get(PROCESS)
                if process is not None and process not in self._killed:
                    self._processes[name] = process
                self.news += self._news.of(name, self._said(name))
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
            if self._exact:  # its first commands may have overtaken its word
                self._unsettled = [(s, came, first_ns if s >= first_ns else b) for s, came, b in self._unsettled]
        self.standings.append(Standing(message.name, seed, message.message, time_s))


def _misses(status: DiagnosticStatus) -> bool:
    """Whether a node says that it does not hear what it needs."""
    guard = next((value.value for value in status.values if value.key == STATUS), "")
    return status.message.startswith(WAITING) or guard in SILENCES
