"""`roman-moe evaluate`: success rates of a controller, or of the oracle, over random starts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro
from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.cli.evaluate_multitask import Multitask
from roman_moe.cli.evaluate_poses import Poses
from roman_moe.cli.progress import CountProgress
from roman_moe.cli.selections import ALL, parse_names, parse_numbers
from roman_moe.core.errors import ConfigError

if TYPE_CHECKING:
    from roman_moe.sim.pose_source import PoseSource


FIRST_TASK = "roman"  # of what is scripted, which exists for every task, if none is named


@dataclass(frozen=True)
class Evaluate:
    """Run many random episodes; report how many are solved, how fast.

    `evaluate poses` judges an estimator of object poses, and `evaluate multitask` a policy of `train multitask`; a
    bundle folder of such a name is given as ./poses.
    """

    PARTS: ClassVar[Mapping[str, type]] = {"poses": Poses, "multitask": Multitask}

    controller: tyro.conf.Positional[str]
    """Folder of a bundle, such as models/roman; "oracle", the scripted demonstrator; or "keyboard", a scripted operator
    that presses keys."""

    task: Annotated[str, tyro.conf.arg(metavar="TASK", help_behavior_hint=opt.SILENT)] = ""
    """The task: name or folder; by default the bundle's, or roman for the oracle."""

    sim_arm: opt.SimulatedArm = ""
    """Simulated arm: name, such as ur5e, or folder; the task's own if not given."""

    scenarios: Annotated[str, tyro.conf.arg(metavar="NUMBERS", help_behavior_hint=opt.SILENT)] = ""
    """Scenarios, such as 6, 0-6 or 0,3,6; all of them if neither scenarios nor skills are given."""

    skills: Annotated[str, tyro.conf.arg(metavar="NAMES", help_behavior_hint=opt.SILENT)] = ""
    """Skills to evaluate, each with its expert alone, separated by commas, or all; `roman-moe tasks info TASK` lists
    them."""

    episodes: opt.Count = 100
    """Episodes per scenario and per skill."""

    poses: opt.PoseSources = "truth"
    """Source of object poses: truth, camera (images and a network), markers (images), or synthetic (a model of a
    network's errors)."""

    estimator: opt.Estimator = ""
    camera_rate: Annotated[float, tyro.conf.arg(metavar="HZ", help_behavior_hint=opt.SILENT)] = 10.0
    """Images of each camera per second, if cameras give the poses."""

    camera_latency: Annotated[float, tyro.conf.arg(metavar="SECONDS", help_behavior_hint=opt.SILENT)] = 0.1
    """Time from the images to the poses, likewise."""

    noise_bound: opt.Numbers = "0.005"
    """Clip bound of the noise on object positions [m], or several such as 0,0.005,0.02; sigma is a third of it.

    With synthetic poses it applies to a single frame set, without clipping.
    """

    noise_kind: opt.NoiseKind = "clipped"
    bias_bound: opt.Numbers = "0"
    """Bound of a constant offset of each object in an episode [m], or several; the offset is uniform in a ball."""

    calibration_error: Annotated[str, tyro.conf.arg(metavar="DEG:M")] = "0:0"
    """Error of a camera's calibration in an episode: a turn [degrees] and a shift [m], or several: 0:0,0.5:0.005."""

    disturb: opt.Flag = False
    """Also run all starts with one disturbance per episode, such as a half-closed drawer, under the first errors."""

    delay: opt.Natural = 0
    """Control ticks by which every command is delayed."""

    lost_share: opt.Share = 0.0
    """Share of the commands that are lost; the arm is held at such a tick."""

    seed: opt.Natural = 0
    """Seed of the starts, the poses' errors, the disturbances and the lost commands."""

    workers: opt.Workers = 2
    cluster: opt.Cluster = ""
    json: opt.Report = None
    plot: opt.OptionalFile = None
    """Plot the solved share over each error that has several values, to this file: .png, .pdf or .svg."""

    @property
    def needs(self) -> tuple[str, ...]:
        networks = self.controller not in ("oracle", "keyboard") or self.poses == "camera"
        run = ("mujoco", "onnxruntime") if networks else ("mujoco",)
        return (*run, *(("cv2",) if self.poses != "truth" else ()))

    def main(self) -> int:
        """Run the evaluation; 0 when it is complete, whatever the rates."""
        from roman_moe.control.identity import SCRIPTED
        from roman_moe.evaluation.controllers import make_controller, task_of
        from roman_moe.evaluation.evaluate import Evaluation, evaluate
        from roman_moe.sim.arm_spec import load_arm
        from roman_moe.sim.channel import ChannelQuality

        task = task_of(self.controller, self.task or (FIRST_TASK if self.controller in SCRIPTED else ""))
        numbers = tuple(range(len(task.spec.scenarios)))
        skills = parse_names(self.skills, task.spec.skill_names, "--skills") if self.skills else ()
        chosen = self.scenarios or ("" if skills else ALL)
        scenarios = parse_numbers(chosen, numbers, "--scenarios") if chosen else ()
        poses, variants = self._pose_sources()
        if self.plot and not variants:
            raise ConfigError("--plot: expected several values of an error, such as --bias-bound 0,0.005,0.01")
        evaluation = Evaluation(
            controller=self.controller,
            task=task,
            scenarios=scenarios,
            skills=skills,
            episodes=self.episodes,
            poses=poses,
            disturbed=self.disturb,
            seed=self.seed,
            channel=ChannelQuality(self.delay, self.lost_share),
            arm=self.sim_arm,
            variants=variants,
        )
        if self.sim_arm:
            load_arm(self.sim_arm)
        files = [task.folder]
        if self.poses == "camera":
            from roman_moe.evaluation.poses import usable_estimator

            files.append(usable_estimator(task, self.estimator))
        for skill in (None, *skills):  # a controller that cannot run is refused here, before any worker starts
            make_controller(self.controller, task, skill)

        console = Console()
        if self.controller not in SCRIPTED:
            files.append(opt.show_bundle(console, self.controller).path)
        opt.say(console, f"task: {task.spec.name}")
        with opt.workers_of(console, self.cluster, self.workers, files) as workers:
            evaluation = replace(evaluation, workers=workers)
            began = time.monotonic()
            with CountProgress(console, self.controller, len(evaluation.jobs()), "episodes", solved=True) as progress:
                report = evaluate(evaluation, lambda result: progress.advance(solved=result.success))
        for table in report_tables(report):
            console.print(table)
        console.print(f"{len(evaluation.jobs())} episodes in {time.monotonic() - began:.0f} s")
        opt.write_report(self.json, report)
        if self.plot:
            from roman_moe.report.plots import plot_errors

            plot_errors(task.spec, report, self.plot)
        return 0

    def _pose_sources(self) -> tuple[PoseSource, dict[str, dict[str, PoseSource]]]:
        """That of the first errors, and by the report's keys those in which one of the errors has another value."""
        from roman_moe.sim.pose_source import TruthPoses

        metres, both = "metres, such as 0.005 or 0,0.005", "degrees:metres, such as 0.5:0.005"
        noises = [bound for (bound,) in parse_groups(self.noise_bound, "--noise-bound", 1, metres)]
        biases = [bound for (bound,) in parse_groups(self.bias_bound, "--bias-bound", 1, metres)]
        errors = parse_groups(self.calibration_error, "--calibration-error", 2, both)
        if self.estimator and self.poses != "camera":
            raise ConfigError("--estimator: only valid with --poses camera")
        if self.poses != "truth":
            if biases != [0.0] or errors != [(0.0, 0.0)]:
                raise ConfigError("--bias-bound, --calibration-error: only valid with --poses truth")
            from roman_moe.sim.camera_poses import CameraPoses

            times = self.camera_rate, self.camera_latency
            sources: dict[str, PoseSource] = {
                f"{bound:g}": CameraPoses(self.poses, *times, bound, self.estimator) for bound in noises
            }
            return next(iter(sources.values())), {"noise": sources} if len(sources) > 1 else {}
        first = TruthPoses(noises[0], self.noise_kind, biases[0], *errors[0])
        several: dict[str, dict[str, PoseSource]] = {
            "noise": {f"{bound:g}": replace(first, noise_bound=bound) for bound in noises},
            "bias": {f"{bound:g}": replace(first, bias_bound=bound) for bound in biases},
            "calibration": {
                f"{turn:g}:{shift:g}": replace(first, rotation_error=turn, translation_error=shift)
                for turn, shift in errors
            },
        }
        return first, {what: sources for what, sources in several.items() if len(sources) > 1}


