"""The channel from controller to arm: delayed and lost commands, as on a busy machine or a poor network.

In lockstep, and in process, every command moves the arm in the very tick whose scene it answers. No real robot does
that: cameras, planners' threads and drivers take their time. What is to work there has to be tried, and trained,
with such a channel.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from roman_moe.core.action import Command, hold
from roman_moe.core.errors import ConfigError
from roman_moe.core.ranges import SHARE, check_ranges


@dataclass(frozen=True, slots=True)
class ChannelQuality:
    """Delay and loss of commands to the arm.

    Attributes:
        delay: control ticks by which each command is late.
        lost_share: of the commands that never come; at such a tick the arm is told to rest, as the lab's arm does, and
            its gripper stays as it was told.
    """

    delay: int = 0
    lost_share: Annotated[float, SHARE] = 0.0

    def __post_init__(self) -> None:
        if not (isinstance(self.delay, int) and self.delay >= 0):
            raise ConfigError(f"delay is {self.delay}: expected control ticks, 0 or more")
        check_ranges(self, ConfigError)


GOOD_CHANNEL = ChannelQuality()
POOR_CHANNEL = ChannelQuality(delay=1, lost_share=0.3)
"""A delay of two ticks would be `max_command_age` of config/limits.yaml; of the scenes, chaos drops as many."""


class CommandChannel:
    """Carries one episode's commands."""

    def __init__(self, quality: ChannelQuality, gripper_opening: float, rng: np.random.Generator) -> None:
        """Nothing is under way.

        Args:
            gripper_opening: at which the gripper stays until a command comes [m].
            rng: is drawn from only if commands get lost.
        """
        self._quality = quality
        self._rng = rng
        self._under_way: deque[Command] = deque()
        self._opening = gripper_opening

    def carry(self, command: Command) -> Command:
        """Send the tick's command; answers what the arm is told in this tick, stamped as this tick's."""
        quality = self._quality
        self._under_way.append(command)
        arrived = self._under_way.popleft() if len(self._under_way) > quality.delay else None
        if quality.lost_share and self._rng.random() < quality.lost_share:
            arrived = None
        if arrived is None:
            return hold(command.stamp_ns, self._opening)
        self._opening = arrived.gripper_opening
        return dataclasses.replace(arrived, stamp_ns=command.stamp_ns) if quality.delay else arrived
