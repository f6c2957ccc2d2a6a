"""Statistics of success: what an evaluation may claim from a number of episodes. Pure functions of the results."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roman_moe.sim.episode import EpisodeResult

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal distribution


def wilson_interval(successes: int, episodes: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson score interval of a success rate (Wilson 1927); stays in [0, 1] and is useful at 0 and n successes.

    Raises:
        ValueError: unless 0 <= successes <= episodes and episodes > 0.
    """
    if episodes <= 0 or not 0 <= successes <= episodes:
        raise ValueError(f"{successes} successes of {episodes} episodes: expected 0 <= successes <= episodes > 0")
    rate = successes / episodes
    spread = z * z / episodes
    centre = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / episodes + spread / (4 * episodes)) / (1 + spread)
    # At the ends the bound is exactly 0 or 1; rounding must not leave 1e-17 there.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == episodes else centre + half)


def success_rate(successes: int, episodes: int) -> dict[str, Any]:
    """Counts, and their rate with its 95 % interval, as reports have them. Raises as `wilson_interval`."""
    interval = list(wilson_interval(successes, episodes))
    return {"episodes": episodes, "successes": successes, "rate": successes / episodes, "ci95": interval}


def mean_interval(values: ArrayLike) -> NDArray[np.float64]:
    """Mean and 95 % interval by Student's t of independent, roughly normal values, such as one of each seed.

    Args:
        values: (n, ...), n independent ones.

    Returns:
        (3, ...) mean, low and high.

    Raises:
        ValueError: with fewer than two values.
    """
    found = np.asarray(values, np.float64)
    if len(found) < 2:
        raise ValueError(f"{len(found)} values: expected 2 or more, for an interval of their mean")
    mean, half = found.mean(axis=0), t_quantile_95(len(found) - 1) * found.std(axis=0, ddof=1) / math.sqrt(len(found))
    return np.stack([mean, mean - half, mean + half])


def t_quantile_95(degrees: int) -> float:
    """Two-sided 95 % quantile of Student's t, from its distribution function (Abramowitz and Stegun 26.7.3, 26.7.4)."""

    def inside(angle: float) -> float:
        sine, cosine, odd = math.sin(angle), math.cos(angle), degrees % 2
        term = cosine if odd else 1.0
        total = term if degrees > 1 else 0.0
        for k in range(2 + odd, degrees, 2):
            term *= cosine**2 * (k - 1) / k
            total += term
        return (2.0 / math.pi) * (angle + sine * total) if odd else sine * total

    low, high = 0.0, math.pi / 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if inside(middle) < 0.95 else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def summarize(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """The report of one start: counts, rate, interval, times to success [s], failures by cause, seeds.

    The times are None when no episode succeeded. Where episodes were disturbed, "disturbances" counts them by kind.

    Raises:
        ValueError: without any result.
    """
    times = [result.time_s for result in results if result.success]
    failures = Counter(result.outcome for result in results if not result.success)
    met = sorted({result.disturbance for result in results} - {""})
    disturbances = {
        kind: {
            "episodes": sum(result.disturbance == kind for result in results),
            "successes": sum(result.disturbance == kind and result.success for result in results),
        }
        for kind in met
    }
    return {
        **success_rate(len(times), len(results)),
        "median_time_s": float(np.median(times)) if times else None,
        "p95_time_s": float(np.percentile(times, 95)) if times else None,
        "failures": dict(sorted(failures.items())),
        "seeds": [result.seed for result in results],
        "failed_seeds": [result.seed for result in results if not result.success],
        **({"disturbances": disturbances} if met else {}),
    }
