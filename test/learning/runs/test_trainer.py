"""The training of a network: a run that was cut off is the same run, and nothing costs it a good checkpoint."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_recipe import small_recipe
from specs import ROMAN
from worlds import TASK

from roman_moe.core.errors import ConfigError, DemonstrationError
from roman_moe.learning.algorithms.ppo import DivergedError
from roman_moe.learning.recipes.hybrid import HybridRecipe
from roman_moe.learning.runs import trainer
from roman_moe.learning.runs.trainer import CHECKPOINT, TrainingJob, load_best, load_checkpoint, train_network


def job_of(run: Path, demonstrations: Path, recipe: HybridRecipe | None = None, **changes: object) -> TrainingJob:
    recipe = recipe or small_recipe()
    return TrainingJob(TASK, run, "button", recipe.networks["button"], recipe.rates, demonstrations, seed=1, **changes)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    learner = load_checkpoint(folder)["learner"]
    flat = {**learner["actor_critic"], **{f"d.{k}": v for k, v in learner["discriminator"].items()}}
    for name in ("optimiser", "cloning_optimiser", "discriminator_optimiser"):
        for index, entry in learner[name]["state"].items():
            flat |= {f"{name}.{index}.{key}": value for key, value in entry.items()}
    return flat


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    assert len(first) > 30  # networks, discriminator and all three optimisers
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, demonstrations) -> Path:
    """A run that was never cut off."""
    run = tmp_path_factory.mktemp("whole")
    train_network(job_of(run, demonstrations))
    return run / "button"


def test_a_run_taken_up_after_a_stop_is_the_same_run(whole, tmp_path, demonstrations):
    train_network(job_of(tmp_path, demonstrations, steps_limit=150))
    assert 150 <= load_checkpoint(tmp_path / "button")["learner"]["steps"] < 640
    train_network(job_of(tmp_path, demonstrations))
    assert same(whole, tmp_path / "button")
    rows = [
        [{key: value for key, value in row.items() if key != "seconds"} for row in load_checkpoint(folder)["rows"]]
        for folder in (whole, tmp_path / "button")
    ]
    assert rows[0] == rows[1]
    assert [row["steps"] for row in rows[0]] == [0, 192, 384, 576, 640]


def test_another_seed_is_another_run(whole, tmp_path, demonstrations):
    recipe = small_recipe()
    train_network(
        TrainingJob(TASK, tmp_path, "button", recipe.networks["button"], recipe.rates, demonstrations, seed=2)
    )
    assert not same(whole, tmp_path / "button")


def test_a_run_killed_at_any_moment_goes_on_as_if_it_had_not_been(whole, tmp_path, demonstrations):
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3])\n"
        "from small_recipe import small_recipe\n"
        "from worlds import TASK\n"
        "from roman_moe.learning.runs.trainer import TrainingJob, train_network\n"
        "recipe = small_recipe()\n"
        "button, rates = recipe.networks['button'], recipe.rates\n"
        "job = TrainingJob(TASK, Path(sys.argv[1]), 'button', button, rates, Path(sys.argv[2]), 1)\n"
        "train_network(job)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(demonstrations), str(Path(__file__).parents[2])]
    process = subprocess.Popen(command)
    checkpoint = tmp_path / "button" / CHECKPOINT
    deadline = time.monotonic() + 600.0
    while not checkpoint.exists() or load_checkpoint(checkpoint.parent)["learner"]["steps"] < 192:
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert load_checkpoint(checkpoint.parent)["learner"]["steps"] < 640
    train_network(job_of(tmp_path, demonstrations))
    assert same(whole, tmp_path / "button")


def test_the_best_by_what_it_solves_is_kept_not_the_last(tmp_path, demonstrations, monkeypatch):
    rates = iter((0.5, 1.0, 0.0, 0.5, 0.0))
    summarize = trainer.summarize
    monkeypatch.setattr(trainer, "summarize", lambda results: {**summarize(results), "rate": next(rates)})
    kept = []
    check = trainer._Trainer._check

    def checked(*arguments):
        check(*arguments)
        kept.append(load_checkpoint(tmp_path / "button")["best"])

    monkeypatch.setattr(trainer._Trainer, "_check", checked)
    train_network(job_of(tmp_path, demonstrations))
    best = load_checkpoint(tmp_path / "button")["best"]
    assert all(torch.equal(best[name], kept[1][name]) for name in best)
    assert not all(torch.equal(best[name], kept[0][name]) for name in best)
    assert load_best(ROMAN, tmp_path / "button").name == "button"


def test_a_diverged_update_stops_the_run_and_leaves_the_last_good_checkpoint(whole, tmp_path, demonstrations):
    train_network(job_of(tmp_path, demonstrations, steps_limit=150))
    before = (tmp_path / "button" / CHECKPOINT).read_bytes()
    broken = small_recipe(ppo={"target_kl": 0.0})
    for name in ("learning_rate", "max_gradient"):  # beyond what a recipe may say: within it nothing diverges so fast
        object.__setattr__(broken.networks["button"].ppo, name, 1e38)
    with pytest.raises(DivergedError, match="button: diverged at step"):
        train_network(job_of(tmp_path, demonstrations, broken))
    assert (tmp_path / "button" / CHECKPOINT).read_bytes() == before


def test_a_full_disk_during_a_save_leaves_the_last_good_checkpoint(tmp_path, demonstrations, monkeypatch):
    train_network(job_of(tmp_path, demonstrations, steps_limit=150))
    before = (tmp_path / "button" / CHECKPOINT).read_bytes()

    write_bytes = Path.write_bytes

    def full(path, content):
        write_bytes(path, content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        train_network(job_of(tmp_path, demonstrations))
    assert (tmp_path / "button" / CHECKPOINT).read_bytes() == before
    assert not [path for path in (tmp_path / "button").iterdir() if path.suffix == ".pt" and path.name != CHECKPOINT]


def test_too_few_demonstrations_are_refused_before_anything_is_trained(tmp_path, demonstrations):
    with pytest.raises(DemonstrationError, match="2 demonstrations of button: the recipe wants 3"):
        train_network(job_of(tmp_path, demonstrations, small_recipe(demonstrations=3)))


def test_gail_waits_for_the_end_of_cloning_where_the_recipe_says_so(tmp_path, demonstrations):
    train_network(job_of(tmp_path, demonstrations, small_recipe(schedule="gail_after_cloning")))
    rows = load_checkpoint(tmp_path / "button")["rows"]
    # The cloning term ends after 400 steps, inside the stretch that ends at 576.
    assert ["gail/loss" in row for row in rows] == [False, False, False, True, True]
    assert "cloning/loss" in rows[2]
    assert "cloning/loss" not in rows[4]


def test_a_flipped_byte_of_a_checkpoint_is_refused_or_changes_nothing(tmp_path):
    """torch.load alone accepted 547 of 600 with other weights."""
    rng, file = random.Random(0), tmp_path / CHECKPOINT
    saved = {"best": {"weight": torch.randn(32, 32)}, "rows": [{"success": 0.5}], "hidden": [16]}
    torch.save(saved, file)
    data = file.read_bytes()
    refused = 0
    for _ in range(200):
        position = rng.randrange(len(data))
        file.write_bytes(data[:position] + bytes([data[position] ^ rng.randrange(1, 256)]) + data[position + 1 :])
        try:
            loaded = load_checkpoint(tmp_path)
        except ConfigError as error:
            refused += str(error).startswith(f"{file}: cannot be read: ")
            continue
        assert torch.equal(loaded["best"]["weight"], saved["best"]["weight"])
        assert (loaded["rows"], loaded["hidden"]) == (saved["rows"], saved["hidden"])
    assert refused > 100
