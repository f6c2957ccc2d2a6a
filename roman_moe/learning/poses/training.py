"""Training of the estimator's network on an image set, in one or several processes; what is cut off goes on.

Batches follow from (seed, step) alone, so a resumed run sees what an uninterrupted one sees. With several processes
each takes its share of every batch, and gradients are averaged. Results differ between numbers of processes: sums have
another order, and batch normalisation sees shares.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import distributed

from roman_moe.core.errors import ConfigError, RomanError
from roman_moe.core.files import atomic_path, write_file, write_json
from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import TaskSpec
from roman_moe.evaluation.pool import run_jobs
from roman_moe.learning.poses.data import Samples
from roman_moe.learning.poses.export import export_estimator
from roman_moe.learning.poses.losses import losses, total
from roman_moe.learning.poses.network import PoseNetwork
from roman_moe.learning.poses.recipe import PosesRecipe, load_poses_recipe
from roman_moe.learning.poses.validation import Errors, validate
from roman_moe.perception.image_set import ImageSet

CHECKPOINT = "checkpoint.pt"
RECORD = "run.json"
RECIPE = "recipe.yaml"
CURVE = "curve.json"
ESTIMATOR = "poses.onnx"
GRADIENT_NORM = 5.0
TIMEOUT = timedelta(hours=2)
"""For another process that is slow, as on a busy machine: one that has died is noticed at once."""


@dataclass(frozen=True)
class PosesRun:
    """What to train, and where.

    Attributes:
        images: folder of the image set.
    """

    spec: TaskSpec
    images: Path
    folder: Path
    recipe: PosesRecipe
    seed: int
    workers: int = 1


@dataclass(frozen=True)
class _Rank:
    run: PosesRun
    number: int

    @property
    def alone(self) -> bool:
        return self.run.workers == 1


def train_poses(run: PosesRun, resume: bool) -> None:
    """Train, from the last checkpoint on if `resume`.

    Raises:
        ConfigError: if the folder holds another run, or one while `resume` is false, or none while it is true.
        DemonstrationError: if the images cannot be used.
        RomanError: if training diverges.
    """
    _prepare(run, resume)
    _meeting_place(run).unlink(missing_ok=True)  # one of an earlier call would mislead them
    try:
        list(run_jobs(_train, [_Rank(run, number) for number in range(run.workers)], run.workers))
    finally:
        _meeting_place(run).unlink(missing_ok=True)


def _prepare(run: PosesRun, resume: bool) -> None:
    images = ImageSet(run.images)
    images.check(run.spec)
    path = run.folder / RECIPE
    if not path.exists():
        if resume:
            raise ConfigError(f"{run.folder}: no run to resume")
        if run.folder.exists() and any(run.folder.iterdir()):
            raise ConfigError(f"{run.folder}: holds something that is no run: choose another --out")
        write_file(path, yaml.safe_dump(asdict(run.recipe), sort_keys=False))
        record = {"task": run.spec.name, "task_sha256": run.spec.digest, "seed": run.seed, "git_commit": git_commit()}
        write_json(run.folder / RECORD, {**record, "images_seed": images.description.seed, "torch": torch.__version__})
        return
    if not resume:
        raise ConfigError(f"{run.folder}: holds a run: go on with --resume or choose another --out")
    if load_poses_recipe(path) != run.recipe:
        raise ConfigError(f"{run.folder}: holds a run with another recipe: choose another --out")


def _meeting_place(run: PosesRun) -> Path:
    """The file by which the processes find each other."""
    return run.folder / ".processes"


def _train(rank: _Rank) -> None:
    torch.set_num_threads(1)
    if rank.alone:
        _Trainer(rank).train()
        return
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{_meeting_place(rank.run).resolve()}",
        rank=rank.number,
        world_size=rank.run.workers,
        timeout=TIMEOUT,
    )
    try:
        _Trainer(rank).train()
    finally:
        distributed.destroy_process_group()


class _Trainer:
    """One process's part of the training."""

    def __init__(self, rank: _Rank) -> None:
        run = rank.run
        self._run, self._rank = run, rank
        images = ImageSet(run.images)
        self._samples = Samples(images, run.spec, run.recipe.validation_share, validation=False)
        self._held_out = Samples(images, run.spec, run.recipe.validation_share, validation=True)
        torch.manual_seed(run.seed)
        # the same numbers in another order: a tenth to a quarter faster on CPUs
        network = PoseNetwork(len(run.spec.objects), run.recipe.widths)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), run.recipe.learning_rate, weight_decay=run.recipe.weight_decay
        )
        self._rows: list[dict[str, Any]] = []
        self._step = 0
        if (run.folder / CHECKPOINT).exists():
            self._load()

    def train(self) -> None:
        recipe = self._run.recipe
        parts: list[dict[str, float]] = []
        began, begun = time.monotonic(), self._step
        while self._step < recipe.steps:
            parts.append(self._update())
            self._step += 1
            if self._step % recipe.checkpoint_steps == 0 or self._step == recipe.steps:
                row = {name: float(np.mean([each[name] for each in parts])) for name in parts[0]}
                speed = (self._step - begun) * recipe.batch_size / (time.monotonic() - began)
                self._save({"step": self._step, "of": recipe.steps, "images_per_s": speed, **row})
                parts = []

    def _update(self) -> dict[str, float]:
        recipe, run = self._run.recipe, self._run
        rng = np.random.default_rng([run.seed, self._step])
        indices = rng.integers(len(self._samples), size=recipe.batch_size)
        mine = indices[self._rank.number :: run.workers]
        batch = self._samples.batch(mine, np.random.default_rng([run.seed, self._step, self._rank.number]))
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.rate(self._step)
        self._optimizer.zero_grad()
        parts = losses(self._network(batch.images, batch.geometry), batch.labels)
        total(parts).backward()
        self._average([each.grad for each in self._network.parameters() if each.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), GRADIENT_NORM)
        if not torch.isfinite(norm):
            raise RomanError(f"{run.folder}: training diverged at step {self._step}: try a lower learning_rate")
        self._optimizer.step()
        return {name: float(part.detach()) for name, part in parts.items()}

    def _average(self, tensors: list[torch.Tensor]) -> None:
        """Make tensors their mean over all processes."""
        if self._rank.alone:
            return
        flat = torch.cat([each.flatten() for each in tensors])
        distributed.all_reduce(flat)
        flat /= self._run.workers
        for each, mean in zip(tensors, flat.split([each.numel() for each in tensors]), strict=True):
            each.copy_(mean.view_as(each))

    def _save(self, row: dict[str, Any]) -> None:
        """Checkpoint; the first process validates, while the others wait for its next gradients."""
        self._average([each for each in self._network.buffers() if each.is_floating_point()])
        if self._rank.number > 0:
            return
        errors: Errors = validate(self._network, self._held_out, self._run.spec)
        self._rows.append({**row, **errors.to_dict()})
        content = {
            "step": self._step,
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rows": self._rows,
        }
        with atomic_path(self._run.folder / CHECKPOINT) as temporary:
            torch.save(content, temporary)
        write_json(self._run.folder / CURVE, self._rows)

    def _load(self) -> None:
        content = torch.load(self._run.folder / CHECKPOINT, weights_only=True)
        self._step, self._rows = content["step"], content["rows"]
        self._network.load_state_dict(content["network"])
        self._optimizer.load_state_dict(content["optimizer"])


def write_estimator(run: PosesRun) -> dict[str, Any]:
    """Write a run's network as the estimator's file, `poses.onnx` in its folder; answers its errors on held-out images.

    Raises:
        ConfigError: if there is no checkpoint.
        BundleError: if torch and ONNX differ.
    """
    torch.set_num_threads(1)
    path = run.folder / CHECKPOINT
    if not path.is_file():
        raise ConfigError(f"{run.folder}: no {CHECKPOINT}: expected a run of `roman-moe train poses`")
    network = PoseNetwork(len(run.spec.objects), run.recipe.widths)
    network.load_state_dict(torch.load(path, weights_only=True)["network"])
    held_out = Samples(ImageSet(run.images), run.spec, run.recipe.validation_share, validation=True)
    errors = validate(network, held_out, run.spec)
    provenance = {
        **json.loads((run.folder / RECORD).read_text(encoding="utf-8")),
        "recipe": asdict(run.recipe),
        "held_out": errors.to_dict(),
    }
    data = export_estimator(network, errors, held_out, run.spec, provenance)
    write_file(run.folder / ESTIMATOR, data)
    return errors.to_dict()
