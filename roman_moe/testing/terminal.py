"""A `roman-moe` command at a pseudo-terminal, as a person at a keyboard has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import sys
import termios
import time

HANG = 600.0  # [s] of wall time, which only a hang reaches


class Terminal:
    """Our end of the terminal; leaving the `with` block ends the command.

    Attributes:
        shown: on it, since somebody last waited for something.
    """

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""

        def in_terminal() -> None:
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        self._process = subprocess.Popen(
            [sys.executable, "-m", "roman_moe.cli.main", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=in_terminal,
            env={**os.environ, "COLUMNS": "300"},
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)

    def shows(self, *texts: str, key: str = "") -> str:
        """Wait until one of these texts is shown, while a key is held; which. What comes next is new."""
        end = time.monotonic() + HANG
        while not any(text in self.shown for text in texts):
            self.type(key)
            assert time.monotonic() < end, self.shown
            assert self.runs, self.shown
            time.sleep(0.02)
            self.read()
        found = next(text for text in texts if text in self.shown)
        self.shown = ""
        return found

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def ends(self) -> int:
        """Wait until it ends; its exit code."""
        end = time.monotonic() + HANG
        while self.runs:
            assert time.monotonic() < end, self.shown
            self.read()
        self.read()  # its last words
        return self._process.wait()

    def read(self) -> None:
        """Take what was shown meanwhile: a terminal that nobody reads holds the command up."""
        with contextlib.suppress(BlockingIOError, OSError):
            self.shown += os.read(self._ours, 65536).decode(errors="ignore")

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)
