"""The lab, built once a module."""

import pytest
from worlds import roman_world

from roman_moe.sim.world import World


@pytest.fixture(scope="module")
def lab() -> World:
    return roman_world()
