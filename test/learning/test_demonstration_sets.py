"""Sets of demonstrations with weights, what of them teaches, and training from a bundle's weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from specs import NETWORKS, ROMAN

from roman_moe.control.bundle import load_bundle
from roman_moe.control.manifest import load_manifest
from roman_moe.control.network import Network
from roman_moe.control.rates import Rates
from roman_moe.core.errors import BundleError, ConfigError, DemonstrationError
from roman_moe.core.features import feature_layout
from roman_moe.core.paths import find_shipped
from roman_moe.demos.dataset import dataset_hash, write_spec
from roman_moe.demos.reader import read_episodes
from roman_moe.learning.demonstration_sets import (
    DemonstrationSet,
    mixed_samples,
    parse_sets,
    sets_of,
    sets_provenance,
    sets_spec,
)
from roman_moe.learning.export import expert_of, export_policy, policy_of
from roman_moe.learning.recipes.cloning import NetworkRecipe, Recipe
from roman_moe.learning.runs.clone import clone_bundle
from roman_moe.learning.samples import Samples, samples_of

FAST = Recipe(Rates(), dict.fromkeys(NETWORKS, NetworkRecipe(steps=3, batch_size=8, validation_share=0.0)))


def numbered(count: int, value: float) -> Samples:
    observations = np.full((count, 2), value, np.float32)
    return Samples(ROMAN, "button", observations, observations, np.arange(count) // 3, 0.005)


def test_each_set_has_its_share_and_no_sample_is_left_out():
    old, new = numbered(90, 1.0), numbered(20, 2.0)
    both = mixed_samples([old, new], [0.25, 0.75])
    values = both.observations[:, 0]
    assert np.mean(values == 2.0) == pytest.approx(0.75, abs=0.01)
    assert (values == 1.0).sum() == 90
    assert np.unique(both.episodes[values == 2.0]).size == 7
    assert not set(both.episodes[values == 1.0].tolist()) & set(both.episodes[values == 2.0].tolist())
    assert mixed_samples([old], [3.0]) is old


def test_a_folder_of_a_skill_is_used_whole_and_a_dataset_by_the_recipe(tmp_path):
    write_spec(tmp_path / "demos", ROMAN)
    write_spec(tmp_path / "fixes", ROMAN)
    (tmp_path / "fixes" / "push").mkdir()
    demos, fixes = parse_sets(f"{tmp_path}/demos, {tmp_path}/fixes/push=0.5", "push", "--demos")
    assert demos == DemonstrationSet(tmp_path / "demos", 1.0, whole=False)
    assert fixes == DemonstrationSet(tmp_path / "fixes", 0.5, whole=True)
    assert sets_spec([demos, fixes]) == ROMAN
    with pytest.raises(ConfigError, match="teaches 'push': expected pull"):
        parse_sets(f"{tmp_path}/fixes/push", "pull", "--demos")


@pytest.mark.parametrize("weight", ("0", "-1", "much", "inf", ""))
def test_a_weight_is_a_positive_number(weight):
    with pytest.raises(ConfigError, match="expected a number more than 0"):
        parse_sets(f"demos={weight}", "push", "--demos")


def test_sets_of_two_tasks_are_not_mixed(tmp_path):
    write_spec(tmp_path / "a", ROMAN)
    write_spec(tmp_path / "b", dataclasses.replace(ROMAN, name="other"))
    with pytest.raises(DemonstrationError, match="another task"):
        sets_spec(sets_of((DemonstrationSet(tmp_path / "a"), DemonstrationSet(tmp_path / "b"))))


def test_only_what_the_operator_did_teaches(demonstrations):
    (episode, _) = read_episodes(demonstrations, ROMAN, "button")
    drove = np.arange(len(episode.states)) % 4 == 0
    corrected = dataclasses.replace(episode, policy=np.zeros_like(episode.answers), drove=drove)
    samples = samples_of(ROMAN, "button", [corrected], Rates())
    np.testing.assert_array_equal(samples.answers, episode.answers[drove].astype(np.float32))


def test_an_expert_comes_back_from_its_file_with_the_same_answers():
    policy = expert_of(find_shipped("models/roman"), ROMAN, "push", (0.05, 0.01))
    content = export_policy(policy, np.zeros((1, len(policy.features)), np.float32), Rates())
    again = policy_of(ROMAN, "push", content, (0.05, 0.01), "the export")
    for key, values in policy.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], values, rtol=0.0, atol=0.0)
    shipped = load_manifest("models/roman").experts["push"].read(find_shipped("models/roman"))
    old, new = (Network(ROMAN, data, "push") for data in (shipped, content))
    for row in np.random.default_rng(0).uniform(-1.0, 1.0, (50, len(feature_layout(ROMAN)))):
        np.testing.assert_allclose(new(row), old(row), atol=1e-5)
    with pytest.raises(BundleError, match="no network that `roman-moe train` made by this recipe"):
        expert_of(find_shipped("models/roman"), ROMAN, "push", (0.05,))


def test_a_taught_expert_says_what_taught_it_and_the_others_stay(demonstrations, tmp_path):
    write_spec(demonstrations, ROMAN)
    sources = (DemonstrationSet(demonstrations, 1.0), DemonstrationSet(demonstrations, 0.5))
    base = find_shipped("models/roman")
    clone_bundle(sources, tmp_path / "new", FAST, 0, 1, ("button",), base=base, anew=False)
    new, old = load_bundle(tmp_path / "new").manifest, load_manifest("models/roman")
    changed = {name for name in new.experts if new.experts[name].sha256 != old.experts[name].sha256}
    assert changed == {"button"}
    said = new.provenance["networks"]["button"]
    digest = dataset_hash(demonstrations, ROMAN, "button")
    assert [entry["sha256"] for entry in said["demonstrations"]["sets"]] == [digest, digest]
    assert [entry["weight"] for entry in said["demonstrations"]["sets"]] == [1.0, 0.5]
    assert said["initial_sha256"] == old.experts["button"].sha256
    assert said["demonstrations"]["sha256"] == sets_provenance(sources, ROMAN, "button")["sha256"]
    assert new.provenance["networks"]["push"] == old.provenance["networks"]["push"]
