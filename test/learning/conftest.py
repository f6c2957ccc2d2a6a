"""A few real demonstrations of the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import TASK

from roman_moe.core.spec import GATE
from roman_moe.evaluation.collect import Collection, Group, demonstrate
from roman_moe.sim.pose_source import TruthPoses


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations of the button and one of the gate from scenario 0."""
    collection = Collection(TASK, tmp_path_factory.mktemp("demos"), 2, 1, TruthPoses(0.005), 0.0, 0.0, 0.0, seed=0)
    for group in (Group("button", TASK.start("button"), 2), Group(GATE, TASK.start(0), 1)):
        for index in range(group.wanted):
            assert demonstrate(group.attempt(collection, index, "0123abc")).success
    return collection.out
