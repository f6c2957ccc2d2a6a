"""A multi-task policy from demonstrations: what it leaves is judged and exported as one that was trained by reward."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from specs import ROMAN, SKILLS
from worlds import TASK

from roman_moe.cli.main import main
from roman_moe.control.manifest import load_manifest
from roman_moe.core.errors import ConfigError, DemonstrationError, RomanError
from roman_moe.core.files import write_json
from roman_moe.demos.dataset import dataset_hash, write_spec
from roman_moe.evaluation.collect import Collection, Group, demonstrate
from roman_moe.learning.demonstration_sets import DemonstrationSet
from roman_moe.learning.policies.multitask import Sizes
from roman_moe.learning.recipes.cloning import FitRecipe
from roman_moe.learning.runs import multitask_clone
from roman_moe.learning.runs.multitask import POLICY, RESULT, judge
from roman_moe.learning.runs.multitask_clone import clone_multitask, cloning_run
from roman_moe.sim.pose_source import TruthPoses
from roman_moe.suites import skills

QUICK = FitRecipe(steps=150, batch_size=16, learning_rate=5e-3, ema_decay=0.98)
RUN = dataclasses.replace(cloning_run("roman", "soft_modular", 0, Sizes((32, 32), width=16)), episodes=1)


def shorten(patch):
    """Episodes of half a second: what a policy solves is not asked for here."""
    patch.setattr(skills, "TIME_LIMIT", 0.5)
    patch.setattr(skills, "LEFT", -8.0)


@pytest.fixture(autouse=True)
def short_episodes(monkeypatch):
    shorten(monkeypatch)


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Path:
    """One demonstration of each skill."""
    collection = Collection(TASK, tmp_path_factory.mktemp("demos"), 1, 0, TruthPoses(0.005), 0.0, 0.0, 0.0, seed=0)
    for skill in SKILLS:
        assert demonstrate(Group(skill, TASK.start(skill), 1).attempt(collection, 0, "0123abc")).success
    write_spec(collection.out, ROMAN)
    return collection.out


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    """Folder of the policy."""
    return tmp_path_factory.mktemp("policy")


@pytest.fixture(scope="module")
def cloned(shown, policy):
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        return clone_multitask(RUN, (DemonstrationSet(shown),), QUICK, policy)


def test_it_comes_close_to_the_demonstrations_and_says_which_they_were(shown, cloned):
    assert [*cloned["errors"]] == [*SKILLS]
    still = clone_multitask(RUN, (DemonstrationSet(shown),), dataclasses.replace(QUICK, steps=1))
    for skill in SKILLS:
        assert cloned["errors"][skill]["velocity_rms"] < 0.9 * still["errors"][skill]["velocity_rms"]
        assert cloned["clone"]["demonstrations"][skill] == {"sha256": dataset_hash(shown, ROMAN, skill)}


def test_a_cloning_follows_from_its_seed_and_is_not_done_twice(shown, policy, cloned, tmp_path, monkeypatch):
    again = clone_multitask(RUN, (DemonstrationSet(shown),), QUICK, tmp_path)
    assert (again["rows"], again["errors"]) == (cloned["rows"], cloned["errors"])
    policies = [torch.load(folder / POLICY, weights_only=True) for folder in (policy, tmp_path)]
    for name, values in policies[0]["actor"].items():
        assert torch.equal(values, policies[1]["actor"][name]), name
    monkeypatch.setattr(multitask_clone, "clone_actor", lambda *_: pytest.fail("it was cloned again"))
    assert clone_multitask(RUN, (DemonstrationSet(shown),), QUICK, policy) == json.loads(json.dumps(cloned))
    with pytest.raises(ConfigError, match="was trained with other numbers: choose another --out"):
        clone_multitask(RUN, (DemonstrationSet(shown),), dataclasses.replace(QUICK, steps=151), policy)


def test_it_is_judged_and_exported_as_any_policy_of_a_suite(policy, cloned, tmp_path):
    report = judge(policy, 1, 0)
    assert (report["cloned"], report["steps"], [*report["tasks"]]) == (True, 0, [*SKILLS])
    assert main(["export", str(policy), str(tmp_path / "bundle")]) == 0
    said = load_manifest(tmp_path / "bundle").provenance["networks"]["push"]["multitask"]
    assert said["clone"]["demonstrations"] == cloned["clone"]["demonstrations"]


def test_a_policy_whose_skills_saw_all_features_is_refused_in_one_line(policy, shown, cloned, tmp_path, capsys):
    old = tmp_path / "old"
    shutil.copytree(policy, old)
    write_json(old / RESULT, {key: value for key, value in cloned.items() if key != "observed"})
    said = "old: is of a version in which each skill saw all features: train it again elsewhere"
    assert main(["evaluate", "multitask", str(old), "--episodes", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    with pytest.raises(ConfigError, match=said):
        clone_multitask(RUN, (DemonstrationSet(shown),), QUICK, old)


def test_demonstrations_of_another_task_or_with_a_skill_missing_are_refused(shown, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    write_spec(tmp_path / "other", dataclasses.replace(ROMAN, name="other"))
    command = ["train", "multitask", "--suite", "roman", "--out", str(tmp_path / "policy"), "--demos"]
    assert main([*command, str(tmp_path / "other")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "other: shows task 'other'" in line
    assert "expected task 'roman' as it is now: collect with `roman-moe collect --task roman`" in line
    shutil.copytree(shown, tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "push")
    with pytest.raises(DemonstrationError, match="push: no demonstration there"):
        clone_multitask(RUN, (DemonstrationSet(tmp_path / "part"),), QUICK)
    assert not (tmp_path / "policy" / RESULT).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "hard_routing"}, "method hard_routing: cannot clone: with demonstrations expected sac, "),
        ({"method": "distral_kl_2col"}, "method distral_kl_2col: cannot clone"),
        ({"suite": "conflict"}, "suite conflict: has no demonstrations: expected a task whose skills it is"),
        ({"suite": "kitting"}, "shows task 'roman', or another version of it"),
    ],
)
def test_what_cannot_be_cloned_is_refused(shown, change, message):
    with pytest.raises(RomanError, match=message):
        clone_multitask(dataclasses.replace(RUN, **change), (DemonstrationSet(shown),), QUICK)


def test_environment_steps_are_refused_with_demonstrations(shown, tmp_path, capsys):
    command = ["train", "multitask", "--suite", "roman", "--demos", str(shown), "--steps", "2000"]
    assert main([*command, "--out", str(tmp_path / "policy")]) == 2
    assert "--steps: not valid with --demos" in capsys.readouterr().err
