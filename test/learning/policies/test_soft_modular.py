"""Soft Modularization in both modes, against direct implementations of the formulas, module by module, in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from roman_moe.learning.policies.soft_modular import ModuleLayer, SoftModular, SoftModularShape

SMALL = SoftModularShape(observation=5, tasks=3, outputs=4, width=6, embedding=10, gating=7)
SHAPES = [
    replace(SMALL, mode=mode, layers=layers, modules=modules)
    for mode in ("paper", "official")
    for layers, modules in ((2, 2), (4, 4), (3, 2))
]


def network(shape: SoftModularShape, seed: int = 0) -> SoftModular:
    """With weights of normal size: with those of the beginning some mistakes change nothing that could be measured."""
    torch.manual_seed(seed)
    net = SoftModular(shape).double()
    for values in net.parameters():
        fan_in = values.shape[-2] if values.dim() == 3 else values.shape[-1]
        values.data = torch.randn_like(values) * (2.0 / fan_in) ** 0.5
    return net


def inputs(shape: SoftModularShape, rows: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    observation = torch.randn((rows, shape.observation), generator=generator, dtype=torch.float64)
    return observation, one_hot(torch.arange(rows) % shape.tasks, shape.tasks).double()


def direct(net: SoftModular, s: Tensor, z: Tensor) -> Tensor:
    """One row at a time, one module at a time, as the formulas are written."""
    answers = [_row(net, s[row], z[row]) for row in range(len(s))]
    return torch.stack(answers)


def _row(net: SoftModular, s: Tensor, z: Tensor) -> Tensor:
    shape, n = net.shape, net.shape.modules
    f = net.base[2](net.base[0](s).clamp(min=0))
    both = f * net.task(z)

    def module(layer: int, j: int, x: Tensor) -> Tensor:
        bank: ModuleLayer = net.layers[layer]
        return x @ bank.weight[j] + bank.bias[j, 0]

    def softmax(values: list[Tensor]) -> list[Tensor]:
        powers = [value.exp() for value in values]
        return [power / sum(powers) for power in powers]

    if shape.mode == "paper":
        p = net.routes[0](both.clamp(min=0))
        g = [f] * n
        for layer in range(shape.layers - 1):
            if layer:
                p = net.routes[layer]((net.conditions[layer - 1](p) * both).clamp(min=0))
            passed = [module(layer, j, g[j]).clamp(min=0) for j in range(n)]
            hat = [softmax([p[i * n + j] for j in range(n)]) for i in range(n)]
            g = [sum(hat[i][j] * passed[j] for j in range(n)) for i in range(n)]
        return sum(module(shape.layers - 1, j, g[j]) for j in range(n))

    both = net.narrow[3](net.narrow[1](both.clamp(min=0)).clamp(min=0))
    earlier: list[Tensor] = []
    g = [f.clamp(min=0)] * n
    for layer in range(shape.layers - 1):
        hidden = both
        if layer:
            hidden = net.conditions[layer - 1](torch.stack(earlier)) * both
        p = net.routes[layer](hidden.clamp(min=0))
        hat = [softmax([p[i * n + j] for j in range(n)]) for i in range(n)]
        earlier += [weight for row in hat for weight in row]
        passed = [module(layer, j, g[j]) for j in range(n)]
        g = [sum(hat[i][j] * passed[j] for j in range(n)).clamp(min=0) for i in range(n)]
    last = softmax(list(net.last_route((net.last_condition(torch.stack(earlier)) * both).clamp(min=0))))
    return net.head(sum(last[j] * module(shape.layers - 1, j, g[j]) for j in range(n)).clamp(min=0))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.mode}-{shape.layers}x{shape.modules}")
def test_answers_and_gradients_are_those_of_the_formulas(shape):
    net = network(shape)
    s, z = inputs(shape)
    answers, expected = net(s, z), direct(net, s, z)
    assert (answers - expected).abs().max() <= 1e-10 * expected.abs().max()
    weight = torch.randn(answers.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = torch.autograd.grad((answers * weight).sum(), list(net.parameters()))
    wanted = torch.autograd.grad((expected * weight).sum(), list(net.parameters()))
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() <= 1e-10 * max(1.0, float(other.abs().max()))


@pytest.mark.parametrize("mode", ("paper", "official"))
def test_a_routing_vector_has_the_papers_size_and_each_target_shares_out_one(mode):
    deep = network(replace(SMALL, mode=mode, layers=4, modules=4))
    weights = deep.routing(*inputs(SMALL))
    assert weights.shape == (9, 48 if mode == "paper" else 52)  # (L - 1) n^2; the released code has n more
    torch.testing.assert_close(weights[:, :48].view(9, 12, 4).sum(dim=2), torch.ones(9, 12, dtype=torch.float64))


@pytest.mark.parametrize("mode", ("paper", "official"))
def test_the_weights_begin_nearly_even(mode):
    torch.manual_seed(0)
    weights = SoftModular(replace(SMALL, mode=mode)).double().routing(*inputs(SMALL))
    assert (weights - 0.5).abs().max() < 0.02


def test_sizes_are_those_of_the_released_networks():
    """Counted by the authors' own classes, for ten tasks of Meta-World: the actors, shallow and deep."""
    shallow = SoftModularShape(observation=39, tasks=10, outputs=8)
    for shape, expected in ((shallow, 691022), (replace(shallow, layers=4, modules=4, width=128), 792444)):
        assert sum(values.numel() for values in SoftModular(shape).parameters()) == expected


def test_another_task_takes_another_way():
    net = network(SMALL)
    s, z = inputs(SMALL)
    assert not torch.allclose(net.routing(s, z), net.routing(s, z.roll(1, dims=1)))
