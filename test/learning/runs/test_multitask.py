"""Training on a suite follows from its seed, and a comparison goes on with the trainings that are missing."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from roman_moe.cli.main import main
from roman_moe.core.errors import ConfigError
from roman_moe.learning.algorithms.multitask_a2c import A2CRecipe
from roman_moe.learning.algorithms.multitask_sac import SACRecipe
from roman_moe.learning.policies.multitask import Sizes
from roman_moe.learning.runs.comparison import compare, curves_of, summary
from roman_moe.learning.runs.multitask import (
    CHECKPOINT,
    EVALUATED,
    JUDGED,
    METHODS,
    POLICY,
    RESULT,
    MultitaskRun,
    evaluation_interval,
    judge,
    judge_random,
    load_policy,
    solved_by,
)

TINY = MultitaskRun(
    "conflict", "mt_sac", 0, steps=80, warm_up=20, evaluate_every=40, episodes=4,
    sac=SACRecipe(sizes=Sizes((8, 8), width=8), batch=4), a2c=A2CRecipe(sizes=Sizes((8, 8))),
)  # fmt: skip


@pytest.mark.parametrize("method", ["mt_sac", "distral_kl_2col"])
def test_a_training_follows_from_its_seed(method):
    tiny = dataclasses.replace(TINY, method=method)
    one, again, other = (dataclasses.replace(tiny, seed=seed).train() for seed in (0, 0, 1))
    assert one["rows"] == again["rows"]
    assert [row["steps"] for row in one["rows"]] == [40, 80]
    assert one["parameters"] == other["parameters"]


def killed_after(evaluations):
    """What kills a training there."""
    rows = []

    def on_row(row):
        rows.append(row)
        if len(rows) == evaluations:
            raise KeyboardInterrupt

    return on_row


@pytest.mark.parametrize("method", ("hard_routing", "distral_kl_2col"))
def test_a_training_that_is_taken_up_is_the_same_as_one_that_was_never_cut_off(tmp_path, method):
    run = dataclasses.replace(TINY, method=method, steps=120)
    whole = run.train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run.train(tmp_path / "cut", killed_after(1))
    assert (tmp_path / "cut" / CHECKPOINT).exists()
    taken_up = run.train(tmp_path / "cut")
    assert taken_up["rows"] == whole["rows"]
    policies = [torch.load(tmp_path / name / POLICY, weights_only=True) for name in ("whole", "cut")]
    (part,) = policies[0]
    for name, values in policies[0][part].items():
        if name != "_extra_state":
            assert torch.equal(values, policies[1][part][name]), name
    assert not (tmp_path / "cut" / CHECKPOINT).exists()
    assert run.train(tmp_path / "cut", killed_after(0))["rows"] == whole["rows"]  # done: nothing is trained
    with pytest.raises(ConfigError, match="was trained with other numbers: choose another --out"):
        dataclasses.replace(run, seed=1).train(tmp_path / "cut")


def test_a_policy_that_was_kept_solves_what_it_solved(tmp_path):
    found = TINY.train(tmp_path)
    kept = load_policy(tmp_path)
    episodes = kept.suite.episodes(np.repeat(np.arange(8), kept.suite.beside))
    solved = solved_by(kept.learner, kept.suite, episodes, TINY.episodes, np.random.default_rng([0, 1, EVALUATED]))
    assert [*found["rows"][-1]["success"].values()] == solved.mean(axis=1).tolist()

    report = judge(tmp_path, TINY.episodes - 1, 7)
    solved = solved_by(kept.learner, kept.suite, episodes, TINY.episodes, np.random.default_rng([7, 0, JUDGED]))
    assert [row["rate"] for row in report["tasks"].values()] == solved.mean(axis=1).tolist()
    assert {row["episodes"] for row in report["tasks"].values()} == {TINY.episodes}
    assert all(row["ci95"][0] <= row["rate"] <= row["ci95"][1] for row in report["tasks"].values())
    assert report["mean"] == pytest.approx(solved.mean())


def test_random_actions_solve_what_they_come_upon_in_the_episodes_of_a_policy():
    report = judge_random("conflict", 20, 7)
    assert report == judge_random("conflict", 20, 7)
    assert {row["episodes"] for row in report["tasks"].values()} == {20}
    assert 0.0 < report["mean"] < 0.1  # 800 episodes gave 3.6 %
    assert report["tasks"] != judge_random("conflict", 20, 8)["tasks"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("random", "expected --suite"),
        ("folder --suite conflict", "leave it out"),
        ("random --suite conflict --routing a.png", "random actions have no routing weights"),
    ],
)
def test_random_actions_need_a_suite_and_a_folder_has_its_own(line, said, capsys):
    assert main(["evaluate", "multitask", *line.split()]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_without_a_policy_is_refused_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match=f"has no {RESULT} that can be read"):
        load_policy(tmp_path)
    TINY.train(tmp_path)
    content = json.loads((tmp_path / RESULT).read_text())
    content["run"]["method"] = "soft_modular"
    (tmp_path / RESULT).write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="is of another version or suite: train it again"):
        load_policy(tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(method):
    found = dataclasses.replace(TINY, method=method).train()
    assert all(0.0 <= share <= 1.0 for row in found["rows"] for share in row["success"].values())
    assert found["updates_per_s"] > 0


def test_a_comparison_goes_on_with_what_is_missing_and_refuses_other_numbers(tmp_path):
    runs = [dataclasses.replace(TINY, seed=seed) for seed in (0, 1)]
    first = list(compare(runs[:1], tmp_path, 1))
    own = tmp_path / "conflict" / "mt_sac" / "seed_0"
    file = own / RESULT
    before = file.stat().st_mtime_ns
    again = list(compare(runs, tmp_path, 1))
    assert file.stat().st_mtime_ns == before
    assert [found["seed"] for found in again] == [0, 1]
    assert again[0]["rows"] == first[0]["rows"]
    assert not (own / CHECKPOINT).exists()
    assert judge(own, 4, 0)["training_seed"] == 0  # its policy is there
    with pytest.raises(ConfigError, match="was trained with other numbers: choose another --out"):
        list(compare([dataclasses.replace(runs[0], steps=40)], tmp_path, 1))


GPU = torch.cuda.is_available()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device": "gpu"}, "device 'gpu': expected cpu or cuda"),
        ({"device": "cuda", "method": "ac_2col"}, "device cuda: ac_2col learns on the CPU alone: leave it out"),
    ],
)
def test_a_device_that_nothing_learns_on_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        dataclasses.replace(TINY, **changes)  # before anything is trained


@pytest.mark.skipif(GPU, reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="device cuda: this PyTorch finds no GPU: use cpu"):
        dataclasses.replace(TINY, device="cuda").train()


@pytest.mark.skipif(not GPU, reason="no GPU")
@pytest.mark.parametrize("method", [method for method, made in METHODS.items() if isinstance(made, tuple)])
def test_every_method_of_sac_trains_on_a_gpu_and_goes_on_there(tmp_path, method):
    run = dataclasses.replace(TINY, method=method, device="cuda", steps=120)
    with pytest.raises(KeyboardInterrupt):
        run.train(tmp_path, killed_after(2))
    found = run.train(tmp_path)
    assert [row["steps"] for row in found["rows"]] == [40, 80, 120]
    assert judge(tmp_path, 4, 0)["method"] == method  # on the CPU


def test_a_result_without_its_checkpoint_is_not_taken_for_a_whole_training(tmp_path):
    own = tmp_path / "conflict" / "mt_sac" / "seed_0"
    with pytest.raises(KeyboardInterrupt):
        TINY.train(own, killed_after(1))
    (own / CHECKPOINT).unlink()
    with pytest.raises(ConfigError, match=f"{CHECKPOINT}: cannot be read"):
        list(compare([TINY], tmp_path, 1))


@pytest.mark.parametrize(("steps", "every"), [(40_000, 2_000), (400_000, 20_000), (30_000, 2_000), (1_000, 1_000)])
def test_a_training_has_twenty_evaluations_unless_it_is_short(steps, every):
    assert evaluation_interval(steps) == every


def test_the_area_is_the_mean_over_the_training_and_the_end_its_last_evaluation():
    results = [
        {"rows": [{"success": {"a": 0.0, "b": 0.0}}, {"success": {"a": 1.0, "b": end}}]} | {"parameters": 7}
        | {"updates_per_s": 9.0}
        for end in (0.0, 1.0)
    ]  # fmt: skip
    np.testing.assert_allclose(curves_of(results), [[0.0, 0.5], [0.0, 1.0]])
    found = summary(results)
    assert (found["seeds"], found["parameters"], found["updates_per_s"]) == (2, 7, 9.0)
    assert found["area"]["mean"] == pytest.approx(0.375)
    assert found["success"]["mean"] == pytest.approx(0.75)
    assert found["success"]["ci95"] == [0.0, 1.0]  # of two seeds it would go beyond what a share can be
