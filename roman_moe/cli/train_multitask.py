"""`roman-moe train multitask`: one method of multi-task reinforcement learning on a suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console

from roman_moe.cli import options as opt
from roman_moe.cli.parsing import unknown_word
from roman_moe.core.errors import ConfigError
from roman_moe.core.ranges import Range


@dataclass(frozen=True, kw_only=True)
class Multitask:
    """Train one method of multi-task learning on a suite."""

    method: opt.Text = "soft_modular"
    """sac (each task by itself), mt_sac, mt_mh_sac, mix_expert, hard_routing, soft_modular, soft_modular_unbalanced;
    by actor-critic distral_kl_1col, distral_kl_ent_1col, distral_kl_2col, distral_kl_ent_2col, ac_separate,
    ac_multitask, ac_2col (docs/mixtures.md)."""

    suite: opt.Text = "conflict"
    """The suite: conflict, mt3, mt10, mt50, or a task whose skills it is (docs/mixtures.md)."""

    steps: Annotated[
        int | None, tyro.conf.arg(metavar="N", help_behavior_hint=opt.SILENT), Range(1000, 100_000_000)
    ] = None
    """Environment steps of each task; 40000 if not given. --demos needs none."""

    demos: Annotated[str, tyro.conf.arg(metavar="FOLDER[=WEIGHT],...", help_behavior_hint=opt.SILENT)] = ""
    """On the suite of a task: clone the network from these demonstrations of `collect`, without reinforcement
    learning."""

    seed: opt.Seed = 0
    device: opt.Text = "cpu"
    """Device for SAC: cpu, or cuda for a GPU."""

    out: opt.OptionalFolder = None
    """Folder for the policy; runs/multitask/SUITE/METHOD/seed_N if not given. An interrupted training continues
    there."""

    json: opt.Report = None

    @property
    def needs(self) -> tuple[str, ...]:
        return ("torch", "mujoco", "gymnasium", "rosbags") if self.demos else ("torch",)

    @property
    def folder(self) -> Path:
        return self.out or Path("runs/multitask") / Path(self.suite).name / self.method / f"seed_{self.seed}"

    def main(self) -> int:
        from roman_moe.learning.runs.multitask import METHODS

        if self.method not in METHODS:
            raise ConfigError(unknown_word("method", self.method, tuple(METHODS)))
        if self.demos and self.device != "cpu":
            raise ConfigError(f"--device {self.device}: not valid with --demos, which are cloned on the CPU")
        if self.demos and self.steps is not None:
            raise ConfigError("--steps: not valid with --demos, which are cloned without environment steps")
        console = Console()

        def told(what: str) -> None:
            opt.say(console, what)

        found = self._clone(told) if self.demos else self._train(told)
        opt.write_report(self.json, found)
        return 0

    def _train(self, told: Callable[[str], None]) -> dict[str, Any]:
        from roman_moe.learning.runs.multitask import MultitaskRun, evaluation_interval

        steps = 40_000 if self.steps is None else self.steps
        run = MultitaskRun(
            self.suite, self.method, self.seed, steps, evaluate_every=evaluation_interval(steps), device=self.device
        )
        found = run.train(self.folder, lambda row: told(f"{row['steps']} steps: {_solved(row)}"))
        speed = f"{found['updates_per_s']:.0f} updates and {found['steps_per_s']:.0f} environment steps a second"
        told(f"{self.folder}: {found['parameters']} parameters, {speed}")
        return found

    def _clone(self, told: Callable[[str], None]) -> dict[str, Any]:
        from roman_moe.learning.demonstration_sets import parse_sets
        from roman_moe.learning.runs.multitask_clone import clone_multitask, cloning_run

        sets = parse_sets(self.demos, "", "--demos")
        found = clone_multitask(cloning_run(self.suite, self.method, self.seed), sets, folder=self.folder)
        for skill, errors in found["errors"].items():
            told(f"{skill:16} " + ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in errors.items()))
        told(f"{self.folder}: cloned, {found['parameters']} parameters, {_solved(found['rows'][-1])}")
        return found


def _solved(row: Mapping[str, Any]) -> str:
    tasks = ", ".join(f"{task} {share:.0%}" for task, share in row["success"].items())
    return f"solved {np.mean([*row['success'].values()]):.1%} ({tasks})"
