"""`roman-moe doctor`: installed and missing packages of each command, and obstacles to starting a graph."""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
import sys
import textwrap
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from roman_moe import __version__
from roman_moe.cli.demo import Demo, check_rendering
from roman_moe.cli.main import PROGRAM, commands
from roman_moe.cli.outputs import check_outputs
from roman_moe.cli.user_errors import EXTRAS, REQUIRED, ROS_MODULES, installed, missing, reason
from roman_moe.core.errors import MissingDependencyError, one_line

SHOWN = (*REQUIRED, "rclpy", *EXTRAS)
"""Modules whose versions are shown; messages only where they are missing."""

EXCLUSIVE = ("cv2", "onnxruntime")
"""Modules that several packages bring, of which one environment may have one."""

UNTESTED = (3, 14)  # the Python from which on nothing is tested; setup.py has the oldest


@dataclass(frozen=True)
class Doctor:
    """Check packages, rendering and ROS; say what can run."""

    def main(self) -> int:
        """0 if `roman-moe demo` can run, 1 if not."""
        print(f"{PROGRAM} {__version__} in {Path(__file__).parents[1]}")
        print(f"Python {platform.python_version()} in {sys.prefix}, {platform.platform()}")
        brings = metadata.packages_distributions()
        absent = [module for module in ROS_MODULES if not installed(module)]
        _show("packages", _table({module: version(module, brings.get(module, ())) for module in (*SHOWN, *absent)}))
        tried = {name: attempt(check) for name, check in CHECKS.items()}
        _show("tried for the demo", _table({name: spoken(found) for name, found in tried.items()}))
        _show("set for ROS", settings() or ["nothing: domain 0, and graphs stay on this machine"])
        _show("commands, with their default options", ready())
        wrong = {name: found for name, found in tried.items() if isinstance(found, Exception)}
        # of modules that are missing the first check tells
        todo = [spoken(error) for error in wrong.values() if not isinstance(error, ModuleNotFoundError)]
        _show("to do", [*todo, *advice(brings)] or ["nothing"])
        return 1 if wrong else 0


def _show(title: str, lines: Iterable[str]) -> None:
    """A part of the report, printed at once: a library that ends the process takes back nothing."""
    print(f"\n{title}:", *(f"  {line}" for line in lines), sep="\n", flush=True)


def _table(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows))
    return [f"{name:{width}}  {text}" for name, text in rows.items()]


def version(module: str, distributions: Iterable[str]) -> str:
    """Version of a module's package, with the package's name where that is another one."""
    if not installed(module):
        return "missing"
    names = sorted(set(distributions))
    if names == [module]:
        return metadata.version(module)
    return ", ".join(f"{name} {metadata.version(name)}" for name in names) or "there, of unknown version"


def advice(brings: Mapping[str, Sequence[str]]) -> list[str]:
    """What stops nothing, but should be mended: packages in each other's place, an untested Python."""
    found = [(module, sorted(set(brings.get(module, ())))) for module in EXCLUSIVE]
    lines = [
        f"{' and '.join(names)} overwrite each other's {module}: pip uninstall them all, then install one again"
        for module, names in found
        if len(names) > 1
    ]
    if sys.version_info >= UNTESTED:
        lines.append(f"Python {platform.python_version()} is not tested: take 3.11 to 3.13")
    return lines


def attempt(check: Callable[[], str]) -> str | Exception:
    """What a check found, or what is wrong."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 (whatever it is, the report goes on)
        return error


def spoken(found: str | Exception) -> str:
    """The line for what a check found."""
    if isinstance(found, str):
        return found
    return reason(found) or one_line(f"{type(found).__name__}: {found}")


def _packages() -> str:
    if line := missing(Demo().needs):
        raise MissingDependencyError(line)
    return "all there"


def _bundle() -> str:
    from roman_moe.control.identity import identify

    return str(identify(Demo.bundle))


def _folder() -> str:
    check_outputs(Demo())
    return f"{Demo.out} can be written here"


def _pictures() -> str:
    check_rendering("roman", "")
    return f"MuJoCo draws, MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}"


def _video() -> str:
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _ros() -> str:
    from roman_moe.nodes.base.process import try_ros  # after nodes/__init__.py, which looks at RMW_IMPLEMENTATION

    distribution = os.environ.get("ROS_DISTRO", "")
    return f"a node of {try_ros()}, {f'ROS {distribution} is sourced' if distribution else 'rclpy from wheels'}"


CHECKS: dict[str, Callable[[], str]] = {
    "packages": _packages,
    "bundle": _bundle,
    "results": _folder,
    "pictures": _pictures,
    "video": _video,
    "ROS": _ros,
}
"""What the demo needs, each of them tried for real."""


def settings() -> list[str]:
    """Environment variables that say how graphs find each other, as far as they are set."""
    from roman_moe.nodes.base import environment, middleware

    names = (
        "ROS_DISTRO",
        middleware.VARIABLE,
        environment.DOMAIN,
        environment.DISCOVERY,
        *environment.PROFILES,
        *environment.JOINING,
        environment.LOG_DIR,
    )
    return [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]


def ready() -> list[str]:
    """Which commands can run, and for the others what is missing, with the command of pip that brings it."""
    found: dict[str, list[str]] = {}
    for words, command in commands().items():
        found.setdefault(missing(needs_of(command)) or "can run", []).append(words)
    width = shutil.get_terminal_size().columns - len("  ")
    lines = []
    for state, names in found.items():
        lines.append(f"{state}:")
        lines += textwrap.wrap(
            ", ".join(names), width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
    return lines


def needs_of(command: type) -> tuple[str, ...]:
    """Packages that a command needs with its default options; some depend on what is given."""
    needs = getattr(command, "needs", ())
    if not isinstance(needs, property):
        return tuple(needs)
    kinds = typing.get_type_hints(command)
    given = {
        field.name: typing.get_args(kinds[field.name])[0]
        if typing.get_origin(kinds[field.name]) is Literal
        else Path("-")
        for field in dataclasses.fields(command)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    return tuple(command(**given).needs)
