"""`roman-moe teach`: what is worse is not offered, and what is offered changes over by the code of `swap`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import write_networks, write_tiny_bundle
from small_recipe import small_recipe
from specs import ROMAN

from roman_moe.cli import teach
from roman_moe.cli.main import main
from roman_moe.cli.record import Record
from roman_moe.cli.swap import Swap
from roman_moe.cli.teach import Teach, is_worse
from roman_moe.control.manifest import MANIFEST_NAME, load_manifest
from roman_moe.control.rates import Rates
from roman_moe.core.action import hold
from roman_moe.core.errors import ConfigError
from roman_moe.demos.dataset import write_spec
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.reader import episode_folders, read_episode
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.evaluation.statistics import wilson_interval
from roman_moe.testing.scenes import random_scene
from roman_moe.testing.terminal import Terminal


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
    monkeypatch.setattr(Teach, "_check_running", lambda _: None)
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
    assert ("is worse: it is not swapped in" in said) is not offered
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["new"]["skills"]["push"]["successes"] == new
    assert list(report["seconds"]) == ["record", "train", "compare", "swap", "total"]
    assert all(f"{step} {seconds:.0f} s" in said.splitlines()[-1] for step, seconds in report["seconds"].items())


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


def test_corrections_alone_are_told_to_make_an_expert_forget(demos, swapped, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(teach, "checked", lambda folder, _: (str(folder), "fixes" in str(folder)))
    (tmp_path / "fixes").symlink_to(demos)
    for sets, told in (("fixes", True), ("fixes,demos", False)):
        solve(monkeypatch, 1, 2)
        given = ",".join(str(tmp_path / name) for name in sets.split(","))
        assert main(["teach", "push", "--demos", given, "--out", str(tmp_path / "new")]) == 0
        assert ("these are corrections alone" in capsys.readouterr().out) is told


def test_a_few_failures_more_are_chance_and_many_are_not():
    assert not is_worse(solved(200), solved(197))
    assert is_worse(solved(200), solved(195))
    assert not is_worse(solved(120), solved(120))


class Running:
    """As much of a running graph as it is asked for."""

    def __init__(self, bundle: Path, model: Path | None) -> None:
        self._bundle, self._model = bundle, model

    def get(self, _: str, parameter: str) -> str:
        return str(self._bundle if parameter == "bundle" else self._model or "")


def test_a_swap_needs_a_graph_that_runs_what_the_new_expert_is_compared_with(tmp_path, monkeypatch, own_domain, capsys):
    graph_client = pytest.importorskip("roman_moe.nodes.bringup.graph_client")
    monkeypatch.setattr(Teach, "_record", lambda *_: pytest.fail("it recorded"))
    arguments = ["teach", "push", "--record", "1", "--swap", "yes", "--out", str(tmp_path / "new")]
    monkeypatch.setattr(graph_client, "FIND_TIMEOUT", 0.0)
    assert main(arguments) == 2
    assert "expert_push is not running in /" in capsys.readouterr().err
    old, other = write_tiny_bundle(tmp_path / "old"), write_tiny_bundle(tmp_path / "other", seed=1)
    teach = Teach(skill="push", bundle=old)
    for running in (Running(old, None), Running(other, old / "push.onnx")):
        monkeypatch.setattr(graph_client, "graph_client", lambda _, running=running: contextlib.nullcontext(running))
        teach._check_running()
    for running in (Running(other, None), Running(old, other / "push.onnx")):
        monkeypatch.setattr(graph_client, "graph_client", lambda _, running=running: contextlib.nullcontext(running))
        with pytest.raises(ConfigError, match="push runs .*other/push.onnx .* give the bundle whose expert runs"):
            teach._check_running()


@pytest.fixture
def running(own_domain: int, tmp_path: Path) -> Iterator[Path]:
    """Bundle of a graph that runs; its recipe trains in a second."""
    pytest.importorskip("torch")
    from roman_moe.learning.export import policy_content
    from roman_moe.learning.policies.mlp import MLPPolicy

    networks = {name: policy_content(MLPPolicy(ROMAN, name, (16,)), Rates()) for name in ROMAN.networks}
    bundle = write_networks(tmp_path / "tiny", networks)
    recipe = small_recipe().to_dict()["networks"]["push"]
    manifest = replace(load_manifest(bundle), provenance={"networks": {"push": {"recipe": recipe}}})
    (bundle / MANIFEST_NAME).write_text(manifest.to_yaml())
    command = [sys.executable, "-m", "roman_moe", "run", "--arm", "mock", "--bundle", str(bundle)]
    # no one reads what it shows: a pipe that is full would hold up the graph
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while main(["status", "--seconds", "1"]) == 2:  # it has only just begun to start
                assert process.poll() is None
            yield bundle
        finally:
            process.kill()


def show_an_episode(operator: Terminal, intervene: bool) -> None:
    """As a person does: again, if the machine was too busy to record every tick."""
    kept = ""
    while kept != ": kept ":
        operator.shows("ready to record")
        operator.type("n")
        operator.shows("recording ")
        if intervene:
            operator.type("t")
        operator.shows(*(f"episode_000: {ticks} ticks" for ticks in range(4, 400)), key="d")
        if intervene:
            operator.type("h")
            operator.shows("the policy drives")
        operator.type("n")
        kept = operator.shows(": kept ", ": not kept")


@pytest.mark.slow
@pytest.mark.parametrize("intervene", (False, True), ids=("demonstrations", "corrections"))
def test_an_operator_at_a_terminal_teaches_a_graph_that_goes_on_running(intervene, running, tmp_path):
    new, file = tmp_path / "new", tmp_path / "status.json"
    options = ["--demos", str(tmp_path / "demos"), "--bundle", str(running), "--out", str(new), "--episodes", "1"]
    options += ["--intervene"] if intervene else []
    with Terminal("teach", "push", "--record", "1", "--swap", "yes", *options) as operator:
        show_an_episode(operator, intervene)
        assert operator.ends() == 0, operator.shown
        *_, swapped, times = operator.shown.splitlines()
        assert f"push runs {new}/push.onnx" in swapped
        assert re.match(r"record \d+ s, train \d+ s, compare \d+ s, swap \d+ s, total \d+ s", times)
    (folder,) = episode_folders(tmp_path / "demos" / "push")
    episode = read_episode(folder, ROMAN)
    assert episode.taught.any()
    assert episode.answers[episode.taught, 1].min() < 0.0, "the operator held d, which moves to the right"
    taught = hashlib.sha256((new / "push.onnx").read_bytes()).hexdigest()
    assert taught != hashlib.sha256((running / "push.onnx").read_bytes()).hexdigest()
    runs = ""
    while runs != taught:  # it reports once a second
        assert main(["status", "--seconds", "1", "--json", str(file)]) < 2
        runs = json.loads(file.read_text())["nodes"]["expert_push"]["sha256"]
