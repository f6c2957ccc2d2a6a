"""A run from demonstrations to a bundle, and every way in which it must not begin."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import yaml
from small_recipe import small_recipe
from specs import NETWORKS, SKILLS
from worlds import TASK

from roman_moe.cli.export import Export
from roman_moe.control.bundle import load_bundle
from roman_moe.core.errors import ConfigError, DemonstrationError
from roman_moe.core.files import write_json
from roman_moe.evaluation.collect import Collection, collect
from roman_moe.learning.demonstration_sets import DemonstrationSet
from roman_moe.learning.recipes.hybrid import HybridRecipe
from roman_moe.learning.runs.run import Run, bundle_of, curves, new_record, train_run, write_description
from roman_moe.learning.runs.trainer import train_network
from roman_moe.sim.pose_source import TruthPoses


def quick_recipe(**changes: object) -> HybridRecipe:
    """Hardly any training at all: for what is around it."""
    few = {"demonstrations": 1, "clone": {"steps": 5}, "ppo": {"steps": 64}, "cloning": {"epochs": 1.0}}
    return small_recipe(**{**few, "validation": {"episodes": 1}, **changes})


@pytest.fixture(scope="module")
def whole_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demos")
    collect(Collection(TASK, folder, 1, 1, TruthPoses(0.005), 0.0, 0.0, 0.0, seed=0))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, whole_dataset: Path) -> Run:
    """A run of all networks, two at a time."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run = Run(TASK, folder, quick_recipe(), whole_dataset, seed=3, workers=2)
    train_run(run, NETWORKS)
    return run


def test_a_whole_run_leaves_a_bundle_its_recipe_and_where_everything_came_from(run):
    bundle = load_bundle(run.folder / "bundle")
    assert bundle.skills == SKILLS
    provenance = bundle.manifest.provenance
    assert (provenance["method"], provenance["seed"]) == ("hybrid", 3)
    assert provenance["networks"]["push"]["recipe"]["ppo"]["steps"] == 64
    record = json.loads((run.folder / "run.json").read_text())
    assert set(record["demonstrations"]) == set(NETWORKS)
    rows = curves(run.folder)
    assert all((rows[name][0]["steps"], len(rows[name])) == (0, 2) for name in NETWORKS)
    assert all(rows[skill][-1]["steps"] == 64 for skill in SKILLS)
    last = [rows[name][-1] for name in NETWORKS]
    assert record["environment_steps"] == sum(row["steps"] + row["validation_steps"] for row in last)
    assert yaml.safe_load((run.folder / "recipe.yaml").read_text()) == run.recipe.to_dict()
    assert {path.name for path in (run.folder / "tensorboard").iterdir()} == set(NETWORKS)


def test_a_report_that_cannot_be_used_leaves_the_bundle_that_was_there(run, tmp_path):
    Export(run.folder, tmp_path / "shipped").main()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shipped").iterdir()}
    with pytest.raises(ConfigError, match="cannot be read"):
        Export(run.folder, tmp_path / "shipped", tmp_path / "typo.json").main()
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shipped").iterdir()} == before


def test_resuming_a_finished_run_changes_nothing(run):
    before = {path.name: path.read_bytes() for path in (run.folder / "bundle").glob("*.onnx")}
    train_run(run, NETWORKS, resume=True)
    assert {path.name: path.read_bytes() for path in (run.folder / "bundle").glob("*.onnx")} == before


@pytest.mark.parametrize(
    ("changes", "resume", "expected"),
    (
        ({}, False, "is trained already: go on with --resume or choose another --out"),
        ({"recipe": quick_recipe(ppo={"steps": 128})}, True, "holds a run with another recipe"),
        ({"seed": 4}, True, "holds a run with seed 3"),
    ),
)
def test_a_run_is_neither_overwritten_nor_continued_as_another(run, changes, resume, expected):
    values = {name: getattr(run, name) for name in run.__slots__}
    with pytest.raises(ConfigError, match=expected):
        train_run(Run(**{**values, **changes}), ["button"], resume)


def test_a_run_is_not_continued_with_other_demonstrations(run, tmp_path):
    collect(Collection(TASK, tmp_path / "demos", 1, 0, TruthPoses(0.005), 0.0, 0.0, 0.0, seed=1))
    other = Run(TASK, run.folder, run.recipe, tmp_path / "demos", run.seed)
    with pytest.raises(ConfigError, match="was begun with other demonstrations of button"):
        train_run(other, ["button"], resume=True)


