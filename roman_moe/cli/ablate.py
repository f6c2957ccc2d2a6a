"""`roman-moe ablate`: variants of the training recipe, one part changed in each, compared under equal conditions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.cli.evaluate import link_title
from roman_moe.cli.progress import CountProgress
from roman_moe.cli.selections import ALL, parse_names, parse_numbers
from roman_moe.cli.train import Hybrid
from roman_moe.core.paths import config_path
from roman_moe.core.ranges import Range
from roman_moe.core.spec import MONOLITHIC

if TYPE_CHECKING:
    from roman_moe.learning.runs.ablate import Study


# [s] about what one takes on two idle cores.
CLONING, TRAINING, EPISODE = 120.0, 1300.0, 1.0


@dataclass(frozen=True)
class Ablate:
    """Train variants of the recipe, evaluate and compare them."""

    needs = (*Hybrid.needs, "mcap")

    task: opt.Task = "roman"
    methods: opt.Names = ALL
    """All, or some such as bc,hybrid,monolithic."""

    episodes: opt.Count = 200
    """Episodes of each scenario or skill, for each seed."""

    seeds: opt.Count = 3
    """How many trainings of each method."""

    scenarios: opt.Numbers = "6"
    """Scenarios to evaluate, such as 6 or 0-6."""

    skills: opt.OptionalNames = ""
    """Train and evaluate only the experts of these skills, not the mixture on --scenarios; some, or all."""

    source: Literal["oracle", "keyboard"] = "oracle"
    """Source of the demonstrations: the oracle, or the scripted operator at the keys (`roman-moe collect`)."""

    budget: Annotated[opt.Share, Range(0, 1, above=True)] = 1.0
    """Share of the recipe's environment steps that every method gets."""

    recipe: opt.OptionalFile = None
    """YAML file of the recipe; config/training/fast.yaml if not given."""

    out: opt.Folder = Path("runs/ablation")
    """Folder for demonstrations, runs and the plot; an interrupted study continues there."""

    noise_bound: opt.Metres = 0.005
    """Clip bound of the noise on object positions in the evaluation; sigma is a third of it."""

    delay: opt.Natural = 0
    """Control ticks by which every command is delayed in the evaluation."""

    lost_share: opt.Share = 0.0
    """Share of the commands that are lost in the evaluation."""

    time_limit: opt.Seconds = 240.0
    """Time limit of an episode in the evaluation, if shorter than the task's own."""

    workers: opt.Workers = 2
    cluster: opt.Cluster = ""
    json: opt.Report = None

    def main(self) -> int:
        from roman_moe.learning.recipes.hybrid import load_hybrid_recipe
        from roman_moe.learning.runs.ablate import METHODS, QUESTIONS, Study, ablate
        from roman_moe.report.plots import plot_rates
        from roman_moe.sim.channel import ChannelQuality
        from roman_moe.sim.pose_source import TruthPoses
        from roman_moe.sim.registry import load_sim_task

        task = load_sim_task(self.task)
        spec = task.spec
        skills = parse_names(self.skills, spec.skill_names, "--skills") if self.skills else ()
        methods = [method for method in METHODS if not skills or method != MONOLITHIC]  # which has no skill of its own
        study = Study(
            task=task,
            folder=self.out,
            recipe=load_hybrid_recipe(self.recipe or config_path("training/fast.yaml"), spec),
            methods=parse_names(self.methods, methods, "--methods"),
            seeds=self.seeds,
            episodes=self.episodes,
            scenarios=parse_numbers(self.scenarios, tuple(range(len(spec.scenarios))), "--scenarios"),
            poses=TruthPoses(self.noise_bound),
            skills=skills,
            channel=ChannelQuality(self.delay, self.lost_share),
            time_limit=self.time_limit,
            budget=self.budget,
            source=self.source,
        )
        console = Console()
        opt.say(console, f"task: {spec.name}")

        with opt.workers_of(console, self.cluster, self.workers, [task.folder], [self.out]) as workers:
            study = replace(study, workers=workers)
            opt.announce(console, *estimate(study))
            with CountProgress(console, str(self.out), len(study.methods) * study.seeds, "trainings") as progress:

                def done(method: str, seed: int, report: dict[str, Any]) -> None:
                    rates = ", ".join(f"{start} {row['rate']:.1%}" for start, row in rows_of(report))
                    opt.say(console, f"{method}, seed {seed}: {rates}")
                    progress.advance()

                report = ablate(study, done)
        console.print(ablation_table(report))
        plot_rates(report["methods"], self.out / "ablation.png", QUESTIONS)
        opt.write_report(self.json, report)
        return 0


def estimate(study: Study) -> tuple[str, float]:
    """What a study is, and about how long it takes if nothing of it is there yet [s]."""
    from roman_moe.evaluation.pool import cores_of
    from roman_moe.learning.runs.ablate import METHODS

    cloned = sum(METHODS[method].get("ppo") == {"steps": 0} for method in study.methods)
    trainings = cloned * CLONING + (len(study.methods) - cloned) * TRAINING
    trainings *= len(study.trained) / len(study.spec.networks)
    episodes = len(study.methods) * len(study.skills or study.scenarios) * study.episodes
    what = f"{len(study.methods)} methods, {study.seeds} trainings and {study.seeds * study.episodes} episodes of each"
    return what, study.seeds * (study.budget * trainings + episodes * EPISODE) * 2.0 / cores_of(study.workers)


def ablation_table(report: dict[str, Any]) -> Table:
    """One row a method and scenario or skill, with rate and interval."""
    title = f"{report['seeds']} seeds of {report['episodes']} episodes" + link_title(report)
    table = opt.number_table(title, "method", "start", "solved", "95 % interval")
    for method, found in report["methods"].items():
        for start, row in rows_of(found):
            low, high = row["ci95"]
            table.add_row(method, start, f"{row['rate']:.1%}", f"{100 * low:.1f} to {100 * high:.1f} %")
        if len(rows_of(found)) > 1:
            table.add_section()
    return table


def rows_of(report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Each start's name, for people, and its row."""
    scenarios = [(f"scenario {number}", row) for number, row in report["scenarios"].items()]
    return [*scenarios, *report["skills"].items()]
