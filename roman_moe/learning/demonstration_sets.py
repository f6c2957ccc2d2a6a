"""Sets of demonstrations from which one network learns, each with a weight: its share of the samples.

Samples of a set that is short of its share are repeated; none is left out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.core.errors import ConfigError, DemonstrationError
from roman_moe.core.spec import TASK_FILE, TaskSpec
from roman_moe.demos.dataset import dataset_hash, dataset_spec
from roman_moe.learning.samples import Samples


@dataclass(frozen=True, slots=True)
class DemonstrationSet:
    """One set.

    Attributes:
        dataset: folder with the task and a folder a network.
        weight: its share, against the other sets' weights.
        whole: whether all its demonstrations are used, not as many as a recipe says.
    """

    dataset: Path
    weight: float = 1.0
    whole: bool = False


Demonstrations = Path | Sequence[DemonstrationSet]  # a dataset, or several


def sets_of(demonstrations: Demonstrations) -> tuple[DemonstrationSet, ...]:
    """One or several datasets as sets."""
    return (DemonstrationSet(demonstrations),) if isinstance(demonstrations, Path) else tuple(demonstrations)


def parse_sets(text: str, network: str, option: str) -> tuple[DemonstrationSet, ...]:
    """Sets from FOLDER[=WEIGHT] with commas between. A folder is a dataset, or its folder of the network: used whole.

    Raises:
        ConfigError: on a weight that is no positive number, or a folder of another network.
    """
    demonstration_sets = []
    for part in text.split(","):
        folder, equals, weight = part.strip().partition("=")
        try:
            share = float(weight) if equals else 1.0
        except ValueError:
            share = math.nan
        if not 0.0 < share < math.inf:
            raise ConfigError(f"{option} {part.strip()}: weight {weight!r}: expected a number more than 0")
        path = Path(folder)
        whole = not (path / TASK_FILE).exists() and (path.parent / TASK_FILE).exists()
        if whole and path.name != network:
            raise ConfigError(f"{option} {folder}: teaches {path.name!r}: expected {network or 'a dataset'}")
        demonstration_sets.append(DemonstrationSet(path.parent if whole else path, share, whole))
    return tuple(demonstration_sets)


def sets_spec(demonstration_sets: Sequence[DemonstrationSet]) -> TaskSpec:
    """Task of all sets.

    Raises:
        DemonstrationError: if one is of another task or version than the first, or there is none.
    """
    spec = dataset_spec(demonstration_sets[0].dataset)
    for each in demonstration_sets[1:]:
        if dataset_spec(each.dataset) != spec:
            raise DemonstrationError(
                f"{each.dataset}: is of another task or version than {demonstration_sets[0].dataset}"
            )
    return spec


def sets_provenance(demonstration_sets: Sequence[DemonstrationSet], spec: TaskSpec, network: str) -> dict[str, Any]:
    """What is said of them: the sha256 of one set; of several a common one, with each set's own and its weight."""
    hashes = [dataset_hash(each.dataset, spec, network) for each in demonstration_sets]
    if len(demonstration_sets) == 1:
        return {"sha256": hashes[0]}
    sets = [{"sha256": digest, "weight": each.weight} for digest, each in zip(hashes, demonstration_sets, strict=True)]
    return {"sha256": hashlib.sha256(json.dumps(sets).encode()).hexdigest(), "sets": sets}


def mixed_samples(sets: Sequence[Samples], weights: Sequence[float]) -> Samples:
    """One set of samples, of which each set makes up its share."""
    if len(sets) == 1:
        return sets[0]
    sizes = np.array([len(samples.observations) for samples in sets])
    shares = np.array(weights) / sum(weights)
    total = float((sizes / shares).max())
    rows = [np.arange(round(total * share)) % size for share, size in zip(shares, sizes, strict=True)]
    begin = np.cumsum([0] + [int(samples.episodes.max()) + 1 for samples in sets])

    return dataclasses.replace(
        sets[0],
        observations=np.concatenate([samples.observations[row] for samples, row in zip(sets, rows, strict=True)]),
        answers=np.concatenate([samples.answers[row] for samples, row in zip(sets, rows, strict=True)]),
        episodes=np.concatenate(
            [samples.episodes[row] + first for samples, row, first in zip(sets, rows, begin[:-1], strict=True)]
        ),
        noise_bound=min(samples.noise_bound for samples in sets),
    )
