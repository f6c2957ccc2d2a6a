"""The script of `roman-moe completion`, asked as a shell asks it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from roman_moe.cli.completion import completion_script
from roman_moe.cli.main import VERBS, main

CANDIDATES = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_tyro_roman_moe
printf '%s\\n' "${COMPREPLY[@]}"
"""
FLAGS = {"-h", "--help"}


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "roman-moe"
    file.write_text(completion_script("bash"), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", {*VERBS, *FLAGS}),
        ("d", {"demo", "demos", "data", "doctor"}),
        ("bench grap", {"graph"}),
        ("data ", {"images", *FLAGS}),
        ("evaluate po", {"poses"}),
        ("evaluate models/roman --sc", {"--scenarios"}),
        ("demo --no-v", {"--no-video"}),
        ("demo --poses=x --po", {"--poses"}),
        ("train bc --demo", {"--demos"}),  # its help has several lines
    ],
)
def test_bash_is_offered_what_can_follow(typed: str, offered: set[str], script: Path):
    command = ["bash", "-c", CANDIDATES, "bash", str(script), "roman-moe", *typed.split(" ")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert set(done.stdout.split("\n")) - {""} == offered


def test_files_complete_an_option_that_takes_one(script: Path, tmp_path: Path):
    (tmp_path / "runs").mkdir()
    command = ["bash", "-c", CANDIDATES, "bash", str(script), "roman-moe", "demo", "--out", ""]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.split() == ["runs"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_their_script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(f"'{verb}': {{" in script for verb in VERBS)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script, encoding="utf-8")
    done = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_fish_is_offered_what_can_follow(tmp_path: Path):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    (tmp_path / "script").write_text(completion_script("fish"), encoding="utf-8")
    for typed, offered in {"train ba": "", "train bc --demo": "--demos", "data ": "images"}.items():
        command = ["fish", "-c", 'source $argv[1]; complete -C "roman-moe $argv[2]"', tmp_path / "script", typed]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert [line.split("\t")[0] for line in done.stdout.splitlines() if line[:1] != "-" or "--" in typed] == (
            [offered] if offered else []
        )


def test_a_shell_without_a_script_is_refused(capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "csh"]) == 2
    assert "'csh': expected one of bash, zsh, fish" in capsys.readouterr().err
