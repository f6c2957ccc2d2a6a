"""What LeRobot keeps of each feature: least, largest, mean, deviation, quantiles and how many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.demos.convert.columns import Columns

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}

Statistics = dict[str, list[Any]]


def of_columns(frames: Columns) -> dict[str, Statistics]:
    """Of each column; NaN, where a policy had no answer, is left out."""
    return {name: _of_one(np.asarray(values, np.float64).reshape(len(values), -1)) for name, values in frames.items()}


def of_images(samples: Sequence[NDArray[np.uint8]]) -> Statistics:
    """Of RGB images, (height, width, 3): from 0 to 1, each number of shape (3, 1, 1)."""
    numbers = _of_one(np.concatenate([sample.reshape(-1, 3) for sample in samples]) / 255.0)
    return {**{key: [[[value]] for value in row] for key, row in numbers.items()}, "count": [len(samples)]}


def _of_one(values: NDArray[np.float64]) -> Statistics:
    finite = values[np.isfinite(values).all(axis=1)]
    values = finite if len(finite) else np.zeros((1, values.shape[1]))
    numbers = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    numbers |= dict(zip(QUANTILES, np.quantile(values, [*QUANTILES.values()], axis=0), strict=True))
    return {**{key: row.tolist() for key, row in numbers.items()}, "count": [len(values)]}
