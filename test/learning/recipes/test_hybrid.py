"""Recipes of hybrid learning: what is shipped loads, what no one reads is refused, and a recipe survives its file."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from specs import ROMAN

from roman_moe.control.manifest import load_manifest
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path
from roman_moe.learning.recipes.cloning import NetworkRecipe, merged
from roman_moe.learning.recipes.hybrid import (
    CloningRecipe,
    GailRecipe,
    HybridNetworkRecipe,
    PPORecipe,
    ReinforcementRecipe,
    RewardRecipe,
    ValidationRecipe,
    bundles_recipe,
    load_hybrid_recipe,
)
from roman_moe.sim.channel import ChannelQuality
from roman_moe.sim.pose_source import TruthPoses


@pytest.mark.parametrize("name", ("fast", "paper"))
def test_a_shipped_recipe_is_the_same_after_it_is_written_out_in_full(name, tmp_path):
    recipe = load_hybrid_recipe(config_path(f"training/{name}.yaml"), ROMAN)
    copy = tmp_path / "recipe.yaml"
    copy.write_text(yaml.safe_dump(recipe.to_dict()), encoding="utf-8")
    assert load_hybrid_recipe(copy, ROMAN) == recipe


def test_a_recipe_says_only_what_differs_from_its_base(tmp_path):
    (tmp_path / "whole.yaml").write_text(config_path("training/fast.yaml").read_text())
    other = tmp_path / "other.yaml"
    other.write_text("base: whole.yaml\ndefaults: {ppo: {clip: 0.2}}\nnetworks: {gate: {demonstrations: 3}}\n")
    base, recipe = load_hybrid_recipe(tmp_path / "whole.yaml", ROMAN), load_hybrid_recipe(other, ROMAN)
    for name, network in base.networks.items():
        expected = dataclasses.replace(network, ppo=dataclasses.replace(network.ppo, clip=0.2))
        assert recipe.networks[name] == (
            dataclasses.replace(expected, demonstrations=3) if name == "gate" else expected
        )
    other.write_text("base: none.yaml\n")
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_hybrid_recipe(other, ROMAN)
    (tmp_path / "whole.yaml").write_text("base: other.yaml\n")
    other.write_text("base: whole.yaml\n")
    with pytest.raises(ConfigError, match=r"whole\.yaml.*base"):
        load_hybrid_recipe(other, ROMAN)


def test_a_recipe_with_former_keys_is_the_same(tmp_path):
    plain, shipped = load_hybrid_recipe(config_path("training/fast.yaml"), ROMAN), (tmp_path / "fast.yaml")
    shipped.write_text(config_path("training/fast.yaml").read_text().replace("reinforcement:", "practice:"))
    assert load_hybrid_recipe(shipped, ROMAN) == plain
    limit = {name: dataclasses.replace(each.reinforcement, time_limit=7.0) for name, each in plain.networks.items()}
    (tmp_path / "mine.yaml").write_text("base: fast.yaml\ndefaults: {practice: {time_limit: 7.0}}\n")
    mine = load_hybrid_recipe(tmp_path / "mine.yaml", ROMAN)
    assert [mine.networks[skill].reinforcement for skill in ROMAN.skill_names] == [limit[s] for s in ROMAN.skill_names]


def test_the_recipe_of_a_bundle_of_an_earlier_version_is_read():
    usual, manifest = load_hybrid_recipe(config_path("training/paper.yaml"), ROMAN), load_manifest("models/roman")
    said = manifest.provenance["networks"]["push"]["recipe"]["practice"]
    assert bundles_recipe(manifest, usual).networks["push"].reinforcement.time_limit == said["time_limit"] != 80.0


@pytest.mark.parametrize("name", ("fast", "paper"))
def test_in_a_shipped_recipe_imitation_weighs_more_than_the_task_reward(name):
    recipe = load_hybrid_recipe(config_path(f"training/{name}.yaml"), ROMAN)
    assert all(network.gail.strength > network.reward.strength > 0 for network in recipe.networks.values())


def test_a_network_changes_single_numbers_of_a_section():
    recipe = load_hybrid_recipe(config_path("training/paper.yaml"), ROMAN)
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
        (
            {"defaults": {"schedule": "gail_after_cloning", "ppo": {"steps": 500}, "cloning": {"steps": 500}}},
            "GAIL would never begin",
        ),
        ({"defaults": {"gail": {"penalty_of": "d"}}}, "penalty_of is 'd': expected logit or probability"),
        ({"defaults": {"reinforcement": {"handed_over_share": 2}}}, "handed_over_share is 2.0: expected 0 to 1"),
        ({"defaults": {"ppo": {"gamma": 1.5}}}, "gamma is 1.5: expected 0 to 1"),
        ({"defaults": {"reinforcement": {"scenarios": [7]}}}, "reinforcement.scenarios has 7: expected 0 to 6"),
        ({"defaults": {"reinforcement": {"scenarios": [-1]}}}, "scenarios is [-1]: expected numbers, 0 to 999"),
        ({"defaults": {"reinforcement": {"noise_bounds": []}}}, "noise_bounds is []: expected one number or more"),
        (
            {"defaults": {"reinforcement": {"noise_bounds": [float("nan")]}}},
            "noise_bounds is [nan]: expected up to 16 numbers, each 0 to 1",
        ),
        (
            {"defaults": {"reinforcement": {"delays": [0, -1]}}},
            "delays is [0, -1]: expected up to 16 numbers, each 0 to 100",
        ),
        ({"defaults": {"validation": {"lost_shares": []}}}, "lost_shares is []: expected one number or more"),
        (
            {"defaults": {"validation": {"lost_shares": [float("nan")]}}},
            "lost_shares is [nan]: expected up to 16 numbers, each 0 to 1",
        ),
        ({"defaults": {"ppo": {"batch_size": 1}}}, "batch_size is 1: expected 2 to"),
        ({"defaults": {"ppo": {"batch_size": 1000}}}, "expected a divisor of environments x rollout, 4096"),
        ({"defaults": {"ppo": {"batch_size": 8192}}}, "expected a divisor of environments x rollout, 4096"),
        ({"defaults": {"ppo": {"environments": 1, "rollout": 1, "batch_size": 2}}}, "environments x rollout, 1"),
        ({"defaults": {"ppo": {"environments": 1024, "rollout": 1048576}}}, "expected at most 4194304"),
        ({"defaults": {"gail": {"batch_size": 9000}}}, "gail.batch_size is 9000: expected at most 4096"),
        ({"defaults": {"gail": {"epochs": 0.01}}}, "its discriminator would never be trained"),
        ({"defaults": {"clone": {"hidden": [8] * 17}}}, "hidden is [8, 8"),
        ({"rates": {"control_rate": float("inf")}}, "expected positive numbers"),
        ({"defaults": {"ppo": {"learning_rate": "fast"}}}, "learning_rate is 'fast': expected a number"),
    ),
)
def test_what_cannot_be_meant_is_refused_by_name(changes, expected, tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(merged({"rates": {}, "defaults": {}, "networks": {}}, changes)), encoding="utf-8")
    with pytest.raises(ConfigError) as refusal:
        load_hybrid_recipe(file, ROMAN)
    assert str(refusal.value).startswith(str(file))
    assert expected in str(refusal.value)


NUMBERS = [
    (kind, field.name)
    for kind in (
        NetworkRecipe, PPORecipe, CloningRecipe, GailRecipe, RewardRecipe, ReinforcementRecipe, ValidationRecipe,
        HybridNetworkRecipe,
    )
    for field in dataclasses.fields(kind)
    if field.type.startswith(("int", "float", "tuple"))
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0e30, 1.0e30], ids=str)
def test_every_number_of_a_recipe_has_a_range(kind, name, value):
    kind(**{name: getattr(kind(), name)})
    with pytest.raises(ValueError, match=f"^{name} is .*: expected "):
        kind(**{name: (value,) if isinstance(getattr(kind(), name), tuple) else value})


def test_a_budget_scales_the_steps_of_every_network_alone():
    recipe = load_hybrid_recipe(config_path("training/fast.yaml"), ROMAN)
    quarter = recipe.with_budget(0.25)
    assert {name: network.ppo.steps for name, network in quarter.networks.items()} == {
        name: round(0.25 * network.ppo.steps) for name, network in recipe.networks.items()
    }
    assert quarter.networks["push"].cloning.steps == 80_000
    assert recipe.with_budget(1.0) == recipe
    unscaled = merged(quarter.to_dict(), {"networks": {}})
    for name, network in recipe.to_dict()["networks"].items():
        unscaled["networks"][name]["ppo"]["steps"] = network["ppo"]["steps"]
        unscaled["networks"][name]["cloning"]["steps"] = network["cloning"]["steps"]
    assert unscaled == recipe.to_dict()


def test_validation_has_every_noise_over_every_link():
    validation = ValidationRecipe(noise_bounds=(0.005, 0.02), delays=(0, 1), lost_shares=(0.0, 0.3))
    met = validation.combinations
    assert len(met) == len({(poses.noise_bound, channel.delay, channel.lost_share) for poses, channel in met}) == 8
    assert met[0] == (TruthPoses(0.005), ChannelQuality(0, 0.0))
