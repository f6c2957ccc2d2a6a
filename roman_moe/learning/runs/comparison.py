"""Methods of multi-task learning compared: several seeds each, on the same terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.files import alone_in
from roman_moe.evaluation.pool import Workers, run_jobs
from roman_moe.evaluation.statistics import mean_interval
from roman_moe.learning.runs.multitask import MultitaskRun, kept
from roman_moe.suites.catalogue import find_suite


def train(job: tuple[MultitaskRun, Path]) -> dict[str, Any]:
    """As a job of a pool: a run, into its folder."""
    run, folder = job
    with alone_in(folder):
        return run.train(folder)


def compare(runs: Sequence[MultitaskRun], folder: Path, workers: Workers) -> Iterator[dict[str, Any]]:
    """Train all that is not in the folder yet; yields each training's result, those that are there first.

    Each training has a folder of its own, as `train multitask` leaves it, and goes on there if it was cut off.

    Raises:
        ConfigError: if the folder holds a training of other numbers.
    """
    missing = []
    for run in runs:
        own = folder / find_suite(run.suite).name / run.method / f"seed_{run.seed}"
        found = kept(run, own)
        if found is not None and run.is_whole(found):
            yield found
        else:
            missing.append((run, own))
    for _, found in run_jobs(train, missing, workers):
        yield found


def summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a method reached over its seeds: mean success over the whole training (area), and at its end."""
    curves = curves_of(results)
    area, success = (share_interval(values).tolist() for values in (curves.mean(axis=1), curves[:, -1]))
    return {
        "seeds": len(results),
        "area": {"mean": area[0], "ci95": area[1:]},
        "success": {"mean": success[0], "ci95": success[1:]},
        "parameters": results[0]["parameters"],
        "updates_per_s": float(np.median([result["updates_per_s"] for result in results])),
    }


def share_interval(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, ...) mean of shares over seeds, (seeds, ...), and its 95 % interval, which ends where a share does."""
    return np.clip(mean_interval(shares), 0.0, 1.0)


def curves_of(results: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """(seeds, evaluations) share of solved episodes over all tasks."""
    return np.array([[np.mean([*row["success"].values()]) for row in result["rows"]] for result in results])