def parse_groups(text: str, option: str, size: int, expected: str) -> list[tuple[float, ...]]:
    """Groups of so many numbers with colons between, in the text of an option, such as "0:0,0.5:0.005".

    Raises:
        ConfigError: naming what is no such group, and what was `expected`; or what is given twice.
    """
    groups: dict[str, tuple[float, ...]] = {}
    for part in map(str.strip, text.split(",")):
        try:
            group = tuple(map(float, part.split(":")))
        except ValueError:
            group = ()
        if len(group) != size:
            raise ConfigError(f"{option}: {part!r}: expected {expected}")
        key = ":".join(f"{number:g}" for number in group)  # as the report's keys are written
        if key in groups:
            raise ConfigError(f"{option}: {part} is given twice")
        groups[key] = group
    return list(groups.values())


def report_tables(report: dict[str, Any]) -> list[Table]:
    """The report as tables, one a condition."""
    ending = link_title(report) + f", seed {report['seed']}"

    def table(content: dict[str, Any], which: str = "", **errors: float) -> Table:
        title = f"{report['controller']}, {errors_title({**report, **errors})}{which}{ending}"
        return report_table(title, content)

    tables = [table(report)]  # all others differ from it
    tables += [table(content, noise_bound_m=float(key)) for key, content in _others(report, "noise")]
    tables += [table(content, bias_bound_m=float(key)) for key, content in _others(report, "bias")]
    for key, content in _others(report, "calibration"):
        turn, shift = map(float, key.split(":"))
        tables.append(table(content, rotation_error_deg=turn, translation_error_m=shift))
    if "disturbed" in report:
        tables.append(table(report["disturbed"], ", one disturbance per episode"))
    return tables


