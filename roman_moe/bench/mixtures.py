"""What batching the modules of Soft Modularization saves: SAC updates beside a plain loop over modules, in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from roman_moe.learning.algorithms.looped_soft_modular import updates
from roman_moe.learning.policies.multitask import Sizes

TASKS, ROWS = 10, 32  # batch of an update: 320 rows over ten tasks
LEAST_UPDATES = 5  # of each, to take a median of

SHAPES: Mapping[str, Sizes] = {
    "suite_2x2": Sizes(),
    "paper_2x2": Sizes((400,), 2, 2, 256),
    "paper_4x4": Sizes((400,), 4, 4, 128),
}
"""That of `train multitask`; and the paper's shallow and deep ones, of layers x modules."""


def measure(seconds: float = 10.0, seed: int = 0) -> dict[str, Any]:
    """Time updates of both on one thread, one after the other, for about `seconds` [s] a shape.

    Returns:
        For each of SHAPES: `updates`; `updates_per_s` and `looped_updates_per_s`, from the medians of the processor
        time, which other processes hardly change; and `ratio`, of the first to the second.
    """
    return {name: _measure(sizes, seconds, seed) for name, sizes in SHAPES.items()}


def _measure(sizes: Sizes, seconds: float, seed: int) -> dict[str, Any]:
    both = updates(sizes, TASKS, ROWS, seed)
    for update in both:
        update()  # the first one allocates
    spent: list[list[float]] = []
    began = time.monotonic()
    while len(spent) < LEAST_UPDATES or time.monotonic() - began < seconds:
        spent.append([_timed(update) for update in both])
    batched, looped = np.median(spent, axis=0).tolist()
    return {
        "updates": len(spent),
        "updates_per_s": round(1.0 / batched, 1),
        "looped_updates_per_s": round(1.0 / looped, 1),
        "ratio": round(looped / batched, 3),
    }


def _timed(update: Callable[[], None]) -> float:
    """Its processor time [s]."""
    began = time.process_time()
    update()
    return time.process_time() - began
