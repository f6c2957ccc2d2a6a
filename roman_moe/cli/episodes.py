"""The display of a running graph's episodes, and the count of their outcomes."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from roman_moe.core.state import NANOSECONDS

if TYPE_CHECKING:
    from roman_moe.nodes.bringup.bringup import Graph
    from roman_moe.nodes.bringup.monitor import EpisodeStatus, Monitor, Tick
    from roman_moe.report.live import LiveView

RUNNING, SUCCESS = "running", "success"
TELEOP, RECORDER = "teleop", "demo_recorder"  # nodes that say who drives, and what is recorded
SILENCE = 5.0  # [s] without a tick after which the screen says so


class Episodes:
    """Shows a graph on a screen while it runs; call `show` a few times a second."""

    def __init__(self, view: LiveView, title: str) -> None:
        self._view, self._title = view, title
        self._told = self._restarts = 0  # episodes' messages and restarts that were shown
        self._tick: Tick | None = None
        self._moved = time.monotonic()  # [s] when it came
        self._stopped = False  # whether a stop held in the running episode
        self._outcomes: Counter[str] = Counter()

    def show(self, graph: Graph) -> None:
        """Tell what is new, above what is drawn, and draw how it stands."""
        monitor = graph.monitor
        self._stopped = self._stopped or monitor.stopped
        while monitor.changes:
            self._view.say(monitor.changes.pop(0), "yellow")
        for line in graph.restarts[self._restarts :]:
            self._view.say(line, "yellow")
        self._restarts = len(graph.restarts)
        while graph.said:
            self._view.say(graph.said.pop(0))
        for episode in monitor.episodes[self._told :]:
            self._on_episode_status(episode, monitor.stopped)
        self._told = len(monitor.episodes)
        self._draw(monitor)

    def _on_episode_status(self, episode: EpisodeStatus, stopped: bool) -> None:
        if episode.outcome == RUNNING:
            self._view.begin(f"{self._title}: {spoken_start(episode.start)}, seed {episode.seed}")
            self._stopped = stopped
            return
        self._view.say(outcome_line(episode))
        solved = episode.outcome == SUCCESS
        self._outcomes["solved" if solved else "stopped" if self._stopped else "failed"] += 1

    def _draw(self, monitor: Monitor) -> None:
        tick = monitor.tick
        if tick is None:
            self._view.wait("; ".join(["starting", *monitor.faults()[:1]]))
            return
        if tick is not self._tick:
            self._tick, self._moved = tick, time.monotonic()
        note = note_of(monitor, time.monotonic() - self._moved)
        self._view.update(tick.stamp_ns / NANOSECONDS, tick.skills, tick.weights, tick.missed_ticks, note)

    def summary(self) -> str:
        """How many episodes there were, and how they ended; empty if none began."""
        if not self._told:
            return ""
        count = sum(self._outcomes.values())
        kinds = ", ".join(f"{self._outcomes[kind]} {kind}" for kind in ("solved", "failed", "stopped"))
        return f"{count} {'episode' if count == 1 else 'episodes'}: {kinds}"


def note_of(monitor: Monitor, silence: float) -> str:
    """What matters besides the leading expert: a stop, who drives, what is recorded, a missing tick, the first fault.

    Args:
        silence: time since the last tick [s].
    """
    if monitor.stopped:
        return "stopped: R or roman-moe stop --rearm lets the arm move again"
    quiet = [f"no tick for {silence:.0f} s"] if silence > SILENCE else []
    told = [monitor.statuses[node].message for node in (TELEOP, RECORDER) if node in monitor.statuses]
    return "; ".join([*told, *quiet, *monitor.faults()[:1]])


def spoken_start(name: str) -> str:
    """A start for people: "scenario 6"."""
    return name.replace("_", " ")


def outcome_line(episode: EpisodeStatus) -> str:
    """What an episode came to."""
    outcome = "solved" if episode.outcome == SUCCESS else episode.outcome.replace("_", " ")
    return f"{spoken_start(episode.start)}, seed {episode.seed}: {outcome} after {episode.time_s:.1f} s"
