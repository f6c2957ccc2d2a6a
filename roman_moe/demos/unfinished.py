"""Unfinished episodes: `episode_003` is written in the hidden folder `.episode_003`, locked while its writer lives.

The lock is the operating system's, so it ends with the process, however that ends. Its holder alone changes the hidden
folder and gives the episode its name: no two recorders have one number, and nothing that is being written is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from roman_moe.demos.bag import METADATA_FILE

LOCK = ".lock"
_HIDDEN = re.compile(r"\.episode_\d{3,}(-[a-z0-9_]{8})?")


def hidden_folder(path: Path) -> Path:
    return path.with_name(f".{path.name}")


def reserve(path: Path) -> BinaryIO | None:
    """Make and lock the hidden folder of an episode; None if the episode is there, or somebody writes it."""
    hidden = hidden_folder(path)
    hidden.mkdir(parents=True, exist_ok=True)
    lock = _lock(hidden)
    if lock is None:
        return None
    if not path.exists():
        _settle(hidden)
        if not path.exists():
            return lock
    release(hidden, lock)
    return None


def reserve_anew(path: Path) -> BinaryIO:
    """Wait until nobody writes an episode, remove what is there of it, make and lock its hidden folder."""
    hidden, lock = hidden_folder(path), None
    while lock is None:  # who had the lock has removed the folder
        hidden.mkdir(parents=True, exist_ok=True)
        lock = _lock(hidden, fcntl.LOCK_EX)
    _settle(hidden)
    shutil.rmtree(path, ignore_errors=True)
    return lock


def release(hidden: Path, lock: BinaryIO) -> None:
    """Remove a hidden folder, but for a whole episode that cannot have its name, and unlock it."""
    with contextlib.suppress(OSError):
        _settle(hidden)
        (hidden / LOCK).unlink()
        hidden.rmdir()
    lock.close()


def clean_up(dataset: Path) -> None:
    """Remove what killed writers have left in a dataset; what is whole of it gets its name."""
    for hidden in _hidden(dataset):
        with contextlib.suppress(OSError):
            lock = _lock(hidden)
            if lock is not None:
                release(hidden, lock)


def unfinished(folder: Path) -> list[str]:
    """What is not finished under a folder, a line each."""
    return [f"{hidden}: {_said(hidden)}" for hidden in sorted(_hidden(folder))]


def _hidden(folder: Path) -> Iterator[Path]:
    """In a dataset, or in the folder of a network in it."""
    for pattern in (".episode_*", "*/.episode_*"):
        yield from (hidden for hidden in folder.glob(pattern) if _HIDDEN.fullmatch(hidden.name))


def _lock(hidden: Path, how: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> BinaryIO | None:
    """None if somebody else has it, or removes the folder."""
    with contextlib.suppress(BlockingIOError, FileNotFoundError), contextlib.ExitStack() as opened:
        lock = opened.enter_context((hidden / LOCK).open("wb"))
        fcntl.flock(lock, how)
        if os.path.samestat(os.fstat(lock.fileno()), (hidden / LOCK).stat()):
            opened.pop_all()
            return lock
    return None


def _settle(hidden: Path) -> None:
    """Give what is whole in a hidden folder its name, and remove the rest."""
    for content in hidden.iterdir():
        if (content / METADATA_FILE).exists():  # which is written last
            content.rename(hidden.with_name(hidden.name[1:]))
        elif content.name != LOCK:
            shutil.rmtree(content)


def _said(hidden: Path) -> str:
    try:
        with (hidden / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return "is being recorded"
    except FileNotFoundError:
        pass
    does = "names it" if any(hidden.glob(f"*/{METADATA_FILE}")) else "removes it"
    return f"left by a recorder that was killed: the next recording into this dataset {does}"
