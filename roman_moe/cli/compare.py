"""`roman-moe compare`: methods of multi-task learning on one suite, several seeds each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.cli.progress import CountProgress
from roman_moe.cli.selections import ALL, parse_names
from roman_moe.core.ranges import Range


@dataclass(frozen=True)
class Compare:
    """Compare methods of multi-task learning on a suite."""

    needs = ("torch", "matplotlib")

    suite: opt.Text = "conflict"
    """The suite: conflict, mt3, mt10, mt50, or a task, for its skills (docs/mixtures.md)."""

    methods: opt.Names = ALL
    """All, or some such as sac,mt_sac,soft_modular (docs/mixtures.md)."""

    seeds: Annotated[opt.Number, Range(2, 1000)] = 5
    """Number of trainings of each method, with the seeds 0, 1, 2, ..."""

    steps: Annotated[opt.Number, Range(1000, 100_000_000)] = 40_000
    """Environment steps of each task in each training."""

    workers: opt.Workers = 2
    cluster: opt.Cluster = ""
    device: opt.Text = "cpu"
    """Device for SAC: cpu, or cuda for a GPU that all processes share."""

    out: opt.Folder = Path("runs/compare")
    """Folder for trainings and plot; an interrupted comparison continues with the missing trainings."""

    json: opt.Report = None

    def main(self) -> int:
        from roman_moe.learning.runs.comparison import compare, curves_of, share_interval, summary
        from roman_moe.learning.runs.multitask import METHODS, MultitaskRun, evaluation_interval
        from roman_moe.report.plots import plot_bands
        from roman_moe.suites.catalogue import find_suite

        suite = find_suite(self.suite)
        methods = parse_names(self.methods, tuple(METHODS), "--methods")
        seeds = range(self.seeds)  # seed by seed: what is cut off has compared all methods at least once
        apart = evaluation_interval(self.steps)
        runs = [
            MultitaskRun(self.suite, method, seed, self.steps, evaluate_every=apart, device=self.device)
            for seed in seeds
            for method in methods
        ]
        console, results = Console(), dict[str, list[dict[str, Any]]]()
        with (
            opt.workers_of(console, self.cluster, self.workers, [], [self.out]) as workers,
            CountProgress(console, suite.name, len(runs), "trainings") as progress,
        ):
            for found in compare(runs, self.out, workers):
                results.setdefault(found["method"], []).append(found)
                progress.advance()
        report = {method: summary(results[method]) for method in methods}
        bands = {method: share_interval(curves_of(results[method])) for method in methods}
        picture = self.out / f"{suite.name}.png"
        places = [row["steps"] / 1000 for row in results[methods[0]][0]["rows"]]
        plot_bands(bands, places, picture, "thousand steps of each task", "episodes solved")
        console.print(comparison_table(report, f"{suite.name}: {self.seeds} seeds of {self.steps} steps a task"))
        opt.say(console, f"{picture}: learning curves")
        opt.write_report(self.json, {"suite": suite.name, "steps": self.steps, "methods": report})
        return 0


def comparison_table(report: Mapping[str, Any], title: str) -> Table:
    """One row a method: means over the seeds, with their 95 % intervals."""
    table = opt.number_table(title, "method", "area", "at the end", "parameters", "updates/s")
    for method, found in report.items():
        shares = [
            f"{found[key]['mean']:.2f} ({found[key]['ci95'][0]:.2f} to {found[key]['ci95'][1]:.2f})"
            for key in ("area", "success")
        ]
        table.add_row(method, *shares, str(found["parameters"]), f"{found['updates_per_s']:.0f}")
    return table
