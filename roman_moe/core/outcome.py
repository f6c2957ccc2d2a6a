"""Outcome: the state of an episode, in every process and record."""

from __future__ import annotations

import enum


class Outcome(enum.Enum):
    """State of an episode: running, solved, or failed for a reason."""

    RUNNING = "running"
    SUCCESS = "success"
    TIME_LIMIT = "time_limit"
    OBJECT_DROPPED = "object_dropped"
    OUT_OF_REACH = "out_of_reach"
