"""A command whose results cannot be written says so before it runs, and leaves nothing where they can."""

from __future__ import annotations

import dataclasses
import importlib
import typing
from pathlib import Path

import pytest

from roman_moe.cli.main import VERBS, class_name, main
from roman_moe.cli.outputs import check_writable
from roman_moe.core.errors import ConfigError

ARGUMENTS = {"evaluate": ["oracle"], "train expert": ["push"]}


def commands() -> list[tuple[str, type]]:
    """Every verb and part of a verb, with its dataclass."""
    found = []
    for verb in VERBS:
        command = getattr(importlib.import_module(f"roman_moe.cli.{verb}"), class_name(verb))
        parts = getattr(command, "PARTS", {})
        found += [(f"{verb} {part}", options) for part, options in parts.items()] if parts else [(verb, command)]
    return found


def with_output() -> list[tuple[str, str]]:
    """Every command with an option that names where results go."""
    found = []
    for name, command in commands():
        kinds = typing.get_type_hints(command)
        for field in dataclasses.fields(command):
            if field.name in ("json", "out") and Path in (kinds[field.name], *typing.get_args(kinds[field.name])):
                found.append((name, field.name))
    return found


def test_the_verbs_that_write_are_known():
    writing = {"demo", "evaluate", "collect", "train", "ablate", "bench", "chaos", "export"}
    assert writing <= {name.split()[0] for name, _ in with_output()}


@pytest.mark.parametrize(("name", "option"), with_output())
def test_an_output_that_cannot_be_written_is_refused_before_anything_runs(name, option, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(dict(commands())[name], "main", lambda self: pytest.fail("it ran"))
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = tmp_path / "file" / "below"
    given = ["models/roman", str(place)] if name == "export" else [f"--{option}", str(place)]
    assert main([*name.split(), *ARGUMENTS.get(name, []), *given]) == 2
    assert f"{place}: cannot be written: {tmp_path / 'file'}: Not a directory" in capsys.readouterr().err


def test_a_file_system_that_takes_nothing_is_noticed_even_by_root():
    with pytest.raises(ConfigError, match=r"^/proc/report\.json: cannot be written: /proc: "):
        check_writable(Path("/proc/report.json"), folder=False)


def test_trying_leaves_nothing(tmp_path):
    check_writable(tmp_path / "a" / "b" / "report.json", folder=False)
    check_writable(tmp_path / "runs" / "x", folder=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="is a folder: name a file in it"):
        check_writable(tmp_path, folder=False)
