"""From a folder of demonstrations to a bundle: clones the networks, one worker process each, and writes them together.

All demonstrations are read before the first network is trained. Nothing is written before all networks are trained and
proven; an interruption leaves an older bundle as it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roman_moe.control.bundle import load_bundle
from roman_moe.control.bundle_writer import check_replaceable, write_bundle
from roman_moe.control.rates import Rates
from roman_moe.core.errors import BundleError
from roman_moe.core.provenance import git_commit
from roman_moe.core.spec import TaskSpec
from roman_moe.demos.reader import read_episodes
from roman_moe.evaluation.pool import run_jobs
from roman_moe.learning.demonstration_sets import (
    Demonstrations,
    DemonstrationSet,
    mixed_samples,
    sets_of,
    sets_provenance,
    sets_spec,
)
from roman_moe.learning.recipes.cloning import NetworkRecipe, Recipe

if TYPE_CHECKING:
    from roman_moe.learning.samples import Samples

METHOD = "bc"


@dataclass(frozen=True, slots=True)
class ClonedNetwork:
    """One network, trained and exported.

    Attributes:
        network: skill, or "gate".
        data: content of its .onnx file.
        provenance: where it came from, in plain YAML types.
    """

    network: str
    data: bytes
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Reading:
    spec: TaskSpec
    network: str
    sets: Sequence[DemonstrationSet]
    rates: Rates


@dataclass(frozen=True, slots=True)
class _Job:
    samples: Samples
    demonstrations: dict[str, Any]
    recipe: NetworkRecipe
    rates: Rates
    seed: int
    initial: bytes | None


def clone_bundle(
    demonstrations: Demonstrations,
    out: Path,
    recipe: Recipe,
    seed: int,
    workers: int,
    networks: Sequence[str] = (),
    on_cloned: Callable[[ClonedNetwork], None] | None = None,
    force: bool = False,
    base: Path | None = None,
    anew: bool = True,
) -> None:
    """Clone networks from a dataset folder and write them as a bundle.

    Args:
        demonstrations: dataset: task.yaml, and one folder of episodes a network; or sets with weights.
        out: folder of the bundle; networks that are not cloned stay as they are there.
        seed: of initial weights, batches, noise and the split into training and validation.
        workers: how many networks train at a time, one process and one core each.
        networks: which ones to clone; all of the task's, if none.
        force: whether a bundle that is there already may be replaced.
        base: bundle from which networks that are not cloned come; what is in `out` if None.
        anew: whether networks are cloned from random weights, not from those in `base`.

    Raises:
        DemonstrationError: if a network's demonstrations cannot be used.
        BundleError: if `out` holds a bundle already, cannot be written to, or lacks networks that are not cloned.
        ConfigError: if training diverges.
    """
    check_replaceable(out, force)  # before minutes of training
    sets = sets_of(demonstrations)
    spec = sets_spec(sets)
    networks = networks or spec.networks
    kept = [name for name in spec.networks if name not in networks or not anew]
    # Of `out`, an absolute path: never the shipped bundle in place of one that is not there.
    data, provenance = networks_of_bundle(base or out.absolute(), spec, recipe.rates, kept) if kept else ({}, {})
    # The largest first, so that no worker is left with it at the end.
    order = sorted(networks, key=lambda name: -recipe.networks[name].steps * sum(recipe.networks[name].hidden))
    readings = [_Reading(spec, name, sets, recipe.rates) for name in order]
    read = dict(run_jobs(_read, readings, workers))  # a damaged demonstration is found before minutes of training
    jobs = [
        _Job(*read[index], recipe.networks[name], recipe.rates, seed, None if anew else data[name])
        for index, name in enumerate(order)
    ]
    for _, cloned in run_jobs(_clone, jobs, workers):
        data[cloned.network] = cloned.data
        provenance[cloned.network] = cloned.provenance
        if on_cloned is not None:
            on_cloned(cloned)
    origin = {
        "method": METHOD,
        "git_commit": git_commit(),
        "networks": {name: provenance[name] for name in spec.networks},
    }
    write_bundle(out, spec, data, recipe.rates, origin)


def _read(job: _Reading) -> tuple[Samples, dict[str, Any]]:
    """Samples of a network's demonstrations, and their provenance; what a worker does first."""
    from roman_moe.learning.samples import samples_of

    sets = [read_episodes(each.dataset, job.spec, job.network) for each in job.sets]
    episodes = [episode for found in sets for episode in found]
    samples = mixed_samples(
        [samples_of(job.spec, job.network, found, job.rates) for found in sets],
        [each.weight for each in job.sets],
    )
    provenance: dict[str, Any] = {
        **sets_provenance(job.sets, job.spec, job.network),
        "episodes": len(set(samples.episodes.tolist())),
        "samples": len(samples.observations),
    }
    left_out = sum(episode.left_out for episode in episodes)
    return samples, provenance | ({"left_out_scenes": left_out} if left_out else {})


def _clone(job: _Job) -> ClonedNetwork:
    from roman_moe.learning.algorithms import bc  # torch: only where it trains
    from roman_moe.learning.export import export_policy, policy_of

    samples, initial = job.samples, None
    if job.initial is not None:
        initial = policy_of(samples.spec, samples.network, job.initial, job.recipe.near_scales, "the bundle")
    trained = bc.train(samples, job.recipe, job.seed, initial)
    data = export_policy(trained.policy, job.samples.observations, job.rates)
    return ClonedNetwork(
        job.samples.network,
        data,
        {
            "seed": job.seed,
            "demonstrations": job.demonstrations,
            "recipe": dataclasses.asdict(job.recipe),
            **({} if job.initial is None else {"initial_sha256": hashlib.sha256(job.initial).hexdigest()}),
            "errors": {name: round(value, 5) for name, value in trained.errors.items()},
        },
    )


def networks_of_bundle(
    path: Path, spec: TaskSpec, rates: Rates, names: Sequence[str] = ()
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Content and provenance of networks of a bundle; of all, if none are named.

    Raises:
        BundleError: if it lacks one, or is for another task or other rates.
    """
    bundle = load_bundle(path)
    if (bundle.rates, bundle.spec) != (rates, spec):
        raise BundleError(f"{path}: has other rates than the recipe, or another task: train all networks")
    contents, provenance = bundle.contents(), bundle.manifest.provenance.get("networks", {})
    names = names or spec.networks
    missing = [name for name in names if name not in contents]
    if missing:
        raise BundleError(f"{path}: has no network {missing[0]!r} to keep: train it as well")
    return {name: contents[name] for name in names}, {name: provenance.get(name, {}) for name in names}
