"""The stop key: every key that was pressed is seen, and only where there is a terminal."""

from __future__ import annotations

import os
import pty
import signal
import sys
from collections.abc import Iterator

import pytest

from roman_moe.cli.keys import REARM, STOP, Keys


class Graph:
    """What `Keys.obey` needs of a graph."""

    names = ("blender", "expert_push")

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def trigger(self, node: str, service: str) -> None:
        self.asked.append((node, service))


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard input; answers the end that is typed on."""
    ours, theirs = pty.openpty()
    with open(theirs, encoding="utf-8", closefd=True) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield ours
    os.close(ours)


def test_keys_that_come_together_are_all_seen(keyboard: int) -> None:
    with Keys() as keys:
        assert keys.there
        assert keys.pressed() == ""
        os.write(keyboard, b"x r")
        seen = ""
        while len(seen) < 3:
            seen += keys.pressed()
        assert seen == "x r"


def test_space_stops_and_r_rearms_whatever_commands_this_graph(keyboard: int) -> None:
    pytest.importorskip("rclpy")
    graph = Graph()
    with Keys() as keys:
        os.write(keyboard, f"x{STOP}{REARM}".encode())
        while len(graph.asked) < 2:
            keys.obey(graph)  # type: ignore[arg-type]
    assert graph.asked == [("blender", "stop"), ("blender", "rearm")]


def test_ctrl_z_does_not_halt_the_keyboard_alone(keyboard: int) -> None:
    before = signal.getsignal(signal.SIGTSTP)
    with Keys():
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTSTP) is before


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with Keys() as keys:
            assert not keys.there
            assert keys.pressed() == ""
