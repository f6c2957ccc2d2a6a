"""Checks that one node alone commands an arm, and halts it otherwise. For lab and mock, which have no watchdog."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from roman_moe.arms.command_watchdog import SingleCommander
from roman_moe.control.guard import GuardStatus
from roman_moe.core.state import VELOCITY_BOUND, within
from roman_moe.nodes.base.diagnostics import ERROR, OK
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.peers import names_of
from roman_moe.nodes.base.topics import GRIPPER_COMMAND, TWIST_COMMAND, Topic

LOOK_PERIOD = 0.1  # [s] between two looks at who commands
CONFLICTS = "conflicting_messages"
REFUSED = "refused_commands"
"""Kind of trouble: a command whose stamp is not for the present tick."""
TOO_SLOW = "if this goes on, the machine does not keep up: end other programs"


def commanders(node: RomanNode, *past_the_graph: Topic) -> list[str]:
    """Names of the nodes that command an arm, as `names_of` gives them.

    Args:
        past_the_graph: topics that nobody but this node is to publish.
    """
    past = [node.others(topic) for topic in past_the_graph]
    return names_of(node.publishers_of(TWIST_COMMAND), node.publishers_of(GRIPPER_COMMAND), *past)


class Commanders:
    """Makes an active node refuse commands while it has two commanders, and report them."""

    def __init__(self, node: RomanNode) -> None:
        self._node, self._one = node, SingleCommander()
        node.listen_for_ended()
        node.timer(LOOK_PERIOD, self._look)

    @property
    def in_conflict(self) -> bool:
        """Whether there are two now, or were a moment ago."""
        return self._one.in_conflict(time.monotonic())

    def forget(self) -> None:
        """An episode begins: its stamps come anew."""
        self._one.reset()

    def accepts(self, what: str, stamped: tuple[int, NDArray[np.float64]]) -> bool:
        """A command of the topic `what` with its stamp [ns]; whether it is within bounds, and contradicts nobody."""
        stamp, numbers = stamped
        if not within(numbers, VELOCITY_BOUND):
            wrong = f"{what} at {stamp} ns: {numbers.tolist()}: expected numbers of at most {VELOCITY_BOUND}"
            self._node.diagnostics.count(NOT_FINITE, wrong)
            return False
        self._look()  # 50 us: before a second commander's first command is followed
        if self._one.contradicted(what, stamp, numbers, time.monotonic()):
            self._node.diagnostics.count(CONFLICTS, f"two of {what} for {stamp} ns: is there a second commander?")
            return False
        return True

    def _look(self) -> None:
        names, before = commanders(self._node), self._one.rivals
        self._one.update_publishers(names)
        if self._one.rivals:
            self._node.diagnostics.state(ERROR, f"{GuardStatus.HALT_TWO_COMMANDERS.name}: {', '.join(names)}")
        elif before:
            self._node.diagnostics.state(OK, "one commander again")
