"""Blending: the weighted sum of the experts' actions (ROMAN's mixture), and the only place that adds actions up.

Nothing that is not finite leaves this module.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MIN_ANSWERED_WEIGHT = 0.5
"""Share of the weight that must have answered in time: below it the leading expert itself is silent, and scaling the
others' small weights up would let an expert act that the gate did not choose."""

WEIGHT_TOLERANCE = 1e-3
"""By which weights may miss a sum of 1, or 0: float32 rounding stays far below, what is no softmax far above."""


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
    all_answered = answered is None or bool(answered.all())
    if not all_answered or (total is not None and weights.sum() != total):
        total = weights.sum() if total is None else total
        if not all_answered:
            weights, actions = weights[answered], actions[answered]
        share = weights.sum() / total if total > 0.0 else 0.0
        if not share >= MIN_ANSWERED_WEIGHT:
            raise ValueError(f"only {share:.2f} of the weight has answered: expected {MIN_ANSWERED_WEIGHT} or more")
    result: NDArray[np.float64] = weights @ actions / share
    if not all(map(math.isfinite, result.tolist())):  # nor is anything that comes of what is not
        raise ValueError(f"not finite: weights {weights.tolist()}, actions {actions.tolist()}")
    return result
