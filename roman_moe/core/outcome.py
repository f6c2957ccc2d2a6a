"""Outcome: how an episode stands, in every process and record."""

from __future__ import annotations

import enum


class Outcome(enum.Enum):
    """How an episode stands."""

    RUNNING = "running"
    SUCCESS = "success"
    TIME_LIMIT = "time_limit"
    OBJECT_DROPPED = "object_dropped"
    OUT_OF_REACH = "out_of_reach"
