"""Checks that a worker has what jobs need: the same code, the files that they read, the folders that they write to."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from roman_moe import __version__
from roman_moe.core.errors import ConfigError
from roman_moe.core.provenance import git_commit

PACKAGES = ("numpy", "mujoco", "onnxruntime", "torch")  # whose versions results depend on


@dataclass(frozen=True)
class WorkerRequirements:
    """What a worker has to have in common with who sends it jobs.

    Attributes:
        code: versions, by what they are of.
        files: sha256 of files and folders that jobs read, by their absolute paths.
        marks: content of a file in each folder that jobs write to, by its absolute path.
        place: working directory, from which the jobs' relative paths begin.
    """

    code: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    place: str = "/"

    def check(self) -> None:
        """Go to the working directory, and compare everything with what is so in this process.

        Raises:
            ConfigError: naming the machine and what is not the same.
        """
        here = f"worker on {socket.gethostname()}"
        found = code()
        for name, version in self.code.items():
            if found.get(name) != version:
                raise ConfigError(
                    f"{here}: {name} is {found.get(name, 'missing')}: expected {version}, as where the command runs"
                )
        for mark, content in self.marks.items():
            file = Path(mark)
            if not file.is_file() or file.read_text(encoding="utf-8") != content:
                raise ConfigError(
                    f"{here}: does not see the folder {file.parent}: expected one that all machines share"
                )
        for path, sha256 in self.files.items():
            if not Path(path).exists():
                raise ConfigError(f"{here}: does not see {path}: expected it at the same place on all machines")
            if digest(Path(path)) != sha256:
                raise ConfigError(f"{here}: {path} differs from that of the command's machine (sha256)")
        if os.path.isdir(self.place):
            os.chdir(self.place)


@contextlib.contextmanager
def requirements(files: Sequence[Path], folders: Sequence[Path]) -> Iterator[WorkerRequirements]:
    """What is so here, as long as the block lasts.

    Args:
        files: files and folders that jobs read.
        folders: that jobs write to; where one is not there yet, the nearest that is there must be shared.
    """
    with contextlib.ExitStack() as stack:
        marks: dict[str, str] = {}
        for folder in folders:
            path = folder.absolute()
            there = next(each for each in (path, *path.parents) if each.is_dir())
            mark = stack.enter_context(tempfile.NamedTemporaryFile("w", prefix=".cluster-", dir=there))
            mark.write(marks.setdefault(mark.name, secrets.token_hex()))
            mark.flush()
        yield WorkerRequirements(code(), {str(path.absolute()): digest(path) for path in files}, marks, os.getcwd())


def code() -> dict[str, str]:
    """Versions of what runs in this process, by what they are of; of packages that are installed."""
    found = {"roman_moe": __version__, "git commit": git_commit(), "Python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def digest(path: Path) -> str:
    """sha256 of a file, or of all files in a folder and their names, but for Python's caches."""
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and "__pycache__" not in file.parts:
            total.update(str(file.relative_to(path)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