def _others(report: dict[str, Any], what: str) -> list[tuple[str, dict[str, Any]]]:
    """Of an error's values, all but the first, with what was solved; none if it has not several."""
    return list(report.get(what, {}).items())[1:]


def errors_title(report: dict[str, Any]) -> str:
    """The poses' errors in words, those that there are."""
    bias, turn, shift = (report.get(key, 0.0) for key in ("bias_bound_m", "rotation_error_deg", "translation_error_m"))
    source, noise = report["poses"], report.get("noise_kind", "")
    said = [f"poses by {source}"] if source != "truth" else []
    return (
        ", ".join([*said, *([f"{noise} noise of {report['noise_bound_m'] * 100:g} cm"] if noise else [])])
        + (f", bias of up to {bias * 1e3:g} mm" if bias else "")
        + (f", calibration off by {turn:g} degrees and {shift * 1e3:g} mm" if turn or shift else "")
    )


def link_title(report: dict[str, Any]) -> str:
    """How the commands got through, where not all of them did at once."""
    late, lost = report["delay_ticks"], report["lost_share"]
    ticks = f"{late} tick" + ("s" if late > 1 else "")
    return (f", commands {ticks} late" if late else "") + (f", {100 * lost:g} % of the commands lost" if lost else "")


def report_table(title: str, report: dict[str, Any]) -> Table:
    """What was solved under one condition, as a table."""
    table = opt.number_table(title, "start", "solved", "rate", "95 % interval", "median", "p95")
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
