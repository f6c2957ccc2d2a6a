"""`roman-moe evaluate`: success rates of a controller, or of the oracle, over random starts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from roman_moe.cli.options import SILENT, Flag, Number, Numbers, OptionalFile, Share, show_controller
from roman_moe.cli.ranges import ALL, parse_names, parse_numbers
from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_json
from roman_moe.core.ranges import AT_LEAST_0, AT_LEAST_1, SHARE

if TYPE_CHECKING:
    from roman_moe.sim.episode import EpisodeResult


FIRST_TASK = "roman"
"""Of the oracle, which exists for every task, if none is named."""


@dataclass(frozen=True)
class Evaluate:
    """Run many random episodes; report how many are solved, how fast."""

    ranges: ClassVar = {
        "episodes": AT_LEAST_1,
        "workers": AT_LEAST_1,
        "seed": AT_LEAST_0,
        "delay": AT_LEAST_0,
        "lost_share": SHARE,
    }

    controller: tyro.conf.Positional[str]
    """Folder of a controller bundle, such as models/roman, or "oracle" for the scripted demonstrator."""

    task: Annotated[str, tyro.conf.arg(metavar="TASK", help_behavior_hint=SILENT)] = ""
    """The task: name or folder; that of the bundle, or roman for the oracle, if not given."""

    sim_arm: Annotated[str, tyro.conf.arg(metavar="ARM", help_behavior_hint=SILENT)] = ""
    """Simulated arm: name, such as ur5e, or folder; the task's own if not given."""

    scenarios: Annotated[str, tyro.conf.arg(metavar="NUMBERS", help_behavior_hint=SILENT)] = ""
    """Scenarios, such as 6, 0-6 or 0,3,6; all of them if neither scenarios nor skills are given."""

    skills: Annotated[str, tyro.conf.arg(metavar="NAMES", help_behavior_hint=SILENT)] = ""
    """Skills, each with its expert alone: some, with commas between, or all; `roman-moe tasks info TASK` lists them."""

    episodes: Number = 100
    """Episodes per scenario and per skill."""

    noise_bound: Numbers = "0.005"
    """Clip bound of the noise on object positions [m], or several such as 0,0.005,0.02; sigma is a third of it."""

    noise_kind: Literal["clipped", "gaussian"] = "clipped"
    """Clipped as in ROMAN, or gaussian without the clipping."""

    disturb: Flag = False
    """Run all starts again under the first noise with one disturbance in each episode, such as a drawer half closed."""

    delay: Number = 0
    """Control ticks by which every command reaches the arm late."""

    lost_share: Share = 0.0
    """Share of the commands that never reach the arm, which rests at such a tick."""

    seed: Number = 0
    """Seed of the starts, the noise, the disturbances and what gets lost."""

    workers: Number = 2
    """Processes; the results do not depend on it."""

    json: OptionalFile = None
    """Write the report to this file."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages that it does not run without."""
        return ("mujoco",) if self.controller == "oracle" else ("mujoco", "onnxruntime")

    def main(self) -> int:
        """Run the evaluation; 0 when it is complete, whatever the rates."""
        from roman_moe.control.identity import ORACLE
        from roman_moe.evaluation.controllers import make_controller, task_of
        from roman_moe.evaluation.evaluate import Evaluation, evaluate
        from roman_moe.sim.arm_spec import load_arm
        from roman_moe.sim.link import LinkQuality
        from roman_moe.sim.pose_source import TruthPoses

        task = task_of(self.controller, self.task or (FIRST_TASK if self.controller == ORACLE else ""))
        numbers = tuple(range(len(task.spec.scenarios)))
        skills = parse_names(self.skills, task.spec.skill_names, "--skills") if self.skills else ()
        chosen = self.scenarios or ("" if skills else ALL)
        scenarios = parse_numbers(chosen, numbers, "--scenarios") if chosen else ()
        noises = {f"{bound:g}": TruthPoses(bound, self.noise_kind) for bound in parse_bounds(self.noise_bound)}
        evaluation = Evaluation(
            controller=self.controller,
            task=task,
            scenarios=scenarios,
            skills=skills,
            episodes=self.episodes,
            poses=next(iter(noises.values())),
            disturbed=self.disturb,
            seed=self.seed,
            workers=self.workers,
            link=LinkQuality(self.delay, self.lost_share),
            arm=self.sim_arm,
            variants={"noise": noises} if len(noises) > 1 else {},
        )
        if self.sim_arm:
            load_arm(self.sim_arm)
        for skill in (None, *skills):  # a controller that cannot run is refused here, before any worker starts
            make_controller(self.controller, task, skill)

        console = Console()
        if self.controller != ORACLE:
            show_controller(console, self.controller)
        console.print(f"task: {task.spec.name}", highlight=False)
        began = time.monotonic()
        with EpisodeProgress(console, self.controller, len(evaluation.jobs())) as progress:
            report = evaluate(evaluation, progress.count)
        for table in report_tables(report):
            console.print(table)
        console.print(f"{len(evaluation.jobs())} episodes in {time.monotonic() - began:.0f} s")
        if self.json:
            write_json(self.json, report)
        return 0


