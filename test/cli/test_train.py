"""`roman-moe train` and `export` of a run: what they say, what they leave, and what they refuse."""

from __future__ import annotations

import json

import pytest
import yaml
from small_recipe import SMALL
from specs import ROMAN
from worlds import TASK

from roman_moe.cli.main import main
from roman_moe.cli.train import progress_cells
from roman_moe.demos.dataset import write_spec
from roman_moe.evaluation.collect import Collection, Group, demonstrate
from roman_moe.sim.pose_source import TruthPoses


@pytest.fixture
def arguments(tmp_path):
    """Options of a training of seconds, with real demonstrations."""
    write_spec(tmp_path / "demos", ROMAN)
    collection = Collection(TASK, tmp_path / "demos", 2, 0, TruthPoses(0.005), 0.0, 0.0, 0.0, seed=0)
    group = Group("button", TASK.start("button"), 2)
    assert all(demonstrate(group.attempt(collection, index, "0123abc")).success for index in range(2))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"rates": {}, "defaults": SMALL, "networks": {}}), encoding="utf-8")
    return ["--demos", str(collection.out), "--recipe", str(recipe), "--out", str(tmp_path / "run")]


def test_an_expert_is_trained_with_its_progress_told_and_its_curve_drawn(arguments, tmp_path, capsys):
    report = tmp_path / "report.json"
    assert main(["train", "expert", "button", *arguments, "--json", str(report)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("button") and "solved" in line and "steps/s" in line for line in lines)
    assert "r_E" in "".join(lines)
    assert "done" in "".join(lines)
    assert "environment steps" in lines[-1]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    content = json.loads(report.read_text())
    assert content["curves"]["button"][-1]["steps"] == SMALL["ppo"]["steps"]

    assert main(["train", "expert", "button", *arguments]) == 2
    assert "is trained already: go on with --resume" in capsys.readouterr().err
    assert main(["train", "expert", "button", *arguments, "--resume"]) == 0
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "bundle")]) == 2
    assert "pull: no checkpoint yet: train this network first" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("given", "expected"),
    (
        ([], "train: expected one of all, expert, gate, bc"),
        (["exprt", "push"], "unknown part of train 'exprt': did you mean 'expert'?"),
        (["expert"], "SKILL is missing: the expert's skill; `roman-moe tasks info TASK` lists them"),
        (["expert", "fly"], "unknown skill 'fly': expected one of pull, "),
        (["all", "push"], "'push' is one argument too many"),
        (["all", "--networks", "push"], "unknown option --networks"),
        (["bc", "--resume"], "unknown option --resume"),
        (["all", "--seed", "-1"], "--seed -1: expected 0 or more"),
        (["all", "--demos", "nowhere"], "nowhere: no demonstration there: make some with `roman-moe collect"),
        (["all", "--recipe", "no.yaml"], "no.yaml: no such file"),
    ),
)
def test_what_cannot_be_trained_is_refused_in_one_line(given, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_spec(tmp_path / "demos", ROMAN)
    assert main(["train", *given]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["demos", "task.yaml"]


def test_progress_beyond_the_steps_asked_for_is_told_without_them():
    row = {"of": 3000, "steps_per_s": 100.0, "success": 0.5, "best": 0.5, "imitation_reward": None}
    row |= {"extrinsic_reward": None, "done": False}
    steps, *_, left = progress_cells(row | {"steps": 1000})
    assert (steps, left) == ("1 of 3 k steps", "0 min left")
    steps, *_, left = progress_cells(row | {"steps": 8192})  # a whole rollout
    assert (steps, left) == ("8 k steps", "0 min left")


def test_a_budget_is_a_share_of_the_steps(arguments, tmp_path, capsys):
    report = tmp_path / "report.json"
    assert main(["train", "expert", "button", *arguments, "--budget", "0.5", "--json", str(report)]) == 0
    assert json.loads(report.read_text())["curves"]["button"][-1]["steps"] == SMALL["ppo"]["steps"] // 2
    capsys.readouterr()
    for refused in (["all", "--budget", "-0.1"], ["all", "--budget", "nan"], ["bc", "--budget", "0.5"]):
        assert main(["train", *refused]) == 2
        assert "--budget" in capsys.readouterr().err


@pytest.mark.parametrize(("key", "value"), [("learning_rate", ".nan"), ("batch_size", "1000000000000")])
@pytest.mark.parametrize("what", ["bc", "all"])
def test_numbers_of_a_recipe_that_cannot_be_used_are_one_line(tmp_path, capsys, key, value, what):
    recipe = tmp_path / "recipe.yaml"
    section = f"{key}: {value}" if what == "bc" else f"ppo: {{{key}: {value}}}"
    recipe.write_text(f"rates: {{}}\ndefaults: {{{section}}}\nnetworks: {{}}\n", encoding="utf-8")
    write_spec(tmp_path, ROMAN)
    arguments = ["--demos", str(tmp_path), "--recipe", str(recipe), "--out", str(tmp_path / "run")]
    assert main(["train", what, *arguments]) == 2
    complaint = capsys.readouterr().err
    assert f"{key} is {value.lstrip(chr(46))}: expected" in complaint
    assert "Traceback" not in complaint
    assert len(complaint.splitlines()) == 1
