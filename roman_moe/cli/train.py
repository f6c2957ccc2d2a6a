"""`roman-moe train`: from demonstrations to networks, by behaviour cloning alone or by hybrid learning."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro
from rich.console import Console
from rich.table import Table

from roman_moe.cli import options as opt
from roman_moe.cli.parsing import unknown_word
from roman_moe.cli.progress import CountProgress, RunProgress, workers_note
from roman_moe.cli.selections import ALL, parse_names
from roman_moe.cli.train_gridworld import Gridworld
from roman_moe.cli.train_multitask import Multitask
from roman_moe.cli.train_poses import Poses
from roman_moe.control.identity import identify
from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_json
from roman_moe.core.paths import config_path
from roman_moe.evaluation.pool import job_counts

if TYPE_CHECKING:
    from roman_moe.learning.runs.clone import ClonedNetwork


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every part of `train` asks for."""

    demos: Annotated[str, tyro.conf.arg(metavar="FOLDER[=WEIGHT],...")] = "demos"
    """Dataset from `collect` or `record`; several with a weight each: demos,fixes=0.5. The folder of one skill,
    demos/push, is used whole; from a dataset `train expert` takes as many episodes as the recipe says.
    """

    out: opt.OptionalFolder = None
    """Folder of the run, or of the bundle of `bc`; runs/NAME for a recipe NAME.yaml if not given."""

    recipe: opt.OptionalFile = None
    """YAML file with every number of the training; if not given config/training/fast.yaml, or bc.yaml for `bc`."""

    seed: opt.Seed = 0
    workers: opt.Workers = 2
    json: opt.Report = None
    usual: ClassVar = "training/fast.yaml"

    @property
    def recipe_file(self) -> Path:
        return self.recipe or config_path(self.usual)

    @property
    def place(self) -> Path:
        """Folder that is written."""
        return self.out or Path("runs") / self.recipe_file.stem


@dataclass(frozen=True, kw_only=True)
class Hybrid(Training):
    """Hybrid learning: cloning, then GAIL + PPO."""

    needs = (
        "torch",
        "stable_baselines3",
        "tensorboard",
        "onnx",
        "onnxruntime",
        "mujoco",
        "gymnasium",
        "rosbags",
        "matplotlib",
    )

    task: opt.Simulation = ""
    """Folder of the task's simulation; of the installed task that the demonstrations name if not given."""

    budget: opt.Share = 1.0
    """Share of the recipe's environment steps for every network; 0 for cloning alone."""

    resume: opt.Flag = False
    """Continue an interrupted run; the result equals that of an uninterrupted run."""

    @property
    def folder(self) -> Path:
        return self.place

    @property
    def new_bundle(self) -> Path:
        """Folder of the bundle in it."""
        return self.folder / "bundle"

    def train(self, networks: Sequence[str] = (), base: Path | None = None, cluster: str = "") -> int:
        """Train these networks, or all, from the folder `base` if given; 0 when they are written."""
        from roman_moe.control.manifest import load_manifest
        from roman_moe.evaluation.controllers import simulation_of
        from roman_moe.learning.demonstration_sets import parse_sets, sets_spec
        from roman_moe.learning.recipes.hybrid import bundles_recipe, load_hybrid_recipe
        from roman_moe.learning.runs.multitask import RESULT
        from roman_moe.learning.runs.run import Run, curves, train_run
        from roman_moe.learning.runs.trainer import read_progress
        from roman_moe.report.plots import plot_curves

        sets = parse_sets(self.demos, networks[0] if len(networks) == 1 else "", "--demos")
        spec = sets_spec(sets)
        networks = networks or spec.networks
        for name in networks:
            if name not in spec.networks:
                raise ConfigError(unknown_word("skill", name, spec.skill_names))
        folder, recipe = self.folder, load_hybrid_recipe(self.recipe_file, spec)
        prior = None
        if base is not None and (base / RESULT).exists():
            base, prior = None, base
        if base is not None and self.recipe is None:
            recipe = bundles_recipe(load_manifest(base), recipe)
        recipe, task = recipe.with_budget(self.budget), simulation_of(spec, self.task)
        console = Console()
        began = time.monotonic()

        def rows_now() -> dict[str, dict[str, Any] | None]:
            return {name: read_progress(folder / name) for name in networks}

        files = [task.folder, *(each.dataset for each in sets)]
        with opt.workers_of(console, cluster, self.workers, files, [folder]) as workers:
            run = Run(task, folder, recipe, sets, self.seed, workers, base, prior)
            with RunProgress(console, lambda: progress_lines(rows_now()), lambda: progress_table(folder, rows_now())):
                record = train_run(run, networks, self.resume)
        rows = curves(folder)
        plot_curves(spec, rows, folder / "curves.png")
        bundle = identify(self.new_bundle.absolute()) if self.new_bundle.is_dir() else None
        if bundle is not None:
            opt.say(console, f"bundle: {bundle}")
        steps = record["environment_steps"]
        console.print(
            f"{folder}: {steps / 1e6:.2f} million environment steps, {time.monotonic() - began:.0f} s", soft_wrap=True
        )
        if self.json:
            written = bundle.to_dict() if bundle is not None else {}
            chosen = {name: rows[name] for name in networks}
            write_json(self.json, {"run": str(folder), **written, **record, "curves": chosen})
        return 0


