"""What batching the modules of Soft Modularization saves: SAC updates beside a plain loop over modules, in turn."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from roman_moe.learning.algorithms.multitask_sac import MultitaskSAC, SACRecipe, Transitions
from roman_moe.learning.policies.multitask import Modular, Sizes
from roman_moe.learning.policies.soft_modular import SoftModular

TASKS, ROWS = 10, 32
"""Batch of an update: 320 rows over ten tasks."""
OBSERVATION, ACTION = 39, 4
"""Numbers of them, as Meta-World has them."""
LEAST_UPDATES = 5
"""Of each, to take a median of."""

SHAPES: Mapping[str, Sizes] = {
    "suite_2x2": Sizes(),
    "paper_2x2": Sizes((400,), 2, 2, 256),
    "paper_4x4": Sizes((400,), 4, 4, 128),
}
"""That of `train multitask`; and the paper's shallow and deep ones, of layers x modules."""


class Looped(nn.Module):
    """The same network with the same parameters, its modules one by one; in the mode `official` alone."""

    def __init__(self, net: SoftModular) -> None:
        super().__init__()
        self.net = net

    def forward(self, observation: Tensor, task: Tensor) -> Tensor:
        net, modules = self.net, range(self.net.shape.modules)
        seen = net.base(observation)
        weights, last = net.routing_weights(seen, task)
        x = [seen.relu()] * len(modules)
        for layer, weight in zip(net.layers, weights, strict=False):
            passed = [torch.addmm(layer.bias[j], x[j], layer.weight[j]) for j in modules]
            x = [sum(weight[:, i, j, None] * passed[j] for j in modules).relu() for i in modules]
        layer = net.layers[-1]
        assert last is not None
        passed = [torch.addmm(layer.bias[j], x[j], layer.weight[j]) for j in modules]
        answer: Tensor = net.head(sum(last[:, j, None] * passed[j] for j in modules).relu())
        return answer


def measure(seconds: float = 10.0, seed: int = 0) -> dict[str, Any]:
    """Time updates of both on one thread, one after the other, for about `seconds` [s] a shape.

    Returns:
        For each of SHAPES: `updates_per_s` and `looped_updates_per_s`, from the medians of the processor time, which
        other processes hardly change; and `ratio`, of the first to the second.
    """
    torch.set_num_threads(1)
    return {name: _measure(sizes, seconds, seed) for name, sizes in SHAPES.items()}


def _measure(sizes: Sizes, seconds: float, seed: int) -> dict[str, Any]:
    learners = [learner(sizes, seed, looped) for looped in (False, True)]
    torch.manual_seed(seed)
    batch = Transitions(
        torch.randn(TASKS, ROWS, OBSERVATION),
        torch.rand(TASKS, ROWS, ACTION) * 2.0 - 1.0,
        torch.randn(TASKS, ROWS),
        torch.randn(TASKS, ROWS, OBSERVATION),
        torch.zeros(TASKS, ROWS),
    )
    for each in learners:
        each.update(batch)  # the first one allocates
    spent: list[list[float]] = []
    began = time.monotonic()
    while len(spent) < LEAST_UPDATES or time.monotonic() - began < seconds:
        spent.append([_update(each, batch) for each in learners])
    batched, looped = np.median(spent, axis=0).tolist()
    return {
        "updates": len(spent),
        "updates_per_s": round(1.0 / batched, 1),
        "looped_updates_per_s": round(1.0 / looped, 1),
        "ratio": round(looped / batched, 3),
    }


def learner(sizes: Sizes, seed: int, looped: bool) -> MultitaskSAC:
    """Soft Modularization by SAC, from the same weights either way."""
    torch.manual_seed(seed)
    recipe = SACRecipe(network="soft_modular", balance="official", batch=ROWS, sizes=sizes)
    made = MultitaskSAC(recipe, OBSERVATION, ACTION, TASKS)
    for network in (made.actor, *made.critics, *made.targets):
        assert isinstance(network, Modular)
        if looped:
            network.body = Looped(network.body)
    return made


def _update(learner: MultitaskSAC, batch: Transitions) -> float:
    """Its processor time [s]."""
    began = time.process_time()
    learner.update(batch)
    return time.process_time() - began
