"""What `bench record` counts is right: nothing closed is damaged or lost by kill -9, and damage would be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from specs import ROMAN, SKILLS

from roman_moe.bench import record


def test_a_kill_at_a_random_moment_damages_and_loses_no_closed_episode(tmp_path: Path) -> None:
    figures = record._kill(ROMAN, tmp_path, 2, np.random.default_rng(0))
    assert figures["closed_episodes"] >= 2
    assert (figures["damaged_closed_episodes"], figures["lost_closed_episodes"]) == (0, 0)
    cut = next((tmp_path / SKILLS[0]).glob("episode_*/*.mcap"))
    assert record._is_whole(cut.parent, ROMAN)
    cut.write_bytes(cut.read_bytes()[:-1])
    assert not record._is_whole(cut.parent, ROMAN)


@pytest.mark.slow
def test_it_measures_what_a_graph_drops_and_costs() -> None:
    figures = record.measure(seconds=1.0, kills=1)
    assert figures["dropped"] >= 0
    assert 0 < figures["ticks"] <= 60
    assert 0 < figures["images"] <= 60
    assert figures["cpu_cores"] > 0.0
