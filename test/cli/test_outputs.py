"""A command whose results cannot be written says so before it runs, and leaves nothing where they can."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest

from roman_moe.cli.main import VERBS, class_name, main
from roman_moe.cli.outputs import check_writable
from roman_moe.core.errors import ConfigError

ARGUMENTS = {
    "evaluate": ["oracle", "--episodes", "1"],
    "bench": ["sim"],
    "train": ["bc"],
    "export": [],
}


def with_output() -> list[tuple[str, str]]:
    """Every verb with an option that names where results go."""
    found = []
    for verb in VERBS:
        command = getattr(importlib.import_module(f"roman_moe.cli.{verb}"), class_name(verb))
        fields = (field for field in dataclasses.fields(command) if "Path" in str(field.type))
        found += [(verb, field.name) for field in fields if field.name in ("json", "out")]
    return found


def test_the_verbs_that_write_are_known():
    writing = {"demo", "evaluate", "collect", "train", "ablate", "bench", "chaos", "export"}
    assert writing <= {verb for verb, _ in with_output()}


@pytest.mark.parametrize(("verb", "option"), with_output())
def test_an_output_that_cannot_be_written_is_refused_before_anything_runs(verb, option, tmp_path, capsys, monkeypatch):
    command = getattr(importlib.import_module(f"roman_moe.cli.{verb}"), class_name(verb))
    monkeypatch.setattr(command, "main", lambda self: pytest.fail("it ran"))
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = tmp_path / "file" / "below"
    if verb == "export":
        arguments = ["models/roman", str(place)]
    else:
        arguments = [*ARGUMENTS.get(verb, []), f"--{option}", str(place)]
    assert main([verb, *arguments]) == 2
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
