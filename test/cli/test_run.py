"""`roman-moe run`: refuses what there is not, tells how it stands, and ends on Ctrl-C."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import write_tiny_bundle
from rich.console import Console
from specs import ROMAN, SKILLS

from roman_moe.cli.episodes import Episodes, note_of, outcome_line
from roman_moe.cli.run import Run
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.report.live import LiveView

pytest.importorskip("rclpy")
monitor = pytest.importorskip("roman_moe.nodes.bringup.monitor")


@pytest.mark.parametrize(
    ("run", "complaint"),
    [
        (Run(arm="ur5"), "--arm ur5: expected one of lab"),
        (Run(arm="servo"), "--arm servo needs --config: .* such as config/arms/franka.yaml"),
        (Run(arm="servo", config=Path("nowhere.yaml")), "nowhere.yaml: no such file"),
        (Run(config=Path("config/arms/ur.yaml")), "--config is for --arm servo"),
        (Run(arm="mock", read_only=True), "--read-only is for --arm servo"),
        (Run(arm="mock", viewer=True), "--viewer is for --arm lab"),
        (Run(arm="mock", disturb=True), "--disturb is for --arm lab"),
        (Run(arm="mock", start="6"), "--start is for --arm lab"),
        (Run(arm="none", sim_arm="ur5e"), "--sim-arm is for --arm lab: with --arm none there is no lab"),
        (Run(arm="none", read_only=True), "--read-only is for --arm servo"),
        (Run(arm="none", noise_bound=0.0), "--noise-bound is for --arm lab or mock"),
        (Run(arm="none", seed=1), "--seed is for --arm lab or mock"),
        (Run(topics=Path("nowhere.yaml")), "nowhere.yaml: no such file"),
        (Run(limits=Path("nowhere.yaml")), "nowhere.yaml: no such file"),
        (Run(poses="radar"), "--poses radar: expected one of truth"),
        (Run(arm="mock", poses="markers"), "--poses markers is for --arm lab or servo"),
        (Run(poses="markers", estimator="some.onnx"), "--estimator: only valid with --poses camera"),
        (Run(poses="markers", noise_bound=0.0), "--noise-bound: only valid with --poses truth"),
        (Run(calibration=Path("cameras")), "--calibration is for --arm servo"),
        (Run(start="dance"), "unknown skill 'dance'"),
        (Run(start="7"), "unknown scenario 7"),
    ],
)
def test_what_there_is_not_is_named(run: Run, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        run.main()


def test_an_estimator_that_is_not_there_is_named() -> None:
    with pytest.raises(BundleError, match="nowhere.onnx: cannot be read: No such file"):
        Run(poses="camera", estimator="nowhere.onnx").main()


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothing: no such folder"):
        Run(bundle=tmp_path / "nothing").main()


class FakeMonitor:
    """As much of a monitor as the screen reads."""

    def __init__(self) -> None:
        self.tick: Any = None
        self.episodes: list[Any] = []
        self.changes: list[str] = []
        self.statuses: dict[str, Any] = {}
        self.stopped = False
        self.complaints: list[str] = []

    def faults(self) -> list[str]:
        return self.complaints


class FakeGraph:
    """As much of a graph as the screen reads."""

    def __init__(self) -> None:
        self.monitor = FakeMonitor()
        self.restarts: list[str] = []
        self.said: list[str] = []


class Screen:
    """Episodes of a graph that is played, on a screen that is kept."""

    def __init__(self, terminal: bool) -> None:
        self.output = io.StringIO()
        console = Console(file=self.output, force_terminal=terminal, width=90, color_system=None)
        self.clock = itertools.count(0.0, 1.0)  # so that nothing is left out for being drawn too soon
        self.view = LiveView(console, "On the lab", ROMAN, clock=lambda: float(next(self.clock)))
        self.graph = FakeGraph()
        self.episodes = Episodes(self.view, "On the lab")  # type: ignore[arg-type]

    def tick(self, stamp_ns: int, leading: int = 5) -> None:
        weights = np.eye(len(SKILLS))[leading]
        self.graph.monitor.tick = monitor.Tick(stamp_ns, SKILLS, weights, SKILLS[leading], 3)
        self.show()

    def standing(self, seed: int, outcome: str, time_s: float = 0.0) -> None:
        self.graph.monitor.episodes.append(monitor.EpisodeStatus("push", seed, outcome, time_s))
        self.show()

    def show(self) -> None:
        self.episodes.show(self.graph)  # type: ignore[arg-type]


@pytest.mark.parametrize("terminal", [True, False])
def test_what_happens_is_told_and_stays_on_the_screen(terminal: bool) -> None:
    screen = Screen(terminal)
    with screen.view:
        screen.standing(4, "running")
        screen.tick(50_000_000)
        screen.graph.monitor.changes.append("pull is taken out")
        screen.graph.restarts.append("node gate was silent: started again")
        screen.graph.said.append("blender/stop: no answer")
        screen.standing(4, "success", 9.25)
    lines = screen.output.getvalue().splitlines()
    for line in (
        "pull is taken out",
        "node gate was silent: started again",
        "blender/stop: no answer",
        "push, seed 4: solved after 9.2 s",
    ):
        assert any(shown.endswith(line) for shown in lines), lines
    assert not screen.graph.monitor.changes
    assert not screen.graph.said


def test_the_panel_says_who_leads_how_long_and_what_is_wrong() -> None:
    screen = Screen(True)
    with screen.view:
        screen.show()
        screen.standing(4, "running")
        screen.tick(0)
        screen.graph.monitor.complaints = ["blender: HALT_EXPERTS_SILENT: pull is taken out"]
        screen.tick(300_000_000)
    text = screen.output.getvalue()
    for part in ("starting", "On the lab: push, seed 4", "Push", "leads", "missed ticks 3", "pull is taken out"):
        assert part in text
    assert "simulated    0.3 s" in text


def test_a_stop_and_silence_are_seen() -> None:
    fake: Any = FakeMonitor()
    assert note_of(fake, 0.1) == ""
    fake.complaints = ["blender: no weights", "lab: held"]
    assert note_of(fake, 7.0) == "no tick for 7 s; blender: no weights"
    fake.stopped = True
    assert note_of(fake, 7.0).startswith("stopped: R or roman-moe stop --rearm")


def test_the_summary_tells_solved_failed_and_stopped_episodes_apart() -> None:
    screen = Screen(False)
    with screen.view:
        assert screen.episodes.summary() == ""
        screen.standing(0, "running")
        assert screen.episodes.summary() == "0 episodes: 0 solved, 0 failed, 0 stopped"
        screen.standing(0, "success")
        screen.standing(1, "running")
        screen.standing(1, "time_limit")
        screen.standing(2, "running")
        screen.graph.monitor.stopped = True
        screen.show()
        screen.graph.monitor.stopped = False
        screen.standing(2, "object_dropped")
        screen.standing(3, "running")
        screen.standing(3, "success")
    assert screen.episodes.summary() == "4 episodes: 2 solved, 1 failed, 1 stopped"


def test_outcomes_are_told_in_words() -> None:
    assert outcome_line(monitor.EpisodeStatus("push", 4, "success", 9.25)) == "push, seed 4: solved after 9.2 s"
    assert outcome_line(monitor.EpisodeStatus("scenario_6", 1, "time_limit", 240.0)) == (
        "scenario 6, seed 1: time limit after 240.0 s"
    )


def command_of(bundle: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "roman_moe", "run", "--bundle", str(bundle), *options]


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command's process, once it tells who leads."""
    environment = {**os.environ, "TTY_COMPATIBLE": "1", "FORCE_COLOR": "1", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        try:
            until_told(process, b"leads")
            yield process
        finally:
            process.kill()


def until_told(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdout is not None
    shown = b""
    while text not in shown:
        more = process.stdout.read1()  # type: ignore[attr-defined]
        assert more, shown
        shown += more


@pytest.mark.parametrize("options", [("--start", "button"), ("--arm", "mock")])
def test_it_runs_until_ctrl_c(tmp_path: Path, options: tuple[str, ...]) -> None:
    with running(command_of(write_tiny_bundle(tmp_path / "tiny"), *options)) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert b"[WARN]" not in errors  # what nodes warn of is told above the panel


@pytest.mark.parametrize(
    ("first", "second"), [(("--arm", "mock"), ()), (("--arm", "mock", "--separate"), ("--arm", "mock", "--separate"))]
)
def test_a_second_graph_in_the_domain_is_refused_and_the_first_goes_on(
    tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    with running(command_of(bundle, *first)) as process:
        refused = subprocess.run(command_of(bundle, *second), capture_output=True, text=True, timeout=600, check=False)
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"roman-moe: a graph is running in ROS domain {os.environ['ROS_DOMAIN_ID']} already (")
        until_told(process, b"leads")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert b"TWO_COMMANDERS" not in errors
    assert b"conflicting" not in errors
