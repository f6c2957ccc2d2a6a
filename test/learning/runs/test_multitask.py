"""Training on a suite follows from its seed, and a comparison goes on with the trainings that are missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from roman_moe.core.errors import ConfigError
from roman_moe.learning.algorithms.multitask_a2c import A2CRecipe
from roman_moe.learning.algorithms.multitask_sac import SACRecipe
from roman_moe.learning.policies.multitask import Sizes
from roman_moe.learning.runs.multitask import METHODS, MultitaskRun, compare, curves_of, summary

TINY = MultitaskRun(
    "conflict", "mt_sac", 0, steps=80, beside=2, warm_up=20, evaluate_every=40, episodes=2,
    sac=SACRecipe(sizes=Sizes((8, 8), width=8), batch=4), a2c=A2CRecipe(sizes=Sizes((8, 8))),
)  # fmt: skip


@pytest.mark.parametrize("method", ["mt_sac", "distral_kl_2col"])
def test_a_training_follows_from_its_seed(method):
    tiny = dataclasses.replace(TINY, method=method)
    one, again, other = (dataclasses.replace(tiny, seed=seed).train() for seed in (0, 0, 1))
    assert one["rows"] == again["rows"]
    assert [row["steps"] for row in one["rows"]] == [40, 80]
    assert one["parameters"] == other["parameters"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(method):
    found = dataclasses.replace(TINY, method=method).train()
    assert all(0.0 <= share <= 1.0 for row in found["rows"] for share in row["success"].values())
    assert found["updates_per_s"] > 0


def test_a_comparison_goes_on_with_what_is_missing_and_refuses_other_numbers(tmp_path):
    runs = [dataclasses.replace(TINY, seed=seed) for seed in (0, 1)]
    first = list(compare(runs[:1], tmp_path, 1))
    file = tmp_path / "conflict" / "mt_sac" / "seed_0.json"
    before = file.stat().st_mtime_ns
    again = list(compare(runs, tmp_path, 1))
    assert file.stat().st_mtime_ns == before
    assert [found["seed"] for found in again] == [0, 1]
    assert again[0]["rows"] == first[0]["rows"]
    with pytest.raises(ConfigError, match="was trained with other numbers: choose another --out"):
        list(compare([dataclasses.replace(runs[0], steps=40)], tmp_path, 1))


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
    assert found["success"]["ci95"][0] < 0.75 < found["success"]["ci95"][1]
