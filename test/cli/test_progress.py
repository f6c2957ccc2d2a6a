"""What is shown while workers run: how many, what they do, what was lost, and how long it still takes."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from roman_moe.cli import progress, train
from roman_moe.cli.progress import CountProgress, workers_note
from roman_moe.evaluation.pool import JobCounts


@pytest.fixture
def counts(monkeypatch):
    """Of workers that seem to run now."""
    counts = JobCounts(10, 4, done=8, again=1)
    for module in (progress, train):
        monkeypatch.setattr(module, "job_counts", lambda: counts)
    return counts


def shown(terminal: bool) -> str:
    """Of ten episodes."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=140)
    with CountProgress(console, "bundle", 10, "episodes") as bar:
        for _ in range(10):
            bar.advance()
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_what_workers_do_is_shown(counts, terminal):
    assert "4 workers, 2 in flight, 1 done again" in shown(terminal)


def test_a_line_without_a_terminal_says_how_long_it_still_takes(counts):
    lines = shown(terminal=False).splitlines()
    assert [bool(re.search(r"; \d+ min left$", line)) for line in lines] == [True] * 9 + [False]


def test_without_workers_nothing_is_said_of_them():
    assert workers_note(None) == ""
    assert "worker" not in shown(terminal=False)


def test_a_run_says_how_many_workers_there_are_and_when_one_was_lost(counts):
    def lines():
        return train.progress_lines({"push": None})

    before = lines()
    counts.done += 1
    assert lines().keys() == before.keys()  # no news
    counts.again += 1
    assert list(lines().values()) == ["4 workers, 1 in flight, 2 done again"]
    assert lines().keys() != before.keys()
    assert train.progress_table("run", {}).caption == "4 workers, 1 in flight, 2 done again"
