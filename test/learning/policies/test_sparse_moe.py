"""The sparsely gated layer, against its formulas, random draws and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from roman_moe.learning.policies.sparse_moe import (
    NoisyTopKGate,
    SparseMoE,
    balance_loss,
    squared_variation,
    top_k_weights,
)

INPUTS, EXPERTS = 4, 6


def gate_of(k: int, seed: int = 0, scale: float = 1.0) -> NoisyTopKGate:
    generator = torch.Generator().manual_seed(seed)
    gate = NoisyTopKGate(INPUTS, EXPERTS, k).double()
    for layer in (gate.logits, gate.noise):
        layer.weight.data = scale * torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
    return gate


def batch(rows: int, seed: int = 1) -> Tensor:
    return torch.randn((rows, INPUTS), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("k", (2, 3, 6))
def test_exactly_k_weights_are_above_zero_and_their_sum_is_one(k):
    weights = gate_of(k)(batch(200)).weights
    assert ((weights > 0).sum(dim=1) == k).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(200, dtype=torch.float64))


def test_all_experts_are_the_dense_softmax():
    gating = gate_of(EXPERTS)(batch(50))
    torch.testing.assert_close(gating.weights, gating.noisy.softmax(dim=1))
    assert (gating.chances == 1).all()


def test_the_chosen_keep_the_ratios_of_the_dense_softmax():
    logits = torch.tensor([[1.0, 3.0, 2.0, -1.0]])
    weights = top_k_weights(logits, 2)
    assert weights[0, 0] == weights[0, 3] == 0.0
    assert weights[0, 1] / weights[0, 2] == pytest.approx(math.e)


def test_a_gate_of_zeros_chooses_all_equally_often():
    torch.manual_seed(0)
    gating = NoisyTopKGate(INPUTS, EXPERTS, 2).double()(batch(20000))
    chosen = (gating.weights > 0).double().mean(dim=0)
    error = math.sqrt((1 / 3) * (2 / 3) / 20000)
    assert (chosen - 1 / 3).abs().max() < 4 * error
    assert gating.chances.mean().item() == pytest.approx(1 / 3, abs=4 * error)


def test_the_chance_of_an_expert_is_how_often_it_is_chosen_when_its_own_noise_is_drawn_again():
    gate, x, draws = gate_of(2, scale=0.7), batch(5), 20000
    normal = torch.randn((5, EXPERTS), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    chances = gate(x, normal).chances
    for expert in range(EXPERTS):
        again = normal.repeat(draws, 1)
        again[:, expert] = torch.randn(5 * draws, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        chosen = (gate(x.repeat(draws, 1), again).weights[:, expert] > 0).double().reshape(draws, 5).mean(dim=0)
        error = (chances[:, expert] * (1 - chances[:, expert]) / draws).sqrt()
        assert ((chosen - chances[:, expert]).abs() <= 4 * error + 1e-9).all()


@pytest.mark.parametrize("k", (2, 4))
def test_gradients_are_those_of_finite_differences(k):
    gate, x = gate_of(k), batch(8)
    normal = torch.randn((8, EXPERTS), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    parameters = [gate.logits.weight.detach().requires_grad_(), gate.noise.weight.detach().requires_grad_()]

    def losses(logits: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        values = {"logits.weight": logits, "noise.weight": noise}
        gating = torch.func.functional_call(gate, values, (x, normal))
        return gating.weights.square().sum(), balance_loss(gating, 1.0, 0.0), balance_loss(gating, 0.0, 1.0)

    assert torch.autograd.gradcheck(losses, parameters)


def test_the_balance_losses_bring_starved_experts_back():
    torch.manual_seed(0)
    gate, x = gate_of(2, scale=0.1), batch(256).abs()  # with inputs above zero a row of weights is a preference
    with torch.no_grad():
        gate.logits.weight[0] += 2.0
        gate.logits.weight[1] += 1.0
    optimizer = torch.optim.Adam(gate.parameters(), 0.04)

    def shares() -> Tensor:
        return (gate(x).weights > 0).double().mean(dim=0)

    starved = shares().min()
    for _ in range(100):
        optimizer.zero_grad()
        balance_loss(gate(x)).backward()
        optimizer.step()
    assert starved < 0.05
    assert shares().min() > 0.2  # of at most 1/3
    assert squared_variation(gate(x).importance) < 0.05


def test_without_training_there_is_no_noise():
    gate, x = gate_of(2).eval(), batch(30)
    gating = gate(x)
    assert (gating.noisy == gating.clean).all()
    assert (gate(x).weights == gating.weights).all()
    assert not (gate.train()(x).weights == gating.weights).all()


class Counting(nn.Module):
    """A linear expert that counts the rows that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(INPUTS, 3).double()
        self.rows = 0

    def forward(self, x: Tensor) -> Tensor:
        self.rows += len(x)
        answer: Tensor = self.linear(x)
        return answer


def test_a_layer_is_the_weighted_sum_of_its_experts_and_runs_no_other():
    torch.manual_seed(0)
    layer, x = SparseMoE(INPUTS, [Counting() for _ in range(EXPERTS)], 2).double(), batch(40)
    layer.gate.load_state_dict(gate_of(2).state_dict())
    layer.eval()
    with torch.no_grad():
        layer.gate.logits.weight[3] = -layer.gate.logits.weight[:3].abs().sum(dim=0)  # never among the two
        x = x.abs()
    answer, gating = layer(x)
    asked = [expert.rows for expert in layer.experts]
    assert asked == (gating.weights > 0).sum(dim=0).tolist()
    assert sum(asked) == 2 * len(x)
    assert asked[3] == 0
    dense = torch.stack([expert.linear(x) for expert in layer.experts], dim=1)
    torch.testing.assert_close(answer, (gating.weights[:, :, None] * dense).sum(dim=1))


@pytest.mark.parametrize("k", (0, 1, 7))
def test_a_k_that_no_gate_can_learn_is_refused(k):
    with pytest.raises(ValueError, match=f"k is {k}: expected 2 to 6"):
        NoisyTopKGate(INPUTS, EXPERTS, k)
