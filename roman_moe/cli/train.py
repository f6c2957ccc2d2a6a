"""`roman-moe train`: from demonstrations to networks, by behaviour cloning alone or by hybrid learning."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_json
from roman_moe.core.paths import config_path
from roman_moe.core.skills import SKILLS

if TYPE_CHECKING:
    from roman_moe.learning.clone import ClonedNetwork

NETWORKS = (*SKILLS, "gate")


@dataclass(frozen=True)
class Train:
    """Train networks from demonstrations: all, one expert, the gate over trained experts, or by cloning alone (bc)."""

    what: tyro.conf.Positional[Literal["all", "expert", "gate", "bc"]]
    """all: every network, then the bundle; expert: the one of SKILL; gate: over the experts in the run's folder; bc:
    behaviour cloning alone, straight into a bundle."""

    skill: tyro.conf.Positional[str] = ""
    """The expert's skill, such as push."""

    demos: Path = Path("demos")
    """Folder with the demonstrations, as `roman-moe collect` makes it."""

    out: Path | None = None
    """Folder of the run, runs/<name of the recipe> if not given; for bc that of the bundle, models/roman."""

    recipe: Path | None = None
    """YAML file with every number of the training; config/training/fast.yaml (bc: bc.yaml) if not given."""

    budget: float = 1.0
    """Share of the recipe's environment steps that every network gets; not for bc, which takes none."""

    resume: bool = False
    """Take up a run that was cut off: what comes out is what would have come out."""

    networks: str = "all"
    """For bc: which to train, all or some, such as push,gate; the others stay as they are in the bundle."""

    seed: int = 0
    """Seed of everything random."""

    workers: int = 2
    """Processes; the result does not depend on it."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write what came of it to this file."""

    def main(self) -> int:
        """Train; 0 when all that was asked for is written."""
        for name, value, least in (("seed", self.seed, 0), ("workers", self.workers, 1)):
            if value < least:
                raise ConfigError(f"--{name} {value}: expected {least} or more")
        if not 0.0 < self.budget <= 1.0:
            raise ConfigError(f"--budget {self.budget}: expected more than 0 and at most 1")
        if self.skill and self.what != "expert":
            raise ConfigError(f"train {self.what} {self.skill}: only train expert takes a skill")
        if self.what == "expert" and self.skill not in SKILLS:
            found = repr(self.skill) if self.skill else "none"
            raise ConfigError(f"train expert: the skill is {found}: expected one of {', '.join(SKILLS)}")
        if self.what == "bc":
            return self._clone()
        if self.networks != "all":
            raise ConfigError("--networks: is for bc; use train expert SKILL or train gate")
        return self._practise({"all": NETWORKS, "gate": ("gate",)}.get(self.what, (self.skill,)))

    def _practise(self, networks: Sequence[str]) -> int:
        from roman_moe.learning.hybrid.recipe import load_hybrid_recipe
        from roman_moe.learning.hybrid.run import Run, curves, train_run
        from roman_moe.report.plots import plot_curves

        path = self.recipe or config_path("training/fast.yaml")
        folder = self.out or Path("runs") / path.stem
        run = Run(folder, load_hybrid_recipe(path).with_budget(self.budget), self.demos, self.seed, self.workers)
        console = Console()
        began = time.monotonic()
        with RunProgress(console, folder, networks):
            record = train_run(run, networks, self.resume)
        rows = curves(folder)
        plot_curves(rows, folder / "curves.png")
        steps = record["environment_steps"]
        console.print(
            f"{folder}: {steps / 1e6:.2f} million environment steps, {time.monotonic() - began:.0f} s", soft_wrap=True
        )
        if self.json:
            write_json(self.json, {"run": str(folder), **record, "curves": {name: rows[name] for name in networks}})
        return 0

    def _clone(self) -> int:
        from roman_moe.learning.clone import clone_bundle
        from roman_moe.learning.recipe import load_recipe

        if self.budget != 1.0:
            raise ConfigError(
                "--budget: is for environment steps, and cloning alone takes none: see the recipe's steps"
            )
        if self.resume:
            raise ConfigError("--resume: cloning alone takes minutes and is not taken up: run it again")
        out = self.out or Path("models/roman")
        names = parse_networks(self.networks)
        recipe = load_recipe(self.recipe or config_path("training/bc.yaml"))
        console = Console()
        began = time.monotonic()
        report: dict[str, object] = {}
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("networks"),
            TimeElapsedColumn(),
            console=console,
        )
        with progress:
            bar = progress.add_task(str(out), total=len(names))

            def done(cloned: ClonedNetwork) -> None:
                report[cloned.network] = cloned.provenance
                errors = (
                    f"{name.replace('_', ' ')} {value:.3f}" for name, value in cloned.provenance["errors"].items()
                )
                left_out = cloned.provenance["demonstrations"].get("left_out_scenes")
                note = f", {left_out} scenes without an answer or command left out" if left_out else ""
                progress.console.print(
                    f"{cloned.network:16} {', '.join(errors)}{note}", highlight=False, soft_wrap=True
                )
                progress.advance(bar)

            clone_bundle(self.demos, out, recipe, self.seed, self.workers, names, done)
        console.print(f"{out}: written after {time.monotonic() - began:.0f} s", soft_wrap=True)
        if self.json:
            write_json(self.json, {"bundle": str(out), "networks": report})
        return 0


