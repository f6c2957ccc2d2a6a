"""Live progress of a run in the terminal: which skill leads, all weights, simulated and wall time.

Redraws a few times a second at most, so that showing the run costs it nothing; without a terminal (a log, CI) it
prints one line a lead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from roman_moe.core.spec import TaskSpec
from roman_moe.report.palette import color, label
from roman_moe.report.trace import FLICKER

REDRAW = 0.2  # [s] between two drawings
BAR = 30  # [characters]


class LiveView:
    """Shows a run while it goes on; use as a context manager.

    Args:
        clock: wall time [s].
    """

    def __init__(
        self, console: Console, title: str, spec: TaskSpec, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._title = title
        self._color, self._label = partial(color, spec), partial(label, spec)
        self._width = max(14, *(len(label(spec, skill)) for skill in spec.skills))  # [characters] of the longest name
        self._clock = clock
        self._began = clock()
        self._drawn = -np.inf
        self._leads: list[tuple[str, float]] = []  # skill, since when [s]
        self._challenger: tuple[str, float] | None = None
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None

    def __enter__(self) -> LiveView:
        with self._closing():
            if self._live:
                self._live.start()
            else:
                self._console.print(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._closing():
            if self._live:
                self._live.stop()

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        """Around whatever writes: a closed terminal is shown nothing more; its signal ends the run."""
        try:
            yield
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            with open(os.devnull, "w") as nothing:  # what is buffered has to go somewhere at the process's end, too
                os.dup2(nothing.fileno(), self._console.file.fileno())

    def begin(self, title: str) -> None:
        self._title = title
        self._began = self._clock()
        self._leads, self._challenger = [], None
        if not self._live:
            with self._closing():
                self._console.print(title, highlight=False)

    def say(self, text: str, style: str = "") -> None:
        """A line that stays on the screen, above what is drawn; nothing if it is empty."""
        if not text:
            return
        with self._closing():
            self._console.print(Text(text), style=style, highlight=False, soft_wrap=True)

    def wait(self, note: str) -> None:
        """Show that there is nothing to show yet, and why."""
        if self._live:
            with self._closing():
                self._live.update(Panel(Text(note), title=self._title, title_align="left", expand=False), refresh=True)

    def update(
        self, time_s: float, skills: Sequence[str], weights: NDArray[np.float64], missed_ticks: int, note: str = ""
    ) -> None:
        """Show one tick.

        Args:
            time_s: simulated time since the start [s].
            skills: names of the weights, n of them.
            weights: of the gate, (n,).
            note: what is to be seen besides, such as that the arm is stopped.
        """
        leader = skills[int(weights.argmax())]
        if weights.any() and self._note_leader(leader, time_s) and not self._live:  # an operator may drive alone
            since = self._leads[-1][1]
            wall = self._clock() - self._began
            with self._closing():
                self._console.print(f"{since:6.1f} s  {self._label(leader):<{self._width}} leads   (wall {wall:.1f} s)")
        if self._live and self._clock() - self._drawn >= REDRAW:
            self._drawn = self._clock()
            with self._closing():
                self._live.update(self._picture(time_s, skills, weights, missed_ticks, note), refresh=True)

    def _note_leader(self, leader: str, time_s: float) -> bool:
        """Follow who leads; a new leader counts once it has led for `FLICKER`. Whether it just came to count."""
        if self._leads and leader == self._leads[-1][0]:
            self._challenger = None
            return False
        if self._challenger is None or self._challenger[0] != leader:
            self._challenger = (leader, time_s)
        if time_s - self._challenger[1] < FLICKER - 1e-9:
            return False
        self._leads.append(self._challenger)
        self._challenger = None
        return True

    def _picture(
        self, time_s: float, skills: Sequence[str], weights: NDArray[np.float64], missed_ticks: int, note: str
    ) -> RenderableType:
        # one text, and no table: a keyboard that is read in this thread must not wait 10 ms for a picture
        lead, picture = int(weights.argmax()) if weights.any() else -1, Text()
        for index, skill in enumerate(skills):
            filled = round(float(np.clip(weights[index], 0.0, 1.0)) * BAR)
            style, own = "bold" if index == lead else "grey62", self._color(skill)
            picture.append(f"{self._label(skill):<{self._width}} ", style).append("█" * filled, own)
            picture.append("·" * (BAR - filled), "grey42").append(f" {weights[index]:.2f} ", style)
            picture.append("leads\n" if index == lead else "\n", own)
        wall = max(self._clock() - self._began, 1e-9)
        clock = f"simulated {time_s:6.1f} s   wall {wall:6.1f} s   {time_s / wall:4.1f}x   missed ticks {missed_ticks}"
        path = Text(" › ").join(
            Text(f"{self._label(skill)} {since:.0f} s", style=self._color(skill)) for skill, since in self._leads
        )
        picture.append(f"\n{clock}\n").append_text(path).append(f"\n{note}" if note else "", "bold yellow")
        return Panel(picture, title=self._title, title_align="left", expand=False)
