"""States of the first task, at home and at rest but for what a test says; and short episodes of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from specs import FLAGS, GRIPPER_OPEN, HOME_POSITION, OBJECTS, ROMAN

from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import HandState, ObjectPoses, SceneState, upright
from roman_moe.sim.judge import Judge


def hand_at(stamp_ns: int, **fields: Any) -> HandState:
    return HandState(**{**_hand(stamp_ns), **fields})


def scene_at(stamp_ns: int, spec: TaskSpec = ROMAN, **fields: Any) -> SceneState:
    """Its objects are at the base, valid and of this moment; of any task."""
    usual = {**_hand(stamp_ns), "spec": spec, "flags": np.zeros(len(spec.flags), dtype=bool)}
    return SceneState(**{**usual, "object_positions": np.zeros((len(spec.objects), 3)), **fields})


def poses_at(stamp_ns: int, positions: np.ndarray | None = None, **fields: Any) -> ObjectPoses:
    count = len(OBJECTS)
    usual = {
        "positions": np.zeros((count, 3)) if positions is None else positions,
        "valid": np.ones(count, dtype=bool),
        "ages": np.zeros(count),
        "orientations": upright(count),
    }
    return ObjectPoses(stamp_ns, **{**usual, **fields})


def _hand(stamp_ns: int) -> dict[str, Any]:
    return {
        "spec": ROMAN,
        "stamp_ns": stamp_ns,
        "hand_position": HOME_POSITION,
        "hand_velocity": np.zeros(3),
        "finger_opening": GRIPPER_OPEN,
        "finger_forces": np.zeros(2),
        "flags": np.zeros(len(FLAGS), dtype=bool),
    }


def limit_time(monkeypatch: pytest.MonkeyPatch, limit: float) -> None:
    """Every episode in this process ends after that [s]."""
    begin = Judge.__init__

    def limited(judge: Judge, *arguments: Any) -> None:
        begin(judge, *arguments)
        judge._times = dataclasses.replace(judge._times, time_limit=limit, min_time=0.0)

    monkeypatch.setattr(Judge, "__init__", limited)
