"""Live progress: what a terminal and a log show, driven by an injected clock."""

from __future__ import annotations

import errno
import io
import os
import pty

import numpy as np
import pytest
from rich.console import Console
from specs import ROMAN, SKILLS

from roman_moe.report.live import LiveView


def drive(terminal: bool, leads: list[int]) -> str:
    """Output of a run at 20 Hz and twice real time in which `leads` names the leader at each tick."""
    output = io.StringIO()
    wall = iter(np.arange(0, 1000, 0.001))
    console = Console(file=output, force_terminal=terminal, width=100, color_system=None)
    with LiveView(console, "Scenario 6", ROMAN, clock=lambda: float(next(wall)) * 25) as view:
        for tick, lead in enumerate(leads):
            view.update(tick * 0.05, SKILLS, np.eye(len(SKILLS))[lead], missed_ticks=3)
    return output.getvalue()


def test_a_log_gets_one_line_a_lead_and_no_flicker():
    lines = drive(False, [0] * 20 + [4] * 2 + [0] * 10 + [1] * 20).splitlines()
    assert lines[0] == "Scenario 6"
    assert [line.split("leads")[0].split() for line in lines[1:]] == [
        ["0.0", "s", "Pull"],
        ["1.6", "s", "Pick", "&", "drop"],
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_nobody_leads_while_an_operator_drives_without_a_policy(terminal):
    output, wall = io.StringIO(), iter(range(1000))
    console = Console(file=output, force_terminal=terminal, width=100, color_system=None)
    with LiveView(console, "Recording", ROMAN, clock=lambda: float(next(wall))) as view:
        for tick in range(40):
            view.update(tick * 0.05, SKILLS, np.zeros(len(SKILLS)), missed_ticks=0)
        assert "leads" not in output.getvalue()
        for tick in range(40, 80):
            view.update(tick * 0.05, SKILLS, np.eye(len(SKILLS))[0], missed_ticks=0)
    assert "leads" in output.getvalue()


def test_a_terminal_shows_leader_weights_and_times():
    shown = drive(True, [0] * 20 + [6] * 20)
    for expected in (
        "Scenario 6",
        "Pick & insert",
        "leads",
        "1.00",
        "simulated",
        "wall",
        "missed ticks 3",
        "Pull 0 s › Button 1 s",
    ):
        assert expected in shown


def test_drawing_is_throttled():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=100, color_system=None)
    with LiveView(console, "Scenario 6", ROMAN, clock=lambda: 0.0) as view:
        for tick in range(100):
            view.update(tick * 0.05, SKILLS, np.eye(len(SKILLS))[0], missed_ticks=0)
    assert output.getvalue().count("simulated") <= 2  # once drawn, once more when Live leaves the picture standing


def test_a_closed_terminal_shows_nothing_more():
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        with LiveView(
            Console(file=terminal, force_terminal=True, width=100), "Scenario 6", ROMAN, clock=lambda: 0.0
        ) as view:
            os.close(ours)
            view.update(0.0, SKILLS, np.eye(len(SKILLS))[0], missed_ticks=0)
            view.wait("waiting")
        view.say("the end")


def test_another_fault_of_the_output_is_no_closed_terminal():
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        LiveView(Console(file=Full(), force_terminal=True), "Scenario 6", ROMAN).say("a line")
