"""Where the files beside the code are: `config/`, `launch/` and `models/`.

One rule for a checkout, an editable install and an installed package, whether pip or colcon put it there. No
environment variable is read, so the answer cannot depend on the shell that asks.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from roman_moe.core.errors import ConfigError

PACKAGE = "roman_moe"
MARKER = "package.xml"  # stands beside config/ in a checkout and in an installed share folder alike


def find_share_folder(package_folder: Path) -> Path:
    """Folder that holds `config/`, `launch/` and `models/` of the package in `package_folder`.

    That is the checkout for a package that runs from one, else the nearest `share/roman_moe` above it: with
    `PREFIX/lib/python3.x/site-packages/roman_moe` it is `PREFIX/share/roman_moe`.

    Raises:
        ConfigError: if there is none, as after copying the package's folder alone.
    """
    package_folder = package_folder.resolve()
    if is_checkout(package_folder):
        return package_folder.parent
    for prefix in package_folder.parents:
        share = prefix / "share" / PACKAGE
        if (share / MARKER).is_file():
            return share
    raise ConfigError(
        f"{package_folder}: found neither a checkout nor share/{PACKAGE} around it: install with pip or colcon"
    )


def is_checkout(package_folder: Path) -> bool:
    """Whether the package in `package_folder` runs from a checkout, not from where pip or colcon put it."""
    beside = package_folder.resolve().parent
    return (beside / MARKER).is_file() and (beside / "config").is_dir()


@lru_cache(maxsize=1)
def share_folder() -> Path:
    """`find_share_folder` of the package that runs."""
    return find_share_folder(Path(__file__).parents[1])


def config_path(name: str | os.PathLike[str] = "") -> Path:
    """A file or folder of `config/`, such as `config_path("graph.yaml")`; whether it exists is the reader's to say."""
    return share_folder() / "config" / name


def find_shipped(path: str | os.PathLike[str]) -> Path:
    """The path as given if it exists; else what is shipped under that name, such as `models/roman`, from any folder.

    A path that is neither comes back as given, so that the reader's error names what the user typed.
    """
    given = Path(path)
    if given.exists() or given.is_absolute():
        return given
    shipped = share_folder() / given
    return shipped if shipped.exists() else given
