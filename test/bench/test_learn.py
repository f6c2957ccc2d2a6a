"""The learning benchmark's shares add up, and it leaves the physics as it was."""

import mujoco
import pytest
from worlds import TASK

from roman_moe.bench.learn import measure


@pytest.mark.slow  # two updates of the shipped recipe
def test_physics_is_part_of_stepping_which_is_part_of_learning():
    step = mujoco.mj_step
    figures = measure(TASK, seconds=0.1)
    assert mujoco.mj_step is step
    assert 0.0 < figures["physics_share"] < figures["stepping_share"] < 1.0
    assert figures["physics_share"] + figures["not_physics_share"] == 1.0
    assert figures["steps_per_s"] > 0
