"""A task in a folder of the user's is collected, evaluated and refused as one of ours is, in worker processes too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from worlds import TASK

from roman_moe.cli.main import main
from roman_moe.core.tasks import load_spec
from roman_moe.demos.dataset import dataset_spec
from roman_moe.demos.reader import read_episodes
from roman_moe.evaluation import collect as module
from roman_moe.evaluation.collect import Group


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The first task under another name."""
    shutil.copytree(TASK.folder, tmp_path / "mine")
    file = tmp_path / "mine" / "task.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count("\nname: roman\n") == 1
    file.write_text(text.replace("\nname: roman\n", "\nname: mine\n"), encoding="utf-8")
    return tmp_path / "mine"


def test_demonstrations_of_it_say_so(folder, tmp_path, monkeypatch, capsys):
    skill = TASK.spec.skill_names[-1]  # the shortest
    monkeypatch.setattr(module, "groups", lambda c: [Group(skill, c.task.start(skill), c.episodes)])
    options = ["--episodes", "2", "--gate-episodes", "0", "--workers", "2"]
    assert main(["collect", "--task", str(folder), "--out", str(tmp_path / "demos"), *options]) == 0
    spec = dataset_spec(tmp_path / "demos")
    assert spec == load_spec(folder) != TASK.spec
    assert [episode.meta.task for episode in read_episodes(tmp_path / "demos", spec, skill)] == ["mine", "mine"]
    assert main(["train", "expert", skill, "--demos", str(tmp_path / "demos"), "--out", str(tmp_path / "run")]) == 2
    assert "task 'mine' is neither here nor installed: give its folder with --task" in capsys.readouterr().err


def test_it_is_evaluated_by_its_folder(folder, tmp_path, capsys):
    skill = TASK.spec.skill_names[-1]
    options = ["--skills", skill, "--episodes", "2", "--workers", "2", "--json", str(tmp_path / "report.json")]
    assert main(["evaluate", "oracle", "--task", str(folder), *options]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["task"] == "mine"
    assert report["skills"][skill]["successes"] == 2
    assert main(["evaluate", "models/roman", "--task", str(folder), *options]) == 2
    assert "is for task 'roman' of version" in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("command", ["evaluate", "collect"])
def test_what_its_demonstrator_raises_is_one_line_with_its_place(folder, tmp_path, capsys, command, workers):
    skill = TASK.spec.skill_names[-1]
    file = folder / f"{skill}.py"
    lines = file.read_text(encoding="utf-8").split("\n")
    line = next(i for i, text in enumerate(lines, 1) if "def demonstrate(" in text)
    lines.insert(line, "        raise IndexError('no such finger')")
    file.write_text("\n".join(lines), encoding="utf-8")
    options = {
        "evaluate": ["oracle", "--skills", skill, "--episodes", "2"],
        "collect": ["--episodes", "1", "--gate-episodes", "1", "--out", str(tmp_path / "demos")],
    }[command]
    assert main([command, *options, "--task", str(folder), "--workers", workers]) == 2
    expected = f"{file}, line {line + 1}: IndexError: no such finger"
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "demos").exists()
