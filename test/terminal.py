"""A process at a pseudo-terminal, as a person at a keyboard has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

HANG = 600.0  # [s] of wall time, which only a hang reaches


class Terminal:
    """Our end of the terminal of a `roman-moe` process."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()

        def in_terminal() -> None:
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        command = [sys.executable, "-m", "roman_moe.cli.main", *arguments]
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=in_terminal,
            env={**os.environ, "COLUMNS": "300"},
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self._shown = ""

    def shows(self, text: str) -> None:
        """Wait until a text is shown; what comes next is new."""
        end = time.monotonic() + HANG
        while text not in self._shown:
            assert time.monotonic() < end, self._shown
            assert self._process.poll() is None, self._shown
            self._read()
            time.sleep(0.02)
        self._shown = ""

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def ends(self) -> int:
        """Wait until it ends; its exit code."""
        end = time.monotonic() + HANG
        while self._process.poll() is None:
            assert time.monotonic() < end, self._shown
            self._read()
        return self._process.returncode

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._shown += os.read(self._ours, 65536).decode(errors="ignore")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@contextlib.contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    """`roman-moe` with these arguments at a terminal."""
    opened = Terminal(*arguments)
    try:
        yield opened
    finally:
        opened.close()
