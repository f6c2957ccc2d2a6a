"""Files and folders that are either complete or not there: written beside their place, flushed, then renamed.

What stood in their place stays until then, whatever error or Ctrl-C comes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from roman_moe.core.errors import NotMovedError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; move it over `path` when the block ends without an exception.

    The temporary name keeps the suffix, since writers choose their format by it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes it private; a report is not
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new, empty folder beside `folder`; put it in its place when the block ends without an exception.

    Raises:
        NotMovedError: if it cannot be put there, as where `folder` is a mount point; the new folder is kept.
    """
    target = Path(folder).resolve()  # beside what a link points to: a rename does not leave its file system
    with scratch_folder(target.parent, target.name) as scratch:
        new, old = scratch / "new", scratch / "old"
        new.mkdir()
        yield new
        for path in new.rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
        try:
            if target.exists():
                move(target, old, kept=new)
            move(new, target, kept=new)
        finally:
            if old.exists() and not target.exists():
                move(old, target, kept=old)


@contextlib.contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a hidden folder in `parent` for what is not complete yet.

    It is gone when the block ends, unless by NotMovedError: then it holds the only copy of complete results.
    """
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    keep = False
    try:
        yield scratch
    except NotMovedError:
        keep = True
        raise
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for this folder; the lock ends with its process.

    A job that runs again because its worker was lost waits here for what is left of its first run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def move(source: Path, target: Path, kept: Path) -> None:
    """Rename `source` to `target`.

    Args:
        kept: the complete results, named if this fails.

    Raises:
        NotMovedError: if it fails.
    """
    try:
        os.replace(source, target)
    except OSError as error:
        raise NotMovedError(
            f"{target}: cannot be written: {error.strerror}: the results are in {kept}, complete: move them from there"
        ) from error


def version_of(file: Path) -> tuple[int, ...]:
    """Inode, time of the last change [ns] and size [bytes] of a file; empty if there is none.

    They differ once the file has been replaced or written to. Caches of what is read from a file need them in their
    key, since the path stays the same.
    """
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def write_file(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file atomically; text in UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write a JSON file atomically, indented, ending in a newline."""
    write_file(path, json.dumps(content, indent=2) + "\n")
