"""Monitor: what the bring-up knows of a running graph: only what its topics say, whichever way it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.node import Node

from roman_moe.core.messages import MessageError, decode_weights, message_stamp
from roman_moe.nodes.blender import MISSED_TICKS
from roman_moe.nodes.lab_node import HELD_TICKS
from roman_moe.nodes.topics import DIAGNOSTICS, GATE_WEIGHTS, OUTCOME, TWIST_COMMAND


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """What one control tick decided.

    Attributes:
        stamp_ns: of the tick's scene [ns] since the episode's start.
        skills: that the weights are of, in the controller's order.
        weights: that the gate gave last, (len(skills),).
        leading: skill of the largest weight.
        missed_ticks: so far: ticks that the arm was held, or blended without all that was needed.
    """

    stamp_ns: int
    skills: tuple[str, ...]
    weights: NDArray[np.float64]
    leading: str
    missed_ticks: int


class Monitor(Node):
    """Listens to weights, commands, diagnostics and the lab's outcome.

    Attributes:
        tick: the last one, once there was one.
        outcome: the lab's last word on an episode, once there was one.
        statuses: last report of each node, by its name.
    """

    def __init__(self, context: Context) -> None:
        super().__init__("monitor", context=context)
        self.tick: Tick | None = None
        self.outcome: DiagnosticStatus | None = None
        self.statuses: dict[str, DiagnosticStatus] = {}
        self._new_ticks: list[Tick] = []
        self._skills: tuple[str, ...] = ()
        self._weights: NDArray[np.float64] = np.zeros(0)
        for topic, handle in (
            (GATE_WEIGHTS, self._on_weights),
            (TWIST_COMMAND, self._on_command),
            (DIAGNOSTICS, self._on_diagnostics),
            (OUTCOME, self._on_outcome),
        ):
            self.create_subscription(topic.kind, topic.name, handle, topic.qos)

    @property
    def missed_ticks(self) -> int:
        """Ticks that the blender missed or the lab held, over all episodes."""
        return self._count(MISSED_TICKS) + self._count(HELD_TICKS)

    @property
    def finished(self) -> str | None:
        """How the last episode ended; None while there is none or it goes on."""
        return self.outcome.message if self.outcome is not None and self.outcome.message != "running" else None

    def take_ticks(self) -> list[Tick]:
        """The ticks since this was last asked."""
        ticks, self._new_ticks = self._new_ticks, []
        return ticks

    def troubles(self) -> list[str]:
        """One line for each node that is not well."""
        return [f"{name}: {status.message}" for name, status in sorted(self.statuses.items()) if status.level != b"\0"]

    def _count(self, kind: str) -> int:
        return sum(int(v.value) for status in self.statuses.values() for v in status.values if v.key == kind)

    def _on_weights(self, message: Any) -> None:
        try:
            self._weights = decode_weights(message, message.name)
        except MessageError:  # the blender counts it
            return
        self._skills = tuple(message.name)

    def _on_command(self, message: Any) -> None:
        try:
            stamp = message_stamp(message)
        except MessageError:  # the lab counts it
            return
        if not self._skills:
            return
        leading = self._skills[int(np.argmax(self._weights))]
        if self.tick is not None and stamp == self.tick.stamp_ns:  # sent twice, since the lab asked twice
            return
        self.tick = Tick(stamp, self._skills, self._weights, leading, self.missed_ticks)
        self._new_ticks.append(self.tick)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.statuses.update({status.name: status for status in message.status if status.hardware_id == "roman_moe"})

    def _on_outcome(self, message: DiagnosticStatus) -> None:
        self.outcome = message