@dataclass(frozen=True, kw_only=True)
class All(Hybrid):
    """Train all networks, experts first, then the gate; write the bundle."""

    cluster: opt.Cluster = ""

    def main(self) -> int:
        return self.train(cluster=self.cluster)


@dataclass(frozen=True, kw_only=True)
class Expert(Hybrid):
    """Train the expert of one skill."""

    skill: tyro.conf.Positional[str]
    """The expert's skill; `roman-moe tasks info TASK` lists them."""

    base: Annotated[Path | None, tyro.conf.arg(name="from", metavar="FOLDER", help_behavior_hint=opt.SILENT)] = None
    """Start from this bundle's expert, by the bundle's own recipe; the run's bundle keeps its other networks. Or start
    from the prior in this folder of `train multitask --method distral_...`."""

    def main(self) -> int:
        return self.train((self.skill,), self.base)


@dataclass(frozen=True, kw_only=True)
class Gate(Hybrid):
    """Train the gate over the experts in the run's folder."""

    def main(self) -> int:
        return self.train(("gate",))


@dataclass(frozen=True, kw_only=True)
class Bc(Training):
    """Train by behaviour cloning alone, straight into a bundle."""

    needs = ("torch", "onnx", "onnxruntime", "rosbags")
    usual: ClassVar = "training/bc.yaml"

    force: opt.Flag = False
    """Replace an existing bundle in the folder."""

    networks: opt.Names = ALL
    """Networks to train, separated by commas, or all; with --force the bundle's others stay."""

    @property
    def new_bundle(self) -> Path:
        return self.place

    def main(self) -> int:
        from roman_moe.control.bundle_writer import check_replaceable
        from roman_moe.learning.demonstration_sets import parse_sets, sets_spec
        from roman_moe.learning.recipes.cloning import load_recipe
        from roman_moe.learning.runs.clone import clone_bundle

        check_replaceable(self.new_bundle, self.force)  # before anything is read
        sets = parse_sets(self.demos, self.networks, "--demos")
        spec = sets_spec(sets)
        names = parse_names(self.networks, spec.networks, "--networks")
        out, recipe = self.new_bundle, load_recipe(self.recipe_file, spec)
        console = Console()
        began = time.monotonic()
        report: dict[str, object] = {}
        with CountProgress(console, str(out), len(names), "networks") as progress:

            def done(cloned: ClonedNetwork) -> None:
                report[cloned.network] = cloned.provenance
                errors = (
                    f"{name.replace('_', ' ')} {value:.3f}" for name, value in cloned.provenance["errors"].items()
                )
                left_out = cloned.provenance["demonstrations"].get("left_out_scenes")
                note = f", {left_out} scenes without an answer or command left out" if left_out else ""
                opt.say(console, f"{cloned.network:16} {', '.join(errors)}{note}")
                progress.advance()

            clone_bundle(sets, out, recipe, self.seed, self.workers, names, done, self.force)
        identity = identify(out.absolute())
        opt.say(console, f"{identity}: written after {time.monotonic() - began:.0f} s")
        opt.write_report(self.json, {**identity.to_dict(), "networks": report})
        return 0


class Train:
    """Train networks, a pose estimator, or other mixtures."""

    PARTS: ClassVar[Mapping[str, type]] = {
        "all": All,
        "expert": Expert,
        "gate": Gate,
        "bc": Bc,
        "poses": Poses,
        "multitask": Multitask,
        "gridworld": Gridworld,
    }


def progress_lines(rows: Mapping[str, dict[str, Any] | None]) -> dict[Hashable, str]:
    """A line for each network's last checkpoint, by its number and whether the network is done.

    One more says what workers do, by how many there are and how many jobs were done again.
    """
    counts = job_counts()
    workers = {} if counts is None else {(counts.workers, counts.again): workers_note(counts)}
    return workers | {
        (name, row["checkpoints"], row["done"]): f"{name:16} {', '.join(text for text in progress_cells(row) if text)}"
        for name, row in rows.items()
        if row is not None
    }


def progress_table(folder: Path, rows: Mapping[str, dict[str, Any] | None]) -> Table:
    table = opt.number_table(str(folder), "network", "steps", "solved", "reward", "speed", "left")
    table.caption, table.caption_justify = workers_note(job_counts()), "left"
    for name, row in rows.items():
        table.add_row(name, *(progress_cells(row) if row is not None else ("waits", "", "", "", "")))
    return table


def progress_cells(row: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """Steps, success, reward parts, speed and time left of one network, for people."""
    missing = max(row["of"] - row["steps"], 0)  # it ends with a whole rollout, beyond what the recipe asks for
    left = missing / row["steps_per_s"] if row["steps_per_s"] else None
    parts = [
        f"{name} {row[key]:.2f}"
        for name, key in (("r_I", "imitation_reward"), ("r_E", "extrinsic_reward"))
        if row[key] is not None
    ]
    return (
        f"{row['steps'] / 1000:.0f}" + (f" of {row['of'] / 1000:.0f}" if missing else "") + " k steps",
        f"solved {row['success']:.1%} (best {row['best']:.1%})",
        " ".join(parts),
        f"{row['steps_per_s']:.0f} steps/s",
        "done" if row["done"] else "" if left is None else f"{left / 60:.0f} min left",
    )
