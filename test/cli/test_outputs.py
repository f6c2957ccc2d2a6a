"""A command whose results cannot be written says so before it runs, and leaves nothing where they can."""

from __future__ import annotations

import dataclasses
import os
import typing
from pathlib import Path

import pytest

from roman_moe.cli.main import commands, main
from roman_moe.cli.outputs import check_bundle, check_file, check_folder
from roman_moe.core.errors import ConfigError

ARGUMENTS = {
    "evaluate": ["oracle"],
    "evaluate multitask": ["policy"],
    "export": ["models/roman"],
    "tasks info": ["roman"],
    "calibrate markers": ["roman"],
    "train expert": ["push"],
    "teach": ["push"],
    **{f"demos {part}": ["demos"] for part in ("list", "info", "plot", "check", "replay", "edit")},
    "demos export": ["demos", "--to", "lerobot"],
    "demos import": ["demos", "--from", "lerobot"],
    "record": ["--task", "roman", "--skill", "push", "--arm", "mock"],
}


PLACED = ("export", "demos edit", "demos export", "demos import")
"""Commands whose results go where their last argument says."""


def with_output() -> list[tuple[str, str]]:
    """Every command with an option that names where results go."""
    found = []
    for name, command in commands().items():
        kinds = typing.get_type_hints(command)
        for field in dataclasses.fields(command):
            if field.name in ("json", "plot", "sheet", "out") and Path in (
                kinds[field.name],
                *typing.get_args(kinds[field.name]),
            ):
                found.append((name, field.name))
    return found


def test_the_verbs_that_write_are_known():
    writing = {"demo", "evaluate", "collect", "train", "ablate", "bench", "chaos", "export", "record"}
    assert writing <= {name.split()[0] for name, _ in with_output()}


@pytest.mark.parametrize(("name", "option"), with_output())
def test_an_output_that_cannot_be_written_is_refused_before_anything_runs(name, option, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(commands()[name], "main", lambda self: pytest.fail("it ran"))
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = tmp_path / "file" / "below"
    given = [str(place)] if name in PLACED else [f"--{option}", str(place)]
    assert main([*name.split(), *ARGUMENTS.get(name, []), *given]) == 2
    assert f"{place}: cannot be written: {tmp_path / 'file'}: Not a directory" in capsys.readouterr().err


def test_a_file_system_that_takes_nothing_is_noticed_even_by_root():
    with pytest.raises(ConfigError, match=r"^/proc/report\.json: cannot be written: /proc: "):
        check_file(Path("/proc/report.json"))


def test_trying_leaves_nothing(tmp_path):
    check_file(tmp_path / "a" / "b" / "report.json")
    check_folder(tmp_path / "runs" / "x")
    check_bundle(tmp_path / "runs" / "x")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="is a folder: name a file in it"):
        check_file(tmp_path)


DEFAULTS = (
    *("demo", "collect", "record", "train all", "train expert", "train gate", "train bc", "teach", "ablate"),
    *(
        "calibrate board",
        "calibrate markers",
        "data images",
        "train poses",
        "train gridworld",
        "train multitask",
        "compare",
    ),
)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_output_that_cannot_be_written_is_refused_before_anything_runs(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(commands()[name], "main", lambda self: pytest.fail("it ran"))
    monkeypatch.chdir(tmp_path)
    for folder in ("out", "demos", "runs", "images"):
        (tmp_path / folder).write_text("", encoding="utf-8")
    assert main([*name.split(), *ARGUMENTS.get(name, [])]) == 2
    assert "cannot be written: " in capsys.readouterr().err


def test_every_command_with_a_folder_for_results_is_tried_with_its_default():
    with_folder = {name for name, option in with_output() if option == "out"}
    assert with_folder - {"demos replay", *PLACED} == set(DEFAULTS)  # which have no default


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("train all", ["--out", "run"]),
        ("train bc", ["--out", "run/bundle"]),
        ("export", ["models/roman", "run/bundle"]),
    ],
)
def test_a_bundle_is_written_beside_its_place_and_that_is_tried(name, arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(commands()[name], "main", lambda self: pytest.fail("it ran"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "bundle").symlink_to("/proc/self")
    assert main([*name.split(), *arguments]) == 2
    assert "cannot be written: /proc: " in capsys.readouterr().err


def test_a_mount_point_is_no_place_for_a_bundle_but_one_for_files():
    mounted = Path("/dev/shm")
    if not os.path.ismount(mounted):
        pytest.skip("/dev/shm is not mounted here")
    check_folder(mounted)
    check_bundle(mounted / "bundle")
    with pytest.raises(ConfigError, match=r"^/dev/shm: is a mount point, .*: name a folder in it"):
        check_bundle(mounted)
