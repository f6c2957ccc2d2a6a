"""Tasks are found by name, by folder and in installed packages, and nothing of them runs while they are read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from specs import ROMAN, TURN_KEY

from roman_moe.core.errors import ConfigError
from roman_moe.core.tasks import known_tasks, load_spec, task_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "task.yaml").write_text(TURN_KEY)
    return tmp_path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that offers a task by its entry point, and raises when anything imports it."""
    package = tmp_path / "site" / "their_tasks" / "key"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "task.yaml").write_text(TURN_KEY)
    info = tmp_path / "site" / "their_tasks-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-tasks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[roman_moe.tasks]\ntheirs = their_tasks.key\ngone = no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return package


def test_a_shipped_task_is_found_by_its_name():
    assert load_spec("roman") is load_spec("roman")
    assert known_tasks()["roman"] == task_folder("roman")
    assert ROMAN.name == "roman"


def test_a_task_is_found_by_its_folder(folder: Path):
    assert load_spec(folder) == load_spec(str(folder))
    assert load_spec(folder).name == "turn_key"


def test_a_task_of_an_installed_package_is_found_and_not_imported(installed: Path):
    assert known_tasks()["theirs"] == installed
    assert "gone" not in known_tasks()
    assert load_spec("theirs").name == "turn_key"
    assert "their_tasks" not in sys.modules


def test_a_package_cannot_take_a_shipped_tasks_place(installed: Path):
    points = next(installed.parents[1].glob("*.dist-info")) / "entry_points.txt"
    points.write_text("[roman_moe.tasks]\nroman = their_tasks.key\n")
    assert load_spec("roman") == ROMAN


def test_a_file_that_was_changed_is_read_again(folder: Path):
    before = load_spec(folder)
    (folder / "task.yaml").write_text(TURN_KEY.replace("name: turn_key", "name: turn_keys"))
    assert load_spec(folder).name == "turn_keys"
    assert before.name == "turn_key"


def test_a_name_or_folder_that_is_no_task_is_one_line(tmp_path: Path):
    for task, expected in (
        ("romam", "unknown task 'romam': expected a folder with a task.yaml, or one of "),
        (tmp_path / "none", "unknown task"),
        (tmp_path, "has no task.yaml: expected a task's folder"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_spec(task)
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)


def test_two_tasks_live_in_one_process(folder: Path):
    from roman_moe.core.features import feature_layout
    from roman_moe.wire.bodies import scene_layout

    other = load_spec(folder)
    assert feature_layout(other).index["key.x"] == feature_layout(ROMAN).index["drawer_handle.x"]
    assert "key.x" not in feature_layout(ROMAN).index
    names = ("hand", "fingers", "key", "peg", "lid", "lock", "flag/locked", "flag/lit")
    assert scene_layout(other).scene_names == names
    assert scene_layout(ROMAN).scene_names[2] == "drawer_handle"
