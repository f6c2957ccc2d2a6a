"""Where a command writes: refused before anything runs if it cannot be written, not after hours of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from roman_moe.core.errors import ConfigError


def check_outputs(command: Any) -> None:
    """Try the folders of a verb's `--json` and `--out`; nothing is left there, and no folder is made.

    Raises:
        ConfigError: naming the option's path, and why it cannot be written.
    """
    for name in ("json", "out"):
        path = getattr(command, name, None)
        if isinstance(path, Path):
            check_writable(path, folder=name == "out")


def check_writable(path: Path, folder: bool) -> None:
    """Try to write where a file, or the files of a folder, would go. Raises as `check_outputs`."""
    if not folder and path.is_dir():
        raise ConfigError(f"{path}: is a folder: name a file in it")
    place = path.absolute() if folder else path.absolute().parent
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.NamedTemporaryFile(prefix=".roman-moe-", dir=place):
            pass
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {place}: {error.strerror}: choose another place") from None
