"""`roman-moe run`: refuses what there is not, tells how it stands, and ends on Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bundles import write_tiny_bundle

from roman_moe.cli.run import Run, outcome_line, status_line
from roman_moe.core.errors import BundleError, ConfigError
from roman_moe.core.skills import SKILLS

pytest.importorskip("rclpy")
monitor = pytest.importorskip("roman_moe.nodes.monitor")


@pytest.mark.parametrize(
    ("run", "complaint"),
    [
        (Run(arm="ur5"), "--arm ur5: there is only lab"),
        (Run(arm="servo"), "--arm servo needs --config: .* such as config/arms/franka.yaml"),
        (Run(arm="servo", config=Path("nowhere.yaml")), "nowhere.yaml: no such file"),
        (Run(config=Path("config/arms/ur.yaml")), "--config is for --arm servo"),
        (Run(arm="mock", read_only=True), "--read-only is for --arm servo"),
        (Run(arm="mock", viewer=True), "--viewer is for --arm lab"),
        (Run(arm="mock", disturb=True), "--disturb is for --arm lab"),
        (Run(limits=Path("nowhere.yaml")), "nowhere.yaml: no such file"),
        (Run(poses="camera"), "--poses camera: there is only truth"),
        (Run(start="dance"), "unknown skill 'dance'"),
        (Run(start="7"), "unknown scenario 7"),
    ],
)
def test_what_there_is_not_is_named(run: Run, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        run.main()


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothing: no such folder"):
        Run(controller=tmp_path / "nothing").main()


class Standing:
    """As much of a monitor as the status line reads."""

    def __init__(self, tick: object, troubles: list[str]) -> None:
        self.tick = tick
        self._troubles = troubles

    def troubles(self) -> list[str]:
        return self._troubles


def test_the_status_says_who_leads_and_who_is_not_well() -> None:
    tick = monitor.Tick(12_300_000_000, SKILLS, np.eye(len(SKILLS))[5] * 0.98, "push", 3)
    assert status_line(Standing(None, []), 0.0).plain == "starting"
    assert status_line(Standing(tick, []), 0.1).plain == "  12.3 s   Push leads with 0.98   missed ticks 3"
    assert status_line(Standing(tick, []), 0.1, 12_000_000_000).plain.startswith("   0.3 s")
    line = status_line(Standing(tick, ["blender: no weights", "lab: held"]), 7.0).plain
    assert line.endswith("missed ticks 3   no tick for 7 s   blender: no weights")


def test_outcomes_are_told_in_words() -> None:
    assert outcome_line(monitor.Standing("push", 4, "success", 9.25)) == "push, seed 4: solved after 9.2 s"
    assert outcome_line(monitor.Standing("scenario_6", 1, "time_limit", 240.0)).endswith("time limit after 240.0 s")


def command_of(bundle: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "roman_moe", "run", "--controller", str(bundle), *options]


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command's process, once it tells who leads."""
    environment = {**os.environ, "TTY_COMPATIBLE": "1", "FORCE_COLOR": "1", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        try:
            until_told(process, b"leads with")
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


@pytest.mark.parametrize(
    ("first", "second"), [(("--arm", "mock"), ()), (("--arm", "mock", "--separate"), ("--arm", "mock", "--separate"))]
)
def test_a_second_graph_in_the_domain_is_refused_and_the_first_goes_on(
    tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    with running(command_of(bundle, *first)) as process:
        refused = subprocess.run(command_of(bundle, *second), capture_output=True, text=True, timeout=120, check=False)
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"roman-moe: a graph is running in ROS domain {os.environ['ROS_DOMAIN_ID']} already (")
        until_told(process, b"leads with")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"TWO_COMMANDERS" not in errors
    assert b"conflicting" not in errors
