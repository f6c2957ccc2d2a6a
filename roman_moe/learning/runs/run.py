"""A run: the folder in which networks are trained together, experts first, then the gate over them.

It holds its task, its full recipe, where everything came from, a folder per network with checkpoint and curve,
TensorBoard's logs, and in the end the bundle.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from roman_moe.control.bundle_writer import write_bundle
from roman_moe.control.identity import identify
from roman_moe.core.errors import ConfigError
from roman_moe.core.files import write_file, write_json
from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import GATE, TASK_FILE, TaskSpec, read_spec
from roman_moe.evaluation.pool import Workers, run_jobs
from roman_moe.learning.demonstration_sets import Demonstrations, sets_of, sets_provenance
from roman_moe.learning.export import export_policy
from roman_moe.learning.recipes.hybrid import HybridRecipe, load_hybrid_recipe
from roman_moe.learning.runs.clone import networks_of_bundle
from roman_moe.learning.runs.distillation import identity_of, load_prior
from roman_moe.learning.runs.shipping import summary_of
from roman_moe.learning.runs.trainer import (
    CHECKPOINT,
    TrainingJob,
    demonstrated,
    finished,
    load_best,
    load_checkpoint,
)
from roman_moe.learning.runs.trainer import train_network as _train_network
from roman_moe.sim.task import SimTask

RECIPE = "recipe.yaml"
RECORD = "run.json"
BUNDLE = "bundle"
METHOD = "hybrid"


@dataclass(frozen=True, slots=True)
class Run:
    """What to train, and where.

    Attributes:
        demonstrations: dataset folder, or sets with weights.
        workers: processes, or threads for the gate; or a cluster.
        base: bundle whose networks the training starts from, and which the run's bundle keeps the others of; None for
            other weights.
        prior: folder of a Distral policy whose prior the training starts from; None for random weights.
    """

    task: SimTask
    folder: Path
    recipe: HybridRecipe
    demonstrations: Demonstrations
    seed: int
    workers: Workers = 1
    base: Path | None = None
    prior: Path | None = None

    @property
    def spec(self) -> TaskSpec:
        return self.task.spec

    def job(self, network: str) -> TrainingJob:
        """The training of one network; experts share the cores among them, the gate has all to itself."""
        workers = self.workers if network == GATE else 1
        return TrainingJob(
            self.task, self.folder, network, self.recipe.networks[network], self.recipe.rates, self.demonstrations,
            self.seed, workers, base=self.base, prior=self.prior,
        )  # fmt: skip


def train_run(run: Run, networks: Sequence[str], resume: bool = False) -> dict[str, Any]:
    """Train networks in a run's folder; when all of them are there, write the bundle; answers the run's record.

    Args:
        networks: skills and "gate"; the gate comes last, over the best experts in the folder.
        resume: take up what a cut-off run left.

    Raises:
        ConfigError: if the folder holds a run with another recipe, seed or demonstrations. Also if a network is there
            already while `resume` is false, or if the gate's experts are missing or were cut off.
        DemonstrationError: if demonstrations cannot be used.
        DivergedError: if training diverges; the last good checkpoint stays.
    """
    began = time.monotonic()
    record = _prepare(run, networks, resume)
    done = {name for name, rows in curves(run.folder).items() if finished(rows, run.recipe.networks[name])}
    experts = [name for name in networks if name not in (GATE, *done)]
    # What takes longest first, so that no worker is left with it at the end.
    experts.sort(key=lambda name: -run.recipe.networks[name].ppo.steps)
    for _ in run_jobs(_train_network, [run.job(name) for name in experts], run.workers):
        pass
    if GATE in networks and GATE not in done:
        list(run_jobs(_train_network, [run.job(GATE)], run.workers))
    record["seconds"] += time.monotonic() - began
    record["environment_steps"] = sum(
        rows[-1]["steps"] + rows[-1]["validation_steps"] for rows in curves(run.folder).values()
    )
    write_json(run.folder / RECORD, record)
    if run.base is not None or all((run.folder / name / CHECKPOINT).exists() for name in run.spec.networks):
        bundle_of(run.folder, run.folder / BUNDLE)
    return record


def _prepare(run: Run, networks: Sequence[str], resume: bool) -> dict[str, Any]:
    """Check everything that can be checked before anything is trained, and write the run's record."""
    folder, recipe = run.folder, run.recipe
    path = folder / RECORD
    sets = sets_of(run.demonstrations)
    said = {name: sets_provenance(sets, run.spec, name) for name in networks}
    hashes = {name: content["sha256"] for name, content in said.items()}
    there = [found.name for found in folder.iterdir()] if folder.exists() else []
    base = {} if run.base is None else identify(run.base).to_dict()
    prior = {}
    if run.prior is not None:
        load_prior(run.prior, run.spec)
        prior = identity_of(run.prior)
    for name in networks:
        demonstrated(run.job(name))
        if not resume and (folder / name / CHECKPOINT).exists():
            raise ConfigError(f"{folder / name}: is trained already: go on with --resume or choose another --out")
    if GATE in networks:
        missing = [s for s in run.spec.skills if s not in networks and not (folder / s / CHECKPOINT).exists()]
        if missing:
            raise ConfigError(f"{folder}: has no expert for {', '.join(missing)}: train the experts before the gate")
    if path.exists():
        record = read_record(folder)
        if read_spec(folder / TASK_FILE) != run.spec:
            raise ConfigError(
                f"{folder}: holds a run of another task, or of another version of it: choose another --out"
            )
        if load_hybrid_recipe(folder / RECIPE, run.spec) != recipe:
            raise ConfigError(f"{folder}: holds a run with another recipe: choose another --out")
        if record["seed"] != run.seed:
            raise ConfigError(f"{folder}: holds a run with seed {record['seed']}: choose another --out")
        if record.get("base", {}) != base:
            raise ConfigError(f"{folder}: was begun from another bundle's weights, or none: choose another --out")
        if record.get("prior", {}) != prior:
            raise ConfigError(f"{folder}: was begun from another prior's weights, or none: choose another --out")
        for name, digest in hashes.items():
            if record["demonstrations"].get(name, digest) != digest:
                raise ConfigError(f"{folder}: was begun with other demonstrations of {name}: choose another --out")
    elif any(not name.startswith(".") and name not in (TASK_FILE, RECIPE) for name in there):
        raise ConfigError(f"{folder}: holds something that is no run: choose another --out")
    else:
        if resume:
            raise ConfigError(f"{folder}: no run to resume")
        record = new_record(run.seed)
        write_description(folder, run.spec, recipe)
    if GATE in networks:
        begun = {skill: rows for skill, rows in curves(folder).items() if skill != GATE and skill not in networks}
        cut_off = [skill for skill, rows in begun.items() if not finished(rows, recipe.networks[skill])]
        if cut_off:
            raise ConfigError(f"{folder}: training of {', '.join(cut_off)} was cut off: --resume it before the gate")
    record["demonstrations"] |= hashes
    if base:
        record["base"] = base
    if prior:
        record["prior"] = prior
    if len(sets) > 1:
        record["sets"] = record.get("sets", {}) | {name: content["sets"] for name, content in said.items()}
    write_json(path, record)
    return record