class RunProgress:
    """Shows how a run stands, read from its folder: a table on a terminal, else a line for each checkpoint.

    Args:
        console: where to.
        folder: of the run.
        networks: that are trained.
    """

    INTERVAL = 1.0  # [s]

    def __init__(self, console: Console, folder: Path, networks: Sequence[str]) -> None:
        self._console = console
        self._folder = folder
        self._networks = networks
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._told: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> RunProgress:
        from roman_moe.learning.hybrid.trainer import read_progress

        self._read = read_progress
        for name in self._networks:  # what an earlier, cut-off run said is no news
            self._told[name] = (read_progress(self._folder / name) or {}).get("checkpoints", 0)
        if self._live is not None:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()
        self._show()
        if self._live is not None:
            self._live.stop()

    def _watch(self) -> None:
        while not self._stop.wait(self.INTERVAL):
            self._show()

    def _show(self) -> None:
        rows = {name: self._read(self._folder / name) for name in self._networks}
        if self._live is not None:
            self._live.update(progress_table(self._folder, rows), refresh=True)
            return
        for name, row in rows.items():
            if row is not None and row["checkpoints"] > self._told[name]:
                self._told[name] = row["checkpoints"]
                cells = (text for text in progress_cells(row) if text)
                self._console.print(f"{name:16} {', '.join(cells)}", highlight=False, soft_wrap=True)


def progress_table(folder: Path, rows: dict[str, dict[str, Any] | None]) -> Table:
    """How all networks of a run stand."""
    table = Table(title=str(folder), title_justify="left")
    for column in ("network", "steps", "solved", "reward", "speed", "left"):
        table.add_column(column, justify="left" if column == "network" else "right", no_wrap=True)
    for name, row in rows.items():
        table.add_row(name, *(progress_cells(row) if row is not None else ("waits", "", "", "", "")))
    return table


def progress_cells(row: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """Steps, success, reward parts, speed and time left of one network, for people."""
    left = (row["of"] - row["steps"]) / row["steps_per_s"] if row["steps_per_s"] else None
    parts = [
        f"{name} {row[key]:.2f}"
        for name, key in (("r_I", "imitation_reward"), ("r_E", "extrinsic_reward"))
        if row[key] is not None
    ]
    return (
        f"{row['steps'] / 1000:.0f} of {row['of'] / 1000:.0f} k steps",
        f"solved {row['success']:.1%} (best {row['best']:.1%})",
        " ".join(parts),
        f"{row['steps_per_s']:.0f} steps/s",
        "done" if row["done"] else "" if left is None else f"{left / 60:.0f} min left",
    )


def parse_networks(text: str) -> tuple[str, ...]:
    """Names in text such as "push,gate", or all of them for "all".

    Raises:
        ConfigError: naming the first that is no network.
    """
    names = NETWORKS if text == "all" else tuple(dict.fromkeys(text.replace(" ", "").split(",")))
    for name in names:
        if name not in NETWORKS:
            raise ConfigError(f"--networks: unknown network {name!r}: expected all, or some of {', '.join(NETWORKS)}")
    return names
