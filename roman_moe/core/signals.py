"""Signals that end a process and can be caught: the interrupted code has to clean up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from importlib.machinery import ExtensionFileLoader
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
"""Ctrl-C, an end that is requested, a closed terminal or dropped connection, Ctrl-\\, and the two that have no
meaning here."""

RETRY = 0.05  # [s]


@contextlib.contextmanager
def interrupts_after_imports() -> Iterator[None]:
    """Within it a Ctrl-C that comes while a compiled module is imported waits until that is over.

    A compiled module may swallow what is raised while it starts: numpy.random does, as made by Cython. Others make an
    ImportError of it. Does nothing outside the main thread, or where somebody else handles the signal.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(_: int, frame: FrameType | None) -> None:
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), ExtensionFileLoader):
            # a signal again, since a flag would not wake a main thread that waits
            again = threading.Timer(RETRY, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
            again.daemon = True
            again.start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt
