"""A stand-in for the arm: shows recorded states at the control rate and notes how long each takes to become a command.

It answers to no command and does no physics, so what runs beside it is the control graph alone.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rclpy.context import Context

from roman_moe.core.state import NANOSECONDS, SceneState
from roman_moe.nodes.base.node import RomanNode
from roman_moe.nodes.base.topics import TRUTH_POSES, TWIST, TWIST_COMMAND


class StandInArm(RomanNode):
    """Publishes `hand_state` and `truth/object_poses`, and listens to `delta_twist_cmds`.

    Args:
        states: to show, over and over; their stamps do not matter.
        rate: of showing them [Hz].

    Attributes:
        delays_ns: from publishing a state to receiving the command for its stamp [ns], by tick.
        ticks: states shown so far.
    """

    NAME = "stand_in_arm"

    def __init__(self, context: Context, states: Sequence[SceneState], rate: float) -> None:
        super().__init__(context=context)
        self._states = states
        self._period_ns = round(NANOSECONDS / rate)
        self._sent_ns: dict[int, int] = {}
        self.delays_ns: dict[int, int] = {}
        self.ticks = 0

    def activate(self) -> None:
        spec = self._states[0].spec
        self._publish_hand = self.advertise_hand(spec)
        self._publish_truth = self.advertise_poses(TRUTH_POSES, spec)
        self.listen_numbers(TWIST_COMMAND, TWIST, self._on_command)
        self.timer(self._period_ns / NANOSECONDS, self._on_period)

    def _on_period(self) -> None:
        stamp = self.ticks * self._period_ns
        state = dataclasses.replace(self._states[self.ticks % len(self._states)], stamp_ns=stamp)
        self._sent_ns[self.ticks] = time.monotonic_ns()
        self.ticks += 1
        self._publish_hand(state)
        self._publish_truth(state.poses)

    def _on_command(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        now, tick = time.monotonic_ns(), stamped[0] // self._period_ns
        if tick in self._sent_ns:
            self.delays_ns.setdefault(tick, now - self._sent_ns[tick])
