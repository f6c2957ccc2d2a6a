"""Signals that end a process and can be caught: the interrupted code has to clean up."""

from __future__ import annotations

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
"""Ctrl-C, an end that is requested, a closed terminal or dropped connection, Ctrl-\\, and the two that have no
meaning here."""
