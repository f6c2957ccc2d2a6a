"""The mock arm as a node: keeps an arm's contract in real time, without physics; for trying the graph alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.arms.mock import MockArm
from roman_moe.control.controller import hold
from roman_moe.control.manifest import load_manifest
from roman_moe.core.action import GRIPPER_OPEN, Command
from roman_moe.core.bodies import HAND_NAMES, bodies_of_hand, bodies_of_objects
from roman_moe.core.state import NANOSECONDS, OBJECTS
from roman_moe.nodes.base import RomanNode
from roman_moe.nodes.commanders import Commanders
from roman_moe.nodes.diagnostics import OK, WAITING, WARN
from roman_moe.nodes.parameters import declare, parameter
from roman_moe.nodes.process import leave, run_node
from roman_moe.nodes.topics import GRIPPER, GRIPPER_COMMAND, HAND_STATE, TRUTH_POSES, TWIST, TWIST_COMMAND


@dataclass(frozen=True)
class MockArmParameters:
    """Parameters of the mock arm."""

    controller: str = parameter("folder of the controller bundle, whose control rate it keeps", shipped=True)


class MockArmNode(RomanNode):
    """Plays an arm that goes where it is told."""

    NAME = "mock_arm"
    PARAMETERS = MockArmParameters

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._settings = declare(self, MockArmParameters)

    def configure(self) -> None:
        """Learn the control rate."""
        self._period_ns = round(NANOSECONDS / load_manifest(self._settings.controller).rates.control_rate)

    def activate(self) -> None:
        """Begin at home."""
        self._arm = MockArm(self._period_ns)
        self._velocity: tuple[int, NDArray[np.float64]] | None = None  # newest, with its stamp
        self._target = GRIPPER_OPEN
        self._commanders = Commanders(self)
        self._publish_hand = self.advertise_bodies(HAND_STATE, HAND_NAMES)
        self._publish_truth = self.advertise_bodies(TRUTH_POSES, OBJECTS)
        self.listen_numbers(TWIST_COMMAND, TWIST, self._on_twist)
        self.listen_numbers(GRIPPER_COMMAND, GRIPPER, self._on_gripper)
        self.timer(self._period_ns / NANOSECONDS, self._on_period)
        self.diagnostics.state(WARN, f"{WAITING}a command")

    def _is_for_now(self, what: str, stamped: tuple[int, NDArray[np.float64]]) -> bool:
        good = self._commanders.hear(what, stamped)
        return good and not self._commanders.fighting and stamped[0] == self._arm.stamp_ns

    def _on_twist(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        if self._is_for_now("delta_twist_cmds", stamped):
            self._velocity = stamped

    def _on_gripper(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        if self._is_for_now("gripper_cmd", stamped):
            self._target = float(stamped[1][0])

    def _on_period(self) -> None:
        """A period is over: the arm moves as commanded, or stands still, and says where it is."""
        stamp = self._arm.stamp_ns
        if self._commanders.fighting:
            self._arm.step(hold(stamp, self._target))  # who they are, the commanders' watch has said
        elif self._velocity is not None and self._velocity[0] == stamp:
            self._arm.step(Command(stamp, self._velocity[1], self._target))
            self.diagnostics.state(OK, "following commands")
        else:
            self._arm.step(hold(stamp, self._target))
            self.diagnostics.state(WARN, f"standing still: no command for {stamp} ns")
        self._publish_hand(bodies_of_hand(self._arm.hand))
        self._publish_truth(bodies_of_objects(self._arm.objects))


def main() -> int:
    """Run the node in this process."""
    return run_node(MockArmNode)


if __name__ == "__main__":
    leave(main())
