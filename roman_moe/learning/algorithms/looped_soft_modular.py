"""Soft Modularization as a plain loop over modules, in SAC: what the batched modules are timed beside."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from roman_moe.learning.algorithms.multitask_sac import MultitaskSAC, SACRecipe, Transitions
from roman_moe.learning.policies.multitask import Sizes
from roman_moe.learning.policies.soft_modular import SoftModular

OBSERVATION, ACTION = 39, 4  # numbers of them, as Meta-World has them


class LoopedSoftModular(nn.Module):
    """The same network with the same parameters, its modules one by one; in the mode `official` alone."""

    def __init__(self, net: SoftModular) -> None:
        super().__init__()
        self.net = net

    def forward(self, observation: Tensor, task: Tensor) -> Tensor:
        net, modules = self.net, range(self.net.shape.modules)
        seen = net.base(observation)
        weights, last = net.routing_weights(seen, task)
        assert last is not None
        outputs = [_each(net.layers[0], [seen.relu()] * len(modules))]
        for layer, weight in zip(net.layers[1:], weights, strict=True):
            inputs = [_weighed(weight[:, i], outputs[-1]).relu() for i in modules]
            outputs.append(_each(layer, inputs))
        return net.head(_weighed(last, outputs[-1]).relu())


def _each(layer: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    weights, biases = layer.get_parameter("weight"), layer.get_parameter("bias")
    return [torch.addmm(bias, x, weight) for bias, x, weight in zip(biases, inputs, weights, strict=True)]


def _weighed(weights: Tensor, outputs: list[Tensor]) -> Tensor:
    total = weights[:, :1] * outputs[0]
    for j, output in enumerate(outputs[1:], start=1):
        total = total + weights[:, j, None] * output
    return total


def learner(sizes: Sizes, tasks: int, seed: int, looped: bool) -> MultitaskSAC:
    """Soft Modularization by SAC, from the same weights either way."""
    torch.manual_seed(seed)
    recipe = SACRecipe(network="soft_modular", balance="official", sizes=sizes)
    made = MultitaskSAC(recipe, OBSERVATION, ACTION, tasks)
    if looped:
        for network in (made.actor, *made.critics, *made.targets):
            network.body = LoopedSoftModular(network.get_submodule("body"))  # type: ignore[arg-type]
    return made


def updates(sizes: Sizes, tasks: int, rows: int, seed: int) -> list[Callable[[], None]]:
    """What does an update by a made-up batch of `rows` of each task, on one thread: batched, and looped."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    batch = Transitions(
        torch.randn(tasks, rows, OBSERVATION),
        torch.rand(tasks, rows, ACTION) * 2.0 - 1.0,
        torch.randn(tasks, rows),
        torch.randn(tasks, rows, OBSERVATION),
        torch.zeros(tasks, rows),
    )

    def update_of(made: MultitaskSAC) -> Callable[[], None]:
        return lambda: made.update(batch)

    return [update_of(learner(sizes, tasks, seed, looped)) for looped in (False, True)]
