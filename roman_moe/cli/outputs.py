"""Checks of a command's output paths, made before anything runs and not after hours of work."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from roman_moe.core.errors import ConfigError

PICTURES = (".png", ".pdf", ".svg")


def check_outputs(command: Any) -> None:
    """Try where a verb writes; nothing is left there, and no folder is made.

    These are the files `json`, `plot`, `routing` and `sheet`, the folder `folder`, or else `out`, and the folder
    `new_bundle`, which is replaced as a whole. A verb whose default depends on other options has a property of that
    name. None is not written.

    Raises:
        ConfigError: naming the path, and why it cannot be written.
    """
    for name in ("json", "plot", "routing", "sheet"):
        if (file := getattr(command, name, None)) is not None:
            check_file(file)
            if name in ("plot", "routing") and file.suffix not in PICTURES:
                raise ConfigError(f"--{name} {file}: expected a name that ends with {', '.join(PICTURES)}")
    bundle = getattr(command, "new_bundle", None)
    if (folder := getattr(command, "folder", None if bundle else getattr(command, "out", None))) is not None:
        check_folder(folder)
    if bundle is not None:
        check_bundle(bundle)


def check_file(path: Path) -> None:
    """Try the folder of a file, which is written beside its place and then moved. Raises as `check_outputs`."""
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder: name a file in it")
    _try(path, path.absolute().parent)


def check_folder(path: Path) -> None:
    """Try a folder in which files are written. Raises as `check_outputs`."""
    _try(path, path.resolve())


def check_bundle(path: Path) -> None:
    """Try the folder around one that is replaced as a whole (`core.files.atomic_folder`). Raises as `check_outputs`."""
    place = path.resolve()
    if os.path.ismount(place):
        raise ConfigError(f"{path}: is a mount point, which cannot be replaced as a whole: name a folder in it")
    _try(path, place.parent)


def _try(path: Path, place: Path) -> None:
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.NamedTemporaryFile(prefix=".roman-moe-", dir=place):
            pass
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {place}: {error.strerror}: choose another place") from None
