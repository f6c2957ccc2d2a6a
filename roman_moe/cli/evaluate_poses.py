"""`roman-moe evaluate poses`: errors of an estimator of object poses in held-out images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.cli.progress import CountProgress


@dataclass(frozen=True)
class Poses:
    """Evaluate an estimator of object poses on held-out images."""

    needs = ("mujoco", "onnxruntime", "cv2")

    task: opt.Task = "roman"
    estimator: opt.Estimator = ""
    images: opt.Count = 600
    """Images of all cameras together under each condition: as trained, unseen appearance, a moved camera."""

    episodes: opt.Natural = 4
    """Episodes that check that the filter reports no hidden object as seen; 0 for none."""

    seed: opt.Natural = 0
    """Seed of scenes, their appearance and episodes, which always differ from the training's."""

    workers: opt.Workers = 2
    json: opt.Report = None
    plot: opt.OptionalFile = None
    """Draw the errors of each object to this file: .png, .pdf or .svg."""

    sheet: opt.OptionalFile = None
    """Write the worst cases, with truth and estimate drawn in, to this file: .jpg."""

    def main(self) -> int:
        from roman_moe.evaluation.pose_report import errors_by_object, poses_report
        from roman_moe.evaluation.poses import PosesRequest, judge_poses, usable_estimator
        from roman_moe.sim.registry import load_sim_task

        task = load_sim_task(self.task)
        file = usable_estimator(task, self.estimator)
        request = PosesRequest(task, file, self.images, self.episodes, self.seed, self.workers)
        console = Console()
        opt.say(console, f"estimator: {file}")
        began = time.monotonic()
        jobs = len(request.parts) + len(request.episode_jobs)
        with CountProgress(console, task.spec.name, jobs, "parts") as progress:
            evaluation = judge_poses(request, progress.advance)
        report = poses_report(request, evaluation)
        console.print(errors_table(report))
        opt.say(
            console,
            f"{request.scenes} scenes under each condition and {self.episodes} episodes in "
            f"{time.monotonic() - began:.0f} s",
        )
        opt.write_report(self.json, report)
        if self.plot:
            from roman_moe.report.pose_plots import plot_pose_errors

            plot_pose_errors(errors_by_object(task.spec, evaluation), self.plot, f"{task.spec.name}: {file.name}")
        if self.sheet:
            from roman_moe.perception.contact_sheet import write_cases

            write_cases(evaluation.worst, self.sheet)
        return 0


def errors_table(report: Mapping[str, Any]) -> Table:
    """The report as a table: a row an object, and one for all."""
    from roman_moe.sim.held_out import CONDITIONS

    title = f"{report['task']}: median and 95th percentile of the position errors \\[mm]"
    columns = (*CONDITIONS, "missed", "claimed", "hidden\nvalid")
    table = opt.number_table(title, "object", *(name.replace("_", " ") for name in columns))
    table.pad_edge = table.show_edge = False
    for name in (*report["objects"], ""):
        rows = [report[condition] for condition in CONDITIONS]
        if name:
            rows = [row["objects"][name] for row in rows]
        first = rows[0]
        shares = (first["missed_share"], first["claimed_share"], first.get("hidden_valid_share"))
        table.add_row(name or "all", *(_millimetres(row) for row in rows), *map(_percent, shares))
    return table


def _millimetres(row: Mapping[str, Any]) -> str:
    if row["median_m"] is None:
        return "-"
    return "/".join(f"{x:.1f}" if x < 100.0 else f"{x:.0f}" for x in (1e3 * row["median_m"], 1e3 * row["p95_m"]))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