class EpisodeProgress:
    """Progress bar over episodes; without a terminal (a log, CI) a line for every tenth of them.

    Args:
        console: where to.
        title: of the bar.
        total: episodes.
    """

    def __init__(self, console: Console, title: str, total: int) -> None:
        self._console = console
        self._total = total
        self._ended = self._solved = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("solved {task.fields[solved]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task(title, total=total, solved=0)

    def __enter__(self) -> EpisodeProgress:
        self._progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._progress.stop()

    def count(self, result: EpisodeResult) -> None:
        """Count an episode that has ended."""
        tenths = self._ended * 10 // self._total
        self._ended += 1
        self._solved += result.success
        self._progress.update(self._bar, advance=1, solved=self._solved)
        if not self._console.is_terminal and self._ended * 10 // self._total > tenths:
            self._console.print(f"{self._ended} of {self._total} episodes, {self._solved} solved", highlight=False)


def parse_bounds(text: str) -> list[float]:
    """Noise bounds in text such as "0,0.005" [m].

    Raises:
        ConfigError: naming what is no number, or is there twice.
    """
    bounds: list[float] = []
    for part in text.split(","):
        try:
            bound = float(part)
        except ValueError:
            raise ConfigError(f"--noise-bound: {part.strip()!r}: expected metres, such as 0.005 or 0,0.005") from None
        if any(f"{bound:g}" == f"{other:g}" for other in bounds):  # as the report's keys are written
            raise ConfigError(f"--noise-bound: {part.strip()} is there twice")
        bounds.append(bound)
    return bounds


def report_tables(report: dict[str, Any]) -> list[Table]:
    """The report as tables, one a condition."""
    kind, ending = report["noise_kind"], link_title(report) + f", seed {report['seed']}"
    conditions = report.get("noise", {f"{report['noise_bound_m']:g}": report})
    tables = [
        report_table(f"{report['controller']}, {kind} noise of {float(bound) * 100:g} cm{ending}", content)
        for bound, content in conditions.items()
    ]
    if "disturbed" in report:
        noise = f"{kind} noise of {report['noise_bound_m'] * 100:g} cm"
        title = f"{report['controller']}, {noise}, one disturbance per episode{ending}"
        tables.append(report_table(title, report["disturbed"]))
    return tables


def link_title(report: dict[str, Any]) -> str:
    """How the commands got through, where not all of them did at once."""
    late, lost = report["delay_ticks"], report["lost_share"]
    ticks = f"{late} tick" + ("s" if late > 1 else "")
    return (f", commands {ticks} late" if late else "") + (f", {100 * lost:g} % of the commands lost" if lost else "")


def report_table(title: str, report: dict[str, Any]) -> Table:
    """What was solved under one condition, as a table."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("start", no_wrap=True)
    for name in ("solved", "rate", "95 % interval", "median", "p95"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("failures")
    rows = [(f"scenario {number}", row) for number, row in report["scenarios"].items()]
    for name, row in [*rows, *report["skills"].items()]:
        low, high = row["ci95"]
        table.add_row(
            name,
            f"{row['successes']}/{row['episodes']}",
            f"{row['rate']:.1%}",
            f"{100 * low:.1f} to {100 * high:.1f} %",
            _seconds(row["median_time_s"]),
            _seconds(row["p95_time_s"]),
            ", ".join(f"{cause.replace('_', ' ')} {count}" for cause, count in row["failures"].items())
            + _unmended(row.get("disturbances", {})),
        )
    return table


def _unmended(disturbances: dict[str, dict[str, int]]) -> str:
    """Which disturbances the failures had met."""
    failed = {kind: row["episodes"] - row["successes"] for kind, row in disturbances.items()}
    text = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in failed.items() if count)
    return f" ({text})" if text else ""


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
