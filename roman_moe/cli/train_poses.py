"""`roman-moe train poses`: trains the estimator of object poses on labelled images."""

from __future__ import annotations

import json
import time
from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from roman_moe.cli import options as opt
from roman_moe.cli.progress import RunProgress
from roman_moe.core.paths import config_path


@dataclass(frozen=True, kw_only=True)
class Poses:
    """Train the estimator of object poses on images."""

    needs = ("torch", "onnx", "onnxruntime", "cv2")

    images: opt.Folder = Path("images")
    """Folder of images from `roman-moe data images`."""

    task: opt.Text = "roman"
    """The task of the images, by its name or folder."""

    out: opt.OptionalFolder = None
    """Folder of the run; runs/poses_TASK if not given."""

    recipe: opt.OptionalFile = None
    """YAML file with every number of the training; config/training/poses.yaml if not given."""

    resume: opt.Flag = False
    """Continue an interrupted run from its last checkpoint."""

    seed: opt.Seed = 0
    workers: opt.Count = 2
    """Number of processes."""

    json: opt.Report = None

    @property
    def folder(self) -> Path:
        return self.out or Path("runs") / f"poses_{Path(self.task).name}"

    def main(self) -> int:
        from roman_moe.core.tasks import load_spec, task_folder
        from roman_moe.learning.poses.recipe import load_poses_recipe
        from roman_moe.learning.poses.training import ESTIMATOR, PosesRun, train_poses, write_estimator

        recipe = load_poses_recipe(self.recipe or config_path("training/poses.yaml"))
        run = PosesRun(load_spec(task_folder(self.task)), self.images, self.folder, recipe, self.seed, self.workers)
        console = Console()
        began = time.monotonic()
        with RunProgress(console, partial(read_curve, self.folder)):
            train_poses(run, self.resume)
        errors = write_estimator(run)
        opt.say(
            console,
            f"{self.folder / ESTIMATOR}: median {1e3 * errors['median_m']:.1f} mm, 95 % within "
            f"{1e3 * errors['p95_m']:.1f} mm, {time.monotonic() - began:.0f} s",
        )
        opt.write_report(self.json, {"run": str(self.folder), **errors})
        return 0


def read_curve(folder: Path) -> dict[Hashable, str]:
    """A line for each checkpoint of a run, by its step."""
    try:
        rows: list[dict[str, Any]] = json.loads((folder / "curve.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        row["step"]: f"step {row['step']} of {row['of']}, {row['images_per_s']:.0f} images/s, on held-out images: "
        f"median {1e3 * row['median_m']:.1f} mm, 95 % within {1e3 * row['p95_m']:.1f} mm, missed {row['missed']:.1%}"
        for row in rows
    }
