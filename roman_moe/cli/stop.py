"""`roman-moe stop`: the software stop of a running graph, and its re-arming."""

from __future__ import annotations

from dataclasses import dataclass

from roman_moe.cli import quick
from roman_moe.cli.options import Flag
from roman_moe.cli.reach import Reach


@dataclass(frozen=True)
class Stop(Reach):
    """Bring the arm of the running graph to rest until it is re-armed.

    It is software, no safety-rated emergency stop.
    """

    needs = ("rclpy",)

    rearm: Flag = False
    """Let it move again, from rest, instead."""

    def main(self) -> int:
        """0 when the graph has done it."""
        return quick.command(self.rearm, self.ros_arguments)
