"""Judge: decides, from the true state alone, whether an episode is solved, has failed or is running."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.outcome import Outcome
from roman_moe.sim.task import Start
from roman_moe.sim.world import World


class Judge:
    """Judges one episode.

    Attributes:
        paused_ns: of the episode, for which it was not judged and its time stood still [ns].
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        task = start.task
        self._times = start.times
        self._home = np.array(task.spec.home.position)
        self._tolerance = task.scenario_home_tolerance if start.skill is None else task.home_tolerance
        self._reach_limit = task.reach_limit
        self.paused_ns = 0

    def update(self, world: World) -> Outcome:
        """The episode's standing at the world's present tick."""
        time = (world.stamp_ns - self.paused_ns) * 1e-9
        offset = world.hand_position - self._home
        home_distance = math.sqrt(float(offset @ offset))
        if home_distance <= self._tolerance and time >= self._times.min_time and self.achieved(world):
            return Outcome.SUCCESS
        if home_distance > self._reach_limit:
            return Outcome.OUT_OF_REACH
        lost = world.task.lost(world)
        if lost is not None:
            return lost
        return Outcome.TIME_LIMIT if time >= self._times.time_limit - 1e-9 else Outcome.RUNNING

    def achieved(self, world: World) -> bool:
        """Whether the objects are where the skill, or the whole task, wants them (wherever the hand is)."""
        if self._start.skill is None:
            return world.task.achieved(world)
        return world.skills[self._start.skill].achieved(world)
