"""Parts that several verbs share: the types of their options as help shows them, and the lines printed at the start."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_json
from roman_moe.core.ranges import AT_LEAST_0, AT_LEAST_1, MORE_THAN_0, SHARE

if TYPE_CHECKING:
    from rich.console import Console

    from roman_moe.control.identity import Identity
    from roman_moe.core.spec import TaskSpec
    from roman_moe.evaluation.pool import Workers as JobWorkers

SILENT = ""  # no "(default: None)" or "(default: False)" behind what says so itself

Flag = Annotated[bool, tyro.conf.arg(help_behavior_hint=SILENT)]
Folder = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
OptionalFolder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint=SILENT)]
OptionalFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=SILENT)]
Number = Annotated[int, tyro.conf.arg(metavar="N")]
Count = Annotated[Number, AT_LEAST_1]
Natural = Annotated[Number, AT_LEAST_0]
Seconds = Annotated[float, tyro.conf.arg(metavar="SECONDS"), MORE_THAN_0]
Minutes = Annotated[float, tyro.conf.arg(metavar="MINUTES"), MORE_THAN_0]
Metres = Annotated[float, tyro.conf.arg(metavar="METRES")]
Share = Annotated[float, tyro.conf.arg(metavar="SHARE"), SHARE]
Names = Annotated[str, tyro.conf.arg(metavar="NAMES")]
OptionalNames = Annotated[str, tyro.conf.arg(metavar="NAMES", help_behavior_hint=SILENT)]
Numbers = Annotated[str, tyro.conf.arg(metavar="NUMBERS")]
Text = Annotated[str, tyro.conf.arg(metavar="TEXT")]
OptionalText = Annotated[str, tyro.conf.arg(metavar="TEXT", help_behavior_hint=SILENT)]
Simulation = Annotated[str, tyro.conf.arg(metavar="TASK", help_behavior_hint=SILENT)]
SimulatedArm = Annotated[str, tyro.conf.arg(metavar="ARM", help_behavior_hint=SILENT)]
Start = Annotated[str, tyro.conf.arg(metavar="START", help_behavior_hint=SILENT)]

# Options of several verbs, with their help.
Task = Annotated[Text, tyro.conf.arg(help="The task: name of one of `roman-moe tasks list`, or its folder.")]
Bundle = Annotated[Folder, tyro.conf.arg(help="Folder of the bundle.")]
Report = Annotated[OptionalFile, tyro.conf.arg(help="Write the report to this file.")]
Workers = Annotated[Count, tyro.conf.arg(help="Processes; the results do not depend on it.")]
Seed = Annotated[Natural, tyro.conf.arg(help="Seed of everything random.")]
NoiseKind = Annotated[
    Literal["clipped", "gaussian"], tyro.conf.arg(help="Clipped as in ROMAN, or gaussian without the clipping.")
]
ClusterAddress = Annotated[str, tyro.conf.arg(metavar="ADDRESS", help_behavior_hint=SILENT)]
Cluster = Annotated[
    ClusterAddress,
    tyro.conf.arg(help="Run on a cluster, not here: a Ray cluster's HOST:PORT, auto, or slurm[:PARTITION]."),
]
_POSES = (
    "Source of object poses: truth (the lab's, with noise), camera (images, estimator) or markers (docs/cameras.md)."
)
Poses = Annotated[str, tyro.conf.arg(metavar="{truth,camera,markers}", help=_POSES)]
_ESTIMATOR = "The pose estimator's network, made by `roman-moe train poses`; the task's shipped one if not given."
Estimator = Annotated[str, tyro.conf.arg(metavar="FILE", help_behavior_hint=SILENT, help=_ESTIMATOR)]

POSES: Mapping[str, str] = {
    "truth": "the lab's own, with noise",
    "camera": "the learned estimator, from cameras' images",
    "markers": "markers, from cameras' images",
}
"""Where a graph's object poses come from."""

PoseSources = Literal["truth", "camera", "markers", "synthetic"]
"""Where an episode's object poses come from in process."""

SHORT = 120.0  # [s] what takes longer is announced


def show_bundle(console: Console, bundle: str | Path) -> Identity:
    """Print which bundle really runs, path and short sha256, and answer it.

    Raises:
        BundleError: if there is none.
    """
    from roman_moe.control.identity import identify  # not for verbs that run none: stop must be quick

    identity = identify(bundle)
    say(console, f"bundle: {identity}")
    return identity


@contextlib.contextmanager
def workers_of(
    console: Console, address: str, processes: int, files: Sequence[Path], folders: Sequence[Path] = ()
) -> Iterator[JobWorkers]:
    """Who runs the jobs, as long as the block lasts: so many processes, or a cluster if an address is given.

    Args:
        files: files and folders that jobs read.
        folders: that jobs write to.

    Raises:
        ConfigError: if there is no such cluster, or it cannot be used.
    """
    if not address:
        yield processes
        return
    from roman_moe.evaluation.cluster.choice import open_cluster

    with open_cluster(address, files, folders, processes) as cluster:
        for line in cluster.lines:
            say(console, line)
        yield cluster


def check_poses(poses: str, estimator: str, noise: bool, spec: TaskSpec) -> None:
    """Refuse what the options --poses and --estimator of a graph cannot give.

    Args:
        poses: where poses come from.
        estimator: file of the learned estimator; "" if not given.
        noise: whether --noise-bound was given.

    Raises:
        BundleError: if the estimator's file cannot be used.
        ConfigError: for all else.
    """
    check_choice("--poses", poses, POSES)
    if estimator and poses != "camera":
        raise ConfigError("--estimator: only valid with --poses camera")
    if poses != "truth":
        if noise:
            raise ConfigError(f"--noise-bound: only valid with --poses truth: those of {poses} have their own errors")
        from roman_moe.perception.estimators import open_estimator  # needs OpenCV

        open_estimator(poses, spec, estimator)


def check_choice(option: str, value: str, choices: Mapping[str, str]) -> None:
    """Refuse a value that is no choice, naming those that are.

    Raises:
        ConfigError: if `value` is none of `choices`.
    """
    if value not in choices:
        there_is = ", ".join(f"{name} ({what})" for name, what in choices.items())
        raise ConfigError(f"{option} {value}: expected one of {there_is}")


def say(console: Console, line: str) -> None:
    """Print a line as it is: whole, however long, and in one colour."""
    console.print(line, highlight=False, soft_wrap=True, markup=False)


def write_report(path: Path | None, report: Any) -> None:
    if path is not None:
        write_json(path, report)


def number_table(title: str, first: str, *numbers: str) -> Table:
    """A table with names in its first column, and numbers in the others."""
    columns = Column(first, no_wrap=True), *(Column(name, justify="right", no_wrap=True) for name in numbers)
    return Table(*columns, title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def announce(console: Console, what: str, seconds: float) -> None:
    """Say what is to be done and about how long it takes [s], if that is long."""
    if seconds > SHORT:
        minutes = seconds / 60.0
        duration = f"{minutes:.0f} minutes" if minutes < 100.0 else f"{minutes / 60.0:.0f} hours"
        say(console, f"{what}: about {duration} on an idle machine; Ctrl-C ends it")
