"""`roman-moe train multitask`: one method of multi-task reinforcement learning on a suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.console import Console

from roman_moe.cli.options import Number, OptionalFile, OptionalFolder, Text
from roman_moe.cli.parsing import unknown_word
from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_json
from roman_moe.core.ranges import AT_LEAST_0, Range


@dataclass(frozen=True, kw_only=True)
class Multitask:
    """Train one method of multi-task learning on a suite."""

    needs = ("torch",)
    ranges: ClassVar[Mapping[str, Range]] = {"seed": AT_LEAST_0, "steps": Range(1000, 100_000_000)}

    method: Text = "soft_modular"
    """sac (each task by itself), mt_sac, mt_mh_sac, mix_expert, hard_routing, soft_modular, soft_modular_unbalanced;
    by actor-critic distral_kl_1col, distral_kl_ent_1col, distral_kl_2col, distral_kl_ent_2col, ac_separate,
    ac_multitask, ac_2col (docs/mixtures.md)."""

    suite: Text = "conflict"
    """The suite: conflict, lab, mt3, mt10, mt50, or a task whose skills it is (docs/mixtures.md)."""

    steps: Number = 40_000
    """Environment steps of each task."""

    seed: Number = 0
    """Seed of everything random."""

    out: OptionalFolder = None
    """Folder for the policy; runs/multitask/SUITE/METHOD/seed_N if not given. What was cut off goes on there."""

    json: OptionalFile = None
    """Write all evaluations to this file."""

    @property
    def folder(self) -> Path:
        """Where the policy goes."""
        return self.out or Path("runs/multitask") / Path(self.suite).name / self.method / f"seed_{self.seed}"

    def main(self) -> int:
        """0 when it is trained."""
        from roman_moe.learning.runs.multitask import METHODS, MultitaskRun, evaluation_interval

        if self.method not in METHODS:
            raise ConfigError(unknown_word("method", self.method, tuple(METHODS)))
        console = Console()

        def told(row: Mapping[str, Any]) -> None:
            tasks = ", ".join(f"{task} {share:.0%}" for task, share in row["success"].items())
            mean = np.mean([*row["success"].values()])
            console.print(f"{row['steps']} steps: solved {mean:.1%} ({tasks})", highlight=False, soft_wrap=True)

        run = MultitaskRun(
            self.suite, self.method, self.seed, self.steps, evaluate_every=evaluation_interval(self.steps)
        )
        found = run.train(self.folder, told)
        speed = f"{found['updates_per_s']:.0f} updates and {found['steps_per_s']:.0f} environment steps a second"
        console.print(f"{self.folder}: {found['parameters']} parameters, {speed}", highlight=False, soft_wrap=True)
        if self.json:
            write_json(self.json, found)
        return 0
