"""`roman-moe stop`: the software stop of a running graph, and its re-arming."""

from __future__ import annotations

from dataclasses import dataclass

from roman_moe.cli import quick_stop
from roman_moe.cli.graph_options import GraphOptions
from roman_moe.cli.options import Flag


@dataclass(frozen=True)
class Stop(GraphOptions):
    """Bring the arm of the running graph to rest until it is re-armed.

    It is software, no safety-rated emergency stop.
    """

    needs = ("rclpy",)

    rearm: Flag = False
    """End the stop: the arm moves again, from rest."""

    def main(self) -> int:
        return quick_stop.command(self.rearm, self.ros_arguments)
