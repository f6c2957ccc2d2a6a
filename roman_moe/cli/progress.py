"""Displays of the progress of long work."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable, Mapping

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from roman_moe.cli.options import say
from roman_moe.evaluation.pool import JobCounts, job_counts


def workers_note(counts: JobCounts | None) -> str:
    """How many workers there are, what they do now, and how much of it was lost with one of them; empty without any."""
    if counts is None:
        return ""
    again = f", {counts.again} done again" if counts.again else ""
    return f"{counts.workers} worker{'s' * (counts.workers != 1)}, {counts.in_flight} in flight{again}"


class _Workers(ProgressColumn):
    """Their note, anew at every refresh."""

    def render(self, task: Task) -> Text:
        return Text(workers_note(job_counts()))


class RunProgress:
    """Shows once a second, and at the end, how a run stands: a table on a terminal if it has one, else a line for news.

    Args:
        news: what is worth a line so far, by what tells one from another; of an earlier, cut-off run it is none.
        table: of how all of it stands.
    """

    INTERVAL = 1.0  # [s]

    def __init__(
        self, console: Console, news: Callable[[], Mapping[Hashable, str]], table: Callable[[], Table] | None = None
    ) -> None:
        self._console, self._news, self._table = console, news, table
        self._live = Live(console=console, auto_refresh=False) if table and console.is_terminal else None
        self._told = set(news())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> RunProgress:
        if self._live is not None:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()
        self._show()
        if self._live is not None:
            self._live.stop()

    def _watch(self) -> None:
        while not self._stop.wait(self.INTERVAL):
            self._show()

    def _show(self) -> None:
        if self._live is not None and self._table is not None:
            self._live.update(self._table(), refresh=True)
            return
        for key, line in self._news().items():
            if key not in self._told:
                self._told.add(key)
                say(self._console, line)


class CountProgress:
    """Progress bar over things that are counted; without a terminal (a log, CI) a line for every tenth of them.

    Args:
        total: how many things there are.
        things: what they are called.
        solved: whether some of them are solved, and said so.
    """

    def __init__(self, console: Console, title: str, total: int, things: str, solved: bool = False) -> None:
        self._console, self._total, self._things = console, total, things
        self._done, self._began = 0, time.monotonic()
        self._solved = 0 if solved else None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(things + "{task.fields[note]}"),
            _Workers(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task(title, total=total, note=self._note)

    def __enter__(self) -> CountProgress:
        self._progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._progress.stop()

    def advance(self, count: int = 1, solved: int = 0) -> None:
        """So many more are done, and so many of these are solved."""
        tenths = self._done * 10 // self._total
        self._done += count
        if self._solved is not None:
            self._solved += solved
        self._progress.update(self._bar, completed=self._done, note=self._note)
        if not self._console.is_terminal and self._done * 10 // self._total > tenths:
            left = (time.monotonic() - self._began) * (self._total / self._done - 1.0)
            notes = workers_note(job_counts()), f"{math.ceil(left / 60.0)} min left" if self._done < self._total else ""
            line = f"{self._done} of {self._total} {self._things}{self._note}"
            say(self._console, "; ".join([line, *filter(None, notes)]))

    @property
    def _note(self) -> str:
        return "" if self._solved is None else f", {self._solved} solved"
