"""`roman-moe teach`: what is worse is not offered, and what is offered changes over by the code of `swap`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from specs import ROMAN

from roman_moe.cli.main import main
from roman_moe.cli.record import Record
from roman_moe.cli.swap import Swap
from roman_moe.cli.teach import Teach, is_worse
from roman_moe.core.action import hold
from roman_moe.demos.dataset import write_spec
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.evaluation.statistics import wilson_interval
from roman_moe.testing.scenes import random_scene


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    """One demonstration of a few scenes: enough to be checked."""
    folder = tmp_path / "demos"
    write_spec(folder, ROMAN)
    scene = random_scene(ROMAN, 0, np.random.default_rng(0))
    with EpisodeWriter(folder / "push" / "episode_000", ROMAN, "push") as writer:
        for tick in range(4):
            at = scene.__class__(**{**fields(scene), "stamp_ns": tick * 50_000_000})
            writer.add(at, np.zeros(4), hold(at.stamp_ns, 0.08))
        writer.close(EpisodeMeta(network="push", outcome="success", source="test", rate=20.0, task=ROMAN.name))
    return folder


def fields(scene):
    return {name: getattr(scene, name) for name in scene.__dataclass_fields__}


@pytest.fixture
def swapped(monkeypatch):
    """The swaps that were asked for; nothing is trained, and the old and new expert solve what `solved` says."""
    asked: list[tuple[str, Path | None]] = []
    monkeypatch.setattr(Swap, "main", lambda self: asked.append((self.network, self.model)) or 0)
    monkeypatch.setattr(Teach, "_train", lambda *_: None)
    return asked


def solve(monkeypatch, old: int, new: int) -> None:
    counts = iter((old, new))
    monkeypatch.setattr(Teach, "_evaluate", lambda *_: {"skills": {"push": solved(next(counts))}})


def solved(successes: int) -> dict[str, object]:
    return {"successes": successes, "rate": successes / 200, "ci95": wilson_interval(successes, 200)}


@pytest.mark.parametrize(("old", "new", "offered"), ((190, 180, False), (190, 184, True), (120, 195, True)))
def test_what_is_worse_is_not_offered(old, new, offered, demos, swapped, monkeypatch, tmp_path, capsys):
    solve(monkeypatch, old, new)
    out = tmp_path / "new"
    arguments = ["--demos", str(demos / "push"), "--out", str(out), "--swap", "yes", "--json", str(tmp_path / "r.json")]
    assert main(["teach", "push", *arguments]) == (0 if offered else 1)
    assert swapped == ([("push", out / "push.onnx")] if offered else [])
    said = capsys.readouterr().out
    assert "1 episodes, 4 ticks that teach" in said
    assert ("is worse: it is not offered" in said) is not offered
    assert json.loads((tmp_path / "r.json").read_text())["new"]["skills"]["push"]["successes"] == new


def test_without_a_terminal_nothing_changes_over_but_the_command_is_said(demos, swapped, monkeypatch, tmp_path, capsys):
    solve(monkeypatch, 1, 2)
    assert main(["teach", "push", "--demos", str(demos / "push"), "--out", str(tmp_path / "new")]) == 0
    assert not swapped
    assert f"roman-moe swap push {tmp_path}/new/push.onnx" in capsys.readouterr().out


def test_demonstrations_that_cannot_be_right_are_named_before_anything_is_trained(demos, swapped, tmp_path, capsys):
    (demos / "push" / "episode_000" / "episode_000.mcap").write_bytes(b"")
    assert main(["teach", "push", "--demos", str(demos), "--out", str(tmp_path / "new")]) == 2
    assert "`roman-moe demos check" in capsys.readouterr().err
    assert main(["teach", "fly", "--demos", str(demos), "--out", str(tmp_path / "new")]) == 2
    assert "unknown skill 'fly'" in capsys.readouterr().err


def test_recording_comes_first_and_one_that_is_ended_trains_nothing(demos, swapped, monkeypatch, tmp_path, capsys):
    asked: list[Record] = []
    results = iter((0, 1))
    monkeypatch.setattr(Record, "main", lambda self: asked.append(self) or next(results))
    solve(monkeypatch, 1, 2)
    arguments = ["--record", "3", "--intervene", "--demos", f"{demos}=2", "--out", str(tmp_path / "new")]
    assert main(["teach", "push", *arguments]) == 0
    (record,) = asked
    assert (record.skill, record.episodes, record.intervene, record.out) == ("push", 3, Path("models/roman"), demos)
    assert "weight 2" in capsys.readouterr().out
    monkeypatch.setattr(Teach, "_train", lambda *_: pytest.fail("it trained"))
    assert main(["teach", "push", *arguments]) == 1


def test_a_few_failures_more_are_chance_and_many_are_not():
    assert not is_worse(solved(200), solved(197))
    assert is_worse(solved(200), solved(195))
    assert not is_worse(solved(120), solved(120))
