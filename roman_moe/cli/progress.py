"""How a training run stands, shown while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping

from rich.console import Console
from rich.live import Live
from rich.table import Table


class RunProgress:
    """Shows once a second, and at the end, how a run stands: a table on a terminal if it has one, else a line for news.

    Args:
        console: where to.
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
                self._console.print(line, highlight=False, soft_wrap=True)
