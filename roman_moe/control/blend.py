"""Blending: the weighted sum of the experts' actions (ROMAN's mixture). No other module adds actions.

Every result is finite.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MIN_ANSWERED_WEIGHT = 0.5
"""Share of the weight that must have answered in time. Below it the leading expert itself is silent. Scaling up the
others' small weights would let an expert act that the gate did not choose."""

WEIGHT_TOLERANCE = 1e-3
"""Tolerance on the weights' sum and sign. Float32 error is far smaller, a missing softmax far larger."""


def blend(
    weights: NDArray[np.float64],
    actions: NDArray[np.float64],
    answered: NDArray[np.bool_] | None = None,
    total: float | None = None,
) -> NDArray[np.float64]:
    """Action of the mixture: sum of weight times action, velocity and gripper alike.

    Args:
        weights: one per expert, not negative, (n,).
        actions: of the experts, (n, a) in [-1, 1].
        answered: which experts' actions there are, (n,); the others' rows are not read, and the weights of those that
            answered are scaled up to the same sum. All of them if None.
        total: what the weights summed up to before some of them were reduced, and are scaled up to again; their own
            sum if None.

    Returns:
        The action, (a,) in [-1, 1] for weights that sum to 1.

    Raises:
        ValueError: if shapes do not fit, a weight or action is not finite, or too little of the weight has answered.
    """
    if actions.ndim != 2 or len(actions) != len(weights):
        raise ValueError(f"actions have shape {actions.shape}: expected one row for each of {len(weights)} weights")
    share = 1.0
    if answered is not None or total is not None:
        weights, actions, share = _of_those_that_answered(weights, actions, answered, total)
    result: NDArray[np.float64] = weights.dot(actions)
    if share != 1.0:
        result /= share
    if not all(map(math.isfinite, result.tolist())):  # nor is anything that comes of what is not
        raise ValueError(f"not finite: weights {weights.tolist()}, actions {actions.tolist()}")
    return result


def are_weights(weights: NDArray[np.float64]) -> bool:
    """Whether they sum to 1 and none is below 0, (n,)."""
    values = weights.tolist()  # of so few, faster than by numpy
    return abs(sum(values) - 1.0) <= WEIGHT_TOLERANCE and min(values) >= -WEIGHT_TOLERANCE  # NaN is not


def _of_those_that_answered(
    weights: NDArray[np.float64],
    actions: NDArray[np.float64],
    answered: NDArray[np.bool_] | None,
    total: float | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Their weights and actions, and their share of the whole weight; see `blend`."""
    if total is None:
        total = weights.sum()
    if answered is not None and not answered.all():
        weights, actions = weights[answered], actions[answered]
    share = weights.sum() / total if total > 0.0 else 0.0
    if not share >= MIN_ANSWERED_WEIGHT:
        raise ValueError(f"only {share:.2f} of the weight has answered: expected {MIN_ANSWERED_WEIGHT} or more")
    return weights, actions, float(share)
