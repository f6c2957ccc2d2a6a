"""Ablations: each method changes what its name says and nothing else, and a study is finished where it was cut off."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from small_recipe import small_recipe
from specs import ROMAN
from worlds import TASK

from roman_moe.cli.ablate import ablation_table
from roman_moe.core.errors import ConfigError
from roman_moe.core.paths import config_path
from roman_moe.demos.reader import read_episodes
from roman_moe.evaluation.collect import Collection
from roman_moe.learning.recipes.hybrid import HybridRecipe, load_hybrid_recipe
from roman_moe.learning.runs import ablate
from roman_moe.learning.runs.ablate import METHODS, QUESTIONS, Study
from roman_moe.sim.channel import ChannelQuality
from roman_moe.sim.pose_source import TruthPoses


def study_of(folder: Path, recipe: HybridRecipe | None = None, **changes: object) -> Study:
    recipe = recipe or load_hybrid_recipe(config_path("training/fast.yaml"), ROMAN)
    values = {"methods": ["hybrid"], "seeds": 1, "episodes": 1, "scenarios": [0], "poses": TruthPoses(0.005)}
    return Study(TASK, folder, recipe, **{**values, **changes})


def test_ours_is_the_shipped_recipe(tmp_path):
    study = study_of(tmp_path)
    assert ablate._recipe(study, "hybrid") == study.recipe


@pytest.mark.parametrize(
    ("method", "ppo", "warm", "cloning", "gail", "progress"),
    (
        ("bc", False, True, True, True, True),
        ("ppo_sparse", True, False, False, False, False),
        ("ppo_shaped", True, False, False, False, True),
        ("gail_ppo", True, False, False, True, True),
        ("bc_ppo", True, True, True, False, True),
    ),
)
def test_a_method_has_the_parts_that_its_name_says(method, ppo, warm, cloning, gail, progress, tmp_path):
    for network in ablate._recipe(study_of(tmp_path), method).networks.values():
        assert bool(network.ppo.steps) == ppo
        assert network.warm_start == warm
        assert bool(network.cloning.strength) == cloning
        assert bool(network.gail.strength) == gail
        assert bool(network.reward.progress) == progress
        assert network.reward.success > 0


def test_only_the_number_of_demonstrations_differs_where_the_name_says_so(tmp_path):
    study = study_of(tmp_path)
    for count, gate in ((5, 2), (10, 3), (40, 12)):
        networks = ablate._recipe(study, f"hybrid_{count}_demos").networks
        for name, network in networks.items():
            expected = gate if name == "gate" else count
            assert network == dataclasses.replace(study.recipe.networks[name], demonstrations=expected)
    few = ablate._recipe(study, "hybrid_5_demos").networks["push"]
    handed_over = ablate._recipe(study, "hybrid_handed_over_5_demos").networks["push"]
    reinforcement, validation = (
        dataclasses.replace(e, handed_over_share=0.5) for e in (few.reinforcement, few.validation)
    )
    assert handed_over == dataclasses.replace(few, reinforcement=reinforcement, validation=validation)
    of_probability = ablate._recipe(study, "hybrid_probability_5_demos").networks["push"]
    assert of_probability == dataclasses.replace(few, gail=dataclasses.replace(few.gail, penalty_of="probability"))
    assert ablate._recipe(study, "hybrid_state_action").networks["push"].gail.use_actions


def test_a_budget_scales_steps_and_annealing_alike(tmp_path):
    whole, half = (ablate._recipe(study_of(tmp_path, budget=share), "hybrid").networks["gate"] for share in (1.0, 0.5))
    assert (half.ppo.steps, half.cloning.steps) == (whole.ppo.steps // 2, whole.cloning.steps // 2)


def test_another_budget_or_recipe_is_another_study(tmp_path):
    whole = study_of(tmp_path, methods=["bc", "monolithic"])
    for method in whole.methods:
        recipe = ablate._recipe(whole, method)
        kept = ablate._monolithic(recipe) if method == "monolithic" else recipe
        file = tmp_path / method / "seed_0" / "run" / "recipe.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump(kept.to_dict()))
        done = {"asked": [[0], 1, 0.005, 0, 0.0, whole.time_limit], "scenarios": {"0": {"episodes": 1, "successes": 1}}}
        done |= {"environment_steps": 7, "skills": {}}
        done["scenarios"]["0"]["rate"] = 1.0
        (tmp_path / method / "seed_0" / "evaluation.json").write_text(json.dumps(done))
    assert ablate.ablate(whole, lambda *_: None)["methods"]["monolithic"]["environment_steps"] == [7]
    other = load_hybrid_recipe(config_path("training/paper.yaml"), ROMAN)
    for changed in (dataclasses.replace(whole, budget=0.5), dataclasses.replace(whole, recipe=other)):
        for method in whole.methods:
            one = dataclasses.replace(changed, methods=[method])
            with pytest.raises(ConfigError, match="was trained by another recipe or with another --budget"):
                ablate.ablate(one, lambda *_: None)


def test_seeds_are_pooled_with_the_interval_of_all_their_episodes():
    reports = [
        {"scenarios": {}, "skills": {"push": {"episodes": 200, "successes": found, "rate": found / 200}}}
        | {"environment_steps": found}
        for found in (4, 16)
    ]
    pooled = ablate._pooled(reports)
    row = pooled["skills"]["push"]
    assert (row["episodes"], row["successes"], row["rate"], row["by_seed"]) == (400, 20, 0.05, [0.02, 0.08])
    assert row["ci95"] == pytest.approx([0.0326, 0.0759], abs=1e-4)
    assert pooled["environment_steps"] == [4, 16]


def test_the_table_of_all_scenarios_fits_a_terminal():
    row = {"episodes": 100, "successes": 31, "rate": 0.31, "ci95": [0.228, 0.406]}
    scenarios = {str(number): row for number in range(7)}
    report = {"seeds": 1, "episodes": 100, "noise_bound_m": 0.005, "delay_ticks": 0, "lost_share": 0.0}
    report["methods"] = {
        name: {"scenarios": scenarios, "skills": {}} for name in ("hybrid_handed_over_5_demos", "monolithic")
    }
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(ablation_table(report))
    lines = console.export_text().splitlines()
    for name in report["methods"]:
        found = [" ".join(line.split()) for line in lines if name in line]
        assert found == [f"{name} scenario {number} 31.0% 22.8 to 40.6 %" for number in range(7)]


def test_the_operator_demonstrates_the_skills_and_the_oracle_the_gate(tmp_path, monkeypatch):
    parts: list[Collection] = []
    monkeypatch.setattr(ablate, "collect", parts.append)
    study = study_of(tmp_path, source="keyboard")
    ablate._demonstrations(study, study.recipe)
    assert [(part.source, part.episodes, part.gate_episodes > 0) for part in parts] == [
        ("keyboard", 20, False),
        ("oracle", 0, True),
    ]


def test_a_study_of_skills_trains_their_experts_alone_and_judges_each_alone(tmp_path):
    tiny = small_recipe(demonstrations=1, clone={"steps": 5}, validation={"episodes": 1})
    study = study_of(
        tmp_path, tiny, methods=["bc"], scenarios=[], skills=["push", "button"], source="keyboard", time_limit=1
    )
    found = ablate.ablate(study, lambda *_: None)["methods"]["bc"]
    assert {skill: row["episodes"] for skill, row in found["skills"].items()} == {"push": 1, "button": 1}
    assert not found["scenarios"]
    assert {path.name for path in (tmp_path / "demos").iterdir()} == {"push", "button", "task.yaml"}
    run = tmp_path / "bc" / "seed_0" / "run"
    assert {path.name for path in run.glob("*.onnx")} == {"push.onnx", "button.onnx"}
    assert not (run / "gate").exists()


@pytest.mark.slow
@pytest.mark.timeout(7200)  # trains four methods
def test_a_study_compares_methods_on_the_same_terms_and_is_finished_where_it_was_cut_off(tmp_path):
    tiny = small_recipe(demonstrations=1, clone={"steps": 5}, ppo={"steps": 64}, validation={"episodes": 1})
    study = study_of(tmp_path, tiny, methods=["bc", "hybrid", "bc_5_demos", "monolithic"], workers=2)
    told: list[str] = []
    report = ablate.ablate(study, lambda method, seed, found: told.append(method))
    assert told == list(report["methods"]) == ["bc", "hybrid", "bc_5_demos", "monolithic"]
    assert all(found["scenarios"]["0"]["episodes"] == 1 for found in report["methods"].values())

    # The same episodes, whoever learns from them.
    skill = read_episodes(tmp_path / "demos", ROMAN, "push")
    whole = [e for e in read_episodes(tmp_path / "demos_monolithic", ROMAN, "monolithic") if e.meta.start == "push"]
    assert [e.meta.seed for e in whole] == [e.meta.seed for e in skill]
    assert all((a.answers == b.answers).all() for a, b in zip(skill, whole, strict=True))
    more = read_episodes(tmp_path / "demos_5", ROMAN, "push")
    assert (len(more), len(skill)) == (5, 1)
    assert (more[0].answers == skill[0].answers).all()

    (tmp_path / "hybrid" / "seed_0" / "evaluation.json").unlink()
    before = (tmp_path / "bc" / "seed_0" / "evaluation.json").stat().st_mtime_ns
    again = ablate.ablate(study, lambda *_: None)
    assert again["methods"] == report["methods"]
    assert (tmp_path / "bc" / "seed_0" / "evaluation.json").stat().st_mtime_ns == before

    further = ablate.ablate(dataclasses.replace(study, methods=["bc"], episodes=2), lambda *_: None)
    assert further["methods"]["bc"]["scenarios"]["0"]["episodes"] == 2
    channel = ChannelQuality(1, 1.0)
    over = ablate.ablate(dataclasses.replace(study, methods=["bc"], channel=channel), lambda *_: None)
    kept = [json.loads(file.read_text()) for file in (tmp_path / "bc" / "seed_0").glob("evaluation*.json")]
    assert (over["delay_ticks"], over["lost_share"]) == (1, 1.0)
    assert sorted((row["delay_ticks"], row["lost_share"]) for row in kept) == [(0, 0.0), (0, 0.0), (1, 1.0)]


def test_every_method_of_an_ablation_has_its_question():
    assert {name for called in QUESTIONS.values() for name in called} == set(METHODS)
