"""A recipe of hybrid learning that is small enough to train in seconds."""

from __future__ import annotations

from specs import NETWORKS

from roman_moe.control.rates import Rates
from roman_moe.core.config import merged
from roman_moe.learning.recipes.hybrid import HybridRecipe, recipe_of

SMALL = {
    "demonstrations": 2,
    "clone": {"hidden": [16], "steps": 60, "batch_size": 32, "validation_share": 0.0},
    "ppo": {"steps": 640, "environments": 2, "rollout": 32, "batch_size": 32, "epochs": 2, "critic_updates": 1},
    "cloning": {"steps": 400, "batch_size": 32, "epochs": 0.2},
    "gail": {"hidden": [16], "batch_size": 32},
    "reinforcement": {
        "noise_bounds": [0.005, 0.02],
        "disturbed_share": 0.5,
        "delays": [0, 1],
        "time_limit": 9.0,
        "scenarios": [0],
    },
    "validation": {"updates": 3, "episodes": 2, "time_limit": 3.0},
}


def small_recipe(**changes: object) -> HybridRecipe:
    """The small recipe with some of its sections changed for all networks."""
    return recipe_of(NETWORKS, Rates(), merged(SMALL, changes), {"gate": {"demonstrations": 1}}, "small")