def test_the_gate_wants_its_experts_first(whole_dataset, tmp_path):
    with pytest.raises(ConfigError, match="has no expert for pull, .*: train the experts before the gate"):
        train_run(Run(TASK, tmp_path / "run", quick_recipe(), whole_dataset, 0), ["gate"])
    assert not (tmp_path / "run").exists()


def test_the_gate_is_not_trained_over_an_expert_that_was_cut_off(whole_dataset, tmp_path):
    run = Run(TASK, tmp_path / "run", quick_recipe(ppo={"steps": 640}), whole_dataset, 0)
    for skill in SKILLS:
        (tmp_path / "run" / skill).mkdir(parents=True)
    train_network(dataclasses.replace(run.job("push"), run=tmp_path, steps_limit=64))
    for skill in SKILLS:  # not one of them is finished
        shutil.copytree(tmp_path / "push", tmp_path / "run" / skill, dirs_exist_ok=True)
    write_json(run.folder / "run.json", new_record(0))
    write_description(run.folder, run.spec, run.recipe)
    with pytest.raises(ConfigError, match="training of pull, .* was cut off: --resume it before the gate"):
        train_run(run, ["gate"])
    assert not (run.folder / "gate").exists()


def test_a_start_without_any_demonstration_is_named(whole_dataset, tmp_path):
    shutil.copytree(whole_dataset, tmp_path / "demos")
    for folder in (tmp_path / "demos" / "gate").glob("scenario_5_*"):
        shutil.rmtree(folder)
    run = Run(TASK, tmp_path / "run", quick_recipe(reinforcement={"scenarios": [0, 5]}), tmp_path / "demos", 0)
    with pytest.raises(DemonstrationError, match="gate: 0 demonstrations of scenario_5: the recipe wants 1"):
        train_run(run, NETWORKS)
    assert not run.folder.exists()


def test_a_cloning_term_that_would_be_skipped_is_refused_before_anything_is_trained(whole_dataset, tmp_path):
    run = Run(TASK, tmp_path / "run", quick_recipe(cloning={"batch_size": 8192}), whole_dataset, 0)
    with pytest.raises(
        ConfigError, match=r"button: cloning.batch_size is 8192: expected at most \d.* demonstrated samp"
    ):
        train_run(run, ["button"])
    assert not run.folder.exists()
    unused = quick_recipe(cloning={"batch_size": 8192, "strength": 0.0})
    train_run(Run(TASK, tmp_path / "run", unused, whole_dataset, 0), ["button"])


def test_there_must_be_a_run_to_resume(whole_dataset, tmp_path):
    with pytest.raises(ConfigError, match="no run to resume"):
        train_run(Run(TASK, tmp_path / "run", quick_recipe(), whole_dataset, 0), ["button"], resume=True)


def test_a_folder_with_something_else_in_it_is_left_alone(whole_dataset, tmp_path):
    (tmp_path / "letter.txt").write_text("dear all")
    with pytest.raises(ConfigError, match="holds something that is no run"):
        train_run(Run(TASK, tmp_path, quick_recipe(), whole_dataset, 0), ["button"])
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_run_with_a_network_missing_makes_no_bundle(whole_dataset, tmp_path):
    train_run(Run(TASK, tmp_path / "run", quick_recipe(), whole_dataset, 0), ["button"])
    assert not (tmp_path / "run" / "bundle").exists()
    with pytest.raises(ConfigError, match="pull: no checkpoint yet: train this network first"):
        bundle_of(tmp_path / "run", tmp_path / "bundle")


def test_one_expert_is_trained_from_a_bundles_weights_and_the_bundle_keeps_the_others(run, whole_dataset, tmp_path):
    base = run.folder / "bundle"
    sets = (DemonstrationSet(whole_dataset, whole=True), DemonstrationSet(whole_dataset, 0.5, whole=True))
    other = Run(TASK, tmp_path / "run", quick_recipe(ppo={"steps": 0}), sets, seed=3, base=base)
    train_run(other, ("button",))
    new, old = (load_bundle(folder / "bundle").manifest for folder in (other.folder, run.folder))
    assert [name for name in SKILLS if new.experts[name].sha256 != old.experts[name].sha256] == ["button"]
    said = new.provenance["networks"]["button"]
    assert said["base"]["controller_sha256"] == old.digest()
    assert [entry["weight"] for entry in said["demonstrations"]["sets"]] == [1.0, 0.5]
    with pytest.raises(ConfigError, match="begun from another bundle's weights"):
        train_run(dataclasses.replace(other, base=None), ("button",), resume=True)