def write_description(folder: Path, spec: TaskSpec, recipe: HybridRecipe) -> None:
    """Say in a run's folder what is trained, and how."""
    write_file(folder / TASK_FILE, spec.to_yaml())
    write_file(folder / RECIPE, yaml.safe_dump(recipe.to_dict(), sort_keys=False))


def new_record(seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "git_commit": git_commit(),
        "demonstrations": {},
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in ("torch", "stable-baselines3", "mujoco", "numpy")},
        "seconds": 0.0,
    }


def read_record(folder: Path) -> dict[str, Any]:
    """What a run says about itself.

    Raises:
        ConfigError: if `folder` is no run.
    """
    path = folder / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return record


def curves(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The curve of each network that has a checkpoint in a run's folder: one row a checkpoint."""
    checkpoints = {name: load_checkpoint(folder / name) for name in read_spec(folder / TASK_FILE).networks}
    return {name: checkpoint["rows"] for name, checkpoint in checkpoints.items() if checkpoint}


def bundle_of(folder: Path, out: Path, evaluation: Path | None = None) -> None:
    """Write the best networks of a run as a bundle; with a report of `evaluate` in its provenance.

    Networks that the run has not trained are those of the bundle that it started from, if it did.

    Raises:
        ConfigError: if a network is missing, or the report is none.
        BundleError: if `out` holds something that is no bundle.
    """
    record, spec = read_record(folder), read_spec(folder / TASK_FILE)
    recipe = load_hybrid_recipe(folder / RECIPE, spec)
    base = record.get("base")
    if base and identify(base["controller"]).to_dict() != base:
        raise ConfigError(f"{base['controller']}: is no longer the bundle that {folder} started from")
    data, networks = networks_of_bundle(Path(base["controller"]), spec, recipe.rates) if base else ({}, {})
    torch.set_num_threads(1)
    for name in spec.networks:
        if base and not (folder / name / CHECKPOINT).exists():
            continue
        policy = load_best(spec, folder / name)
        rows = (load_checkpoint(folder / name) or {})["rows"]
        best = max(row["success"] for row in rows)
        data[name] = export_policy(policy, np.zeros((1, len(policy.features)), np.float32), recipe.rates)
        networks[name] = {
            "demonstrations": {
                "sha256": record["demonstrations"][name],
                **({"sets": record["sets"][name]} if name in record.get("sets", {}) else {}),
            },
            **{key: record[key] for key in ("base", "prior") if key in record},
            "environment_steps": rows[-1]["steps"],
            "validation_success": best,
            "recipe": recipe.to_dict()["networks"][name],
        }
    provenance = {
        "method": METHOD,
        "git_commit": record["git_commit"],
        "seed": record["seed"],
        "packages": record["packages"],
        "networks": networks,
    }
    if evaluation is not None:
        provenance["evaluation"] = summary_of(evaluation)
    write_bundle(out, spec, data, recipe.rates, provenance)
