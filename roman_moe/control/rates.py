"""The control ticks at which gate and experts run.

A tick is named by the stamp of its scene alone, so that every process of a graph and the in-process controller agree on
it without communication.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from roman_moe.core.state import NANOSECONDS


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of the networks.

    Attributes:
        control_rate: of the experts, the blend and the commands [Hz].
        gate_rate: of the gate [Hz]; its weights are held in between.

    Raises:
        ValueError: if a rate is not positive, or the control rate is no multiple of the gate rate.
    """

    control_rate: float = 20.0
    gate_rate: float = 10.0

    def __post_init__(self) -> None:
        if not (0.0 < self.control_rate < math.inf and 0.0 < self.gate_rate < math.inf):
            raise ValueError(f"rates {self.control_rate} and {self.gate_rate} Hz: expected positive numbers")
        ratio = self.control_rate / self.gate_rate
        if ratio < 1.0 or abs(ratio - round(ratio)) > 1e-9:
            raise ValueError(
                f"control_rate {self.control_rate} Hz is no whole multiple of gate_rate {self.gate_rate} Hz"
            )

    @property
    def gate_divider(self) -> int:
        """Control ticks from one run of the gate to the next."""
        return round(self.control_rate / self.gate_rate)

    def tick(self, stamp_ns: int) -> int:
        """Index of the control tick of a scene stamped `stamp_ns` [ns]."""
        return round(stamp_ns * self.control_rate / NANOSECONDS)

    def gate_tick(self, stamp_ns: int) -> int:
        """Index of the tick at which the gate ran last, for a scene stamped `stamp_ns` [ns]."""
        tick = self.tick(stamp_ns)
        return tick - tick % self.gate_divider

    def gate_due(self, stamp_ns: int) -> bool:
        """Whether the gate runs on the scene stamped `stamp_ns` [ns]."""
        return self.tick(stamp_ns) % self.gate_divider == 0
