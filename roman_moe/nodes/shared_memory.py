"""Fast DDS' shared memory: what a process that dies without shutting down leaves behind, and its removal.

Fast DDS counts the users of a file within the file, so one that was killed keeps not only its own segment (0.5 MB) but
the port files of all that it talked to.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path("/dev/shm")
PATTERN = "fast*_*"  # fastrtps_* on Jazzy, fastdds_* on Kilted
SEGMENT = f"fast*_{'[0-9a-f]' * 16}"
OWNER_LOCK = "_el"  # of a segment, locked for as long as its owner lives


def mapped_by(processes: Iterable[int | str]) -> set[Path]:
    """Fast DDS' files that any of these processes has mapped; processes that are gone have none."""
    maps = []
    for process in processes:
        with contextlib.suppress(OSError):  # ended, or another user's
            maps.append(Path(f"/proc/{process}/maps").read_text(errors="replace"))
    text = "\n".join(maps)
    return {file for file in FOLDER.glob(PATTERN) if f"{file}\n" in text}


def remove_unused(files: Iterable[Path], orphans: bool = True) -> None:
    """Remove those of `files` that no process has mapped, and, with `orphans`, all segments whose owner is dead."""
    unused = set(files) - mapped_by(entry.name for entry in Path("/proc").glob("[0-9]*"))
    for file in unused | (_orphans() if orphans else set()):
        companions = (f"{file.name}{OWNER_LOCK}", f"{file.name}_sl", f"sem.{file.name}_mutex")
        for path in (file, *(file.with_name(name) for name in companions)):
            with contextlib.suppress(OSError):
                path.unlink()


def _orphans() -> set[Path]:
    """Segments whose owner's lock is free. Another process may still have one mapped, and can do nothing with it."""
    orphans = set()
    for lock in FOLDER.glob(f"{SEGMENT}{OWNER_LOCK}"):
        with contextlib.suppress(OSError), lock.open("ab") as file:  # locked, gone or another user's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            orphans.add(lock.with_name(lock.name.removesuffix(OWNER_LOCK)))
    return orphans
