"""Recipes of hybrid learning: what is shipped loads, what no one reads is refused, and a recipe survives its file."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path
from roman_moe.learning.hybrid.recipe import load_hybrid_recipe
from roman_moe.learning.recipe import merged


@pytest.mark.parametrize("name", ("fast", "paper"))
def test_a_shipped_recipe_is_the_same_after_it_is_written_out_in_full(name, tmp_path):
    recipe = load_hybrid_recipe(config_path(f"training/{name}.yaml"))
    copy = tmp_path / "recipe.yaml"
    copy.write_text(yaml.safe_dump(recipe.to_dict()), encoding="utf-8")
    assert load_hybrid_recipe(copy) == recipe


@pytest.mark.parametrize("name", ("fast", "paper"))
def test_in_a_shipped_recipe_imitation_weighs_more_than_the_task_reward(name):
    recipe = load_hybrid_recipe(config_path(f"training/{name}.yaml"))
    assert all(network.gail.strength > network.reward.strength > 0 for network in recipe.networks.values())


def test_a_network_changes_single_numbers_of_a_section():
    recipe = load_hybrid_recipe(config_path("training/paper.yaml"))
    button, push = recipe.networks["button"], recipe.networks["push"]
    assert button.ppo.steps == 320_000_000
    assert dataclasses.replace(button.ppo, steps=push.ppo.steps) == push.ppo


@pytest.mark.parametrize(
    ("changes", "expected"),
    (
        ({"defaults": {"pppo": {}}}, "defaults: unknown key 'pppo': did you mean 'ppo'?"),
        (
            {"networks": {"push": {"ppo": {"stesp": 1}}}},
            "networks.push: ppo: unknown key 'stesp': did you mean 'steps'?",
        ),
        ({"networks": {"pusch": {}}}, "networks: unknown network 'pusch'"),
        ({"defaults": {"schedule": "never"}}, "schedule is 'never': expected together or gail_after_cloning"),
        ({"defaults": {"ppo": {"gamma": 1.5}}}, "gamma is 1.5: expected 0 to 1"),
        ({"defaults": {"practice": {"scenarios": [7]}}}, "scenarios is [7]: expected numbers from 0 to 6"),
        ({"defaults": {"practice": {"noise_bounds": []}}}, "noise_bounds is []: expected metres"),
        ({"defaults": {"practice": {"delays": [-1]}}}, "delay is -1: expected control ticks"),
        ({"defaults": {"validation": {"lost_shares": []}}}, "delays or lost_shares is empty"),
        ({"defaults": {"ppo": {"learning_rate": "fast"}}}, "learning_rate is 'fast': expected a number"),
    ),
)
def test_what_cannot_be_meant_is_refused_by_name(changes, expected, tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(merged({"rates": {}, "defaults": {}, "networks": {}}, changes)), encoding="utf-8")
    with pytest.raises(ConfigError) as refusal:
        load_hybrid_recipe(file)
    assert str(refusal.value).startswith(str(file))
    assert expected in str(refusal.value)
