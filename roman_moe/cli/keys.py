"""Single keys of a terminal, read without waiting: the stop key that every tool has which moves an arm."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from roman_moe.core.signals import SIGNALS

if TYPE_CHECKING:
    from roman_moe.nodes.bringup.bringup import Graph

STOP, REARM = " ", "R"
HINT = "space stops the arm (software, no safety-rated emergency stop), R re-arms it"


class Keys:
    """A context manager, within which keys come without Enter.

    There are none without a terminal, and none for a process in the background (`roman-moe run &`). The terminal is the
    shell's then, and the kernel halts a process that reads from it or sets its mode.

    A signal that ends this process gives the terminal its mode back first, whenever it comes. None is lost before the
    graph takes them over: not even Ctrl-C where Python ignores exceptions, or where a shell's `&` has it ignored.
    """

    def __enter__(self) -> Keys:
        self._before: list[Any] | None = None
        self._ended_by: int | None = None
        # a terminal (`stty tostop`) would halt the keyboard and the supervision, and not the arm; so would Ctrl-Z
        self._signals = {signal.SIGTTOU: signal.signal(signal.SIGTTOU, signal.SIG_IGN)}
        foreground = _foreground()
        if foreground:
            self._before = termios.tcgetattr(sys.stdin)
        for number in SIGNALS:
            if number == signal.SIGINT or signal.getsignal(number) == signal.SIG_DFL:
                self._signals[number] = signal.signal(number, self._end)
        if foreground:
            tty.setcbreak(sys.stdin)  # Ctrl-C stays a signal
            self._signals[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()
        for number, before in self._signals.items():
            signal.signal(number, before)

    def _restore(self) -> None:
        if self._before is not None and _foreground():
            with contextlib.suppress(termios.error):  # the terminal was closed: the signal for that ends us
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def _end(self, number: int, _: FrameType | None) -> None:
        self._restore()  # here, too: nothing else does if the signal comes within `__enter__`
        self._ended_by = number
        self._leave(number)

    def _leave(self, number: int) -> NoReturn:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    @property
    def there(self) -> bool:
        """Whether there is a keyboard at all."""
        return self._before is not None

    def pressed(self) -> str:
        """The keys that were pressed since this was last asked, in order.

        Raises:
            KeyboardInterrupt, SystemExit: once more, if a signal came where Python ignores exceptions.
        """
        if self._ended_by is not None:
            self._leave(self._ended_by)
        if not (self.there and _foreground()) or not select.select([sys.stdin], [], [], 0.0)[0]:
            return ""
        # not through sys.stdin: what it reads ahead into its own buffer, select does not see
        try:
            return os.read(sys.stdin.fileno(), 1024).decode(errors="ignore")
        except OSError:  # likewise
            return ""

    def obey(self, graph: Graph, rearm: str = REARM + "r") -> str:
        """Stop or re-arm a graph's arm if that key was pressed; the other keys.

        Args:
            rearm: keys that re-arm it.
        """
        from roman_moe.nodes.bringup.graph_client import COMMANDERS

        pressed = self.pressed()
        for key in pressed:
            if key in STOP + rearm:
                for node in set(COMMANDERS) & set(graph.names):
                    graph.trigger(node, "stop" if key == STOP else "rearm")
        return "".join(key for key in pressed if key not in STOP + rearm)


def _foreground() -> bool:
    """Whether standard input is a terminal, and this process not in its background."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # not the terminal of our session: it halts nobody here
        return True
