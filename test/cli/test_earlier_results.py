"""A command that is refused or interrupted leaves every earlier result as it was: real processes, real files."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from bundles import write_tiny_bundle

from roman_moe.cli import main as entry

DEADLINE = 600.0  # [s] for what takes seconds: only a hang reaches it


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which every kind of result lies already; commands run in it."""
    monkeypatch.chdir(tmp_path)
    write_tiny_bundle(tmp_path / "bundle")
    for name in (
        "demo/report.json",
        "demo/gate_weights.png",
        "demo/demo.mp4",
        "demos/gate/episode_000/episode_000.mcap",
        "runs/roman/run.json",
        "ablation/bc/seed_0/evaluation.json",
        "report.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"earlier {name}")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["demo", "--out", "demo", "--bundle", "nosuch"], "nosuch: no such folder"),
        (["demo", "--out", "demo", "--scenario", "9"], "--scenario 9"),
        (["demo", "--out", "report.json", "--no-video"], "report.json: cannot be written"),
        (["collect", "--out", "demos", "--episodes", "1"], "demos/gate: exists already"),
        (["train", "bc", "--out", "bundle"], "bundle: holds a bundle already: choose another folder, or replace it"),
        (["train", "bc", "--out", "demo", "--force"], "demo: holds demo.mp4, which is no part of a bundle"),
        (["train", "all", "--out", "demo", "--demos", "nosuch"], "nosuch"),
        (["export", "bundle", "bundle"], "bundle: holds a bundle already"),
        (["export", "bundle", "demo", "--force"], "demo: holds demo.mp4, which is no part of a bundle"),
        (["export", "nosuch", "bundle", "--force"], "nosuch: no such folder"),
        (["export", "bundle", "bundle", "--force", "--evaluation", "report.json"], "report.json: not valid JSON"),
        (["evaluate", "nosuch", "--json", "report.json"], "nosuch: no such folder"),
        (["bench", "control", "--bundle", "nosuch", "--json", "report.json"], "nosuch: no such folder"),
        (["chaos", "--bundle", "nosuch", "--json", "report.json"], "nosuch: no such folder"),
        (["ablate", "--out", "ablation", "--methods", "nosuch"], "nosuch"),
    ],
)
def test_a_refused_command_changes_nothing(
    arguments: list[str], named: str, earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(earlier)
    assert entry.main(arguments) == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
    assert contents(earlier) == before


def interrupted(arguments: Sequence[str], folder: Path, started: str) -> int:
    """Exit code of a command that gets Ctrl-C once `started` matches something in the folder, or it said something.

    The code is the one that a shell shows. Python 3.11 dies of the signal at its end, although it was handled, if it
    came in code that is made from text, as rosbags makes its classes. A shell shows 130 for that, too.
    """
    command = [sys.executable, "-u", "-m", "roman_moe", *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            if started:
                deadline = time.monotonic() + DEADLINE
                while not list(folder.glob(started)) and process.poll() is None and time.monotonic() < deadline:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.05)
            else:
                assert process.stdout.readline()
            assert process.poll() is None, process.stdout.read()
            process.send_signal(signal.SIGINT)
            process.stdout.read()  # a pipe that is full would hold it up
            code = process.wait(DEADLINE)
            return entry.EXIT_INTERRUPTED if code == -signal.SIGINT else code
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "started"),
    [
        (["demo", "--out", "demo", "--bundle", "bundle", "--no-video"], "demo/.new-*"),
        (["collect", "--out", "demos", "--gate-episodes", "0", "--workers", "1"], "demos/.demos-*/new/pull/.*"),
        (["evaluate", "bundle", "--scenarios", "6", "--workers", "1", "--json", "report.json"], ""),
        (["bench", "control", "--bundle", "bundle", "--json", "report.json"], ""),
        (["chaos", "--bundle", "bundle", "--json", "report.json"], ""),
    ],
)
def test_ctrl_c_after_the_start_changes_nothing(arguments: list[str], started: str, earlier: Path) -> None:
    before = contents(earlier)
    assert interrupted(arguments, earlier, started) == entry.EXIT_INTERRUPTED
    assert contents(earlier) == before
    assert not list(earlier.rglob(".*"))  # and nothing half done is left


def test_ctrl_c_while_a_bundle_is_replaced_leaves_one_of_the_two(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, replace = contents(earlier), os.replace
    for interrupted_at in (1, 2):
        calls = []

        def interrupt(source: Path, target: Path, at: int = interrupted_at, calls: list[Path] = calls) -> None:
            calls.append(target)
            if len(calls) == at:
                raise KeyboardInterrupt
            replace(source, target)

        monkeypatch.setattr(os, "replace", interrupt)
        assert entry.main(["export", "bundle", "bundle", "--force"]) == entry.EXIT_INTERRUPTED
        assert contents(earlier) == before
