"""Networks for many tasks: each computes what its name says, row by row."""

from __future__ import annotations

import pytest
import torch
from specs import LAYOUT, ROMAN, SKILLS
from torch import Tensor

from roman_moe.learning.policies.multitask import (
    EXPERTS,
    NETWORKS,
    HardRouted,
    MixedExperts,
    Modular,
    MultiHead,
    Separate,
    Shared,
    Sizes,
    SkillObservation,
    codes,
)

SIZES = Sizes((6, 5), layers=3, modules=2, width=4)
TASKS, ROWS, INPUTS, OUTPUTS = 3, 4, 5, 2


def rows() -> Tensor:
    return torch.randn((TASKS, ROWS, INPUTS), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_each_answers_every_row_by_itself(name):
    torch.manual_seed(0)
    network, x = NETWORKS[name](INPUTS, TASKS, OUTPUTS, SIZES).eval(), rows()
    answers = network(x)
    assert answers.shape == (TASKS, ROWS, OUTPUTS)
    torch.testing.assert_close(network(x[:, 1:2]), answers[:, 1:2])


@pytest.mark.parametrize("name", NETWORKS)
def test_from_one_observation_tasks_get_different_answers(name):
    torch.manual_seed(0)
    network = NETWORKS[name](INPUTS, TASKS, OUTPUTS, SIZES).eval()
    for values in (*network.parameters(), *network.buffers()):  # a modular network's routes begin nearly even
        values.data = torch.randn_like(values)
    answers = network(rows()[:1].expand(TASKS, -1, -1))
    assert (answers[0] - answers[1]).abs().max() > 1e-4


def test_of_all_features_each_skill_sees_those_of_its_own_expert_whatever_the_others_hold():
    layer, seen = SkillObservation(ROMAN, (0.05,)), torch.randn(50, len(LAYOUT))
    layer.fit(seen)
    rows = seen[:2].expand(len(SKILLS), -1, -1)
    known = layer(rows)
    assert known.shape == (len(SKILLS), 2, layer.size)
    for number, name in enumerate(LAYOUT.names):
        for value in (9.0, torch.nan):
            changed = rows.clone()
            changed[..., number] = value
            matters = [not torch.equal(found, before) for found, before in zip(layer(changed), known, strict=True)]
            assert matters == [name in LAYOUT.observations[skill] for skill in SKILLS], name
    push, hidden = known[SKILLS.index("push"), 0], layer.hidden[SKILLS.index("push"), 0]
    assert not push[: len(LAYOUT)][hidden].any()
    relative = (push != 0.0)[len(LAYOUT) :].unflatten(0, (2, -1, 3)).all(dim=2)  # normalised, then squashed
    assert relative.sum(dim=1).tolist() == [3, 3]  # of hand, rack and conveyor's end


def test_separate_networks_share_nothing():
    network = Separate(INPUTS, TASKS, OUTPUTS, SIZES)
    network(rows())[1].square().sum().backward()
    for layer in network.layers:
        used = layer.weight.grad.flatten(1).abs().sum(dim=1) > 0
        assert used.tolist() == [False, True, False]


def test_heads_belong_to_their_tasks_and_the_trunk_to_all():
    network, x = MultiHead(INPUTS, TASKS, OUTPUTS, SIZES), rows()
    trunk = network.trunk(torch.cat([x, codes(x)], dim=2)).relu()
    expected = [trunk[k] @ network.heads.weight[k] + network.heads.bias[k] for k in range(TASKS)]
    torch.testing.assert_close(network(x), torch.stack(expected))


def test_a_shared_network_sees_the_task():
    network, x = Shared(INPUTS, TASKS, OUTPUTS, SIZES), rows()
    code = torch.zeros(ROWS, TASKS)
    code[:, 2] = 1.0
    torch.testing.assert_close(network(x)[2], network.body(torch.cat([x[2], code], dim=1)))


def test_mixed_experts_are_weighed_by_the_softmax_of_the_gate():
    network, x = MixedExperts(INPUTS, TASKS, OUTPUTS, SIZES), rows()
    seen = torch.cat([x, codes(x)], dim=2)
    powers = network.gate(seen).exp()
    expected = torch.zeros(TASKS, ROWS, OUTPUTS)
    for expert in range(EXPERTS):
        y = seen
        for layer in network.experts[:-1]:
            y = (y @ layer.weight[expert] + layer.bias[expert]).clamp(min=0)
        y = y @ network.experts[-1].weight[expert] + network.experts[-1].bias[expert]
        expected += powers[..., expert : expert + 1] / powers.sum(dim=2, keepdim=True) * y
    torch.testing.assert_close(network(x), expected)


def test_a_modular_network_gets_the_tasks_code():
    network, x = Modular(INPUTS, TASKS, OUTPUTS, SIZES), rows()
    code = torch.zeros(ROWS, TASKS)
    code[:, 1] = 1.0
    torch.testing.assert_close(network(x)[1], network.body(x[1], code))


def test_a_hard_routed_task_goes_through_one_module_a_layer():
    network, x = HardRouted(INPUTS, TASKS, OUTPUTS, SIZES), rows()
    answers, expected = network(x), []
    for task in range(TASKS):
        y = x[task]
        for number, layer in enumerate(network.layers):
            route = network.routes[task, number]
            y = (y.clamp(min=0) if number else y) @ layer.weight[route] + layer.bias[route]
        expected.append(y)
    torch.testing.assert_close(answers, torch.stack(expected))
    assert (network(x) != answers).any()  # routes are drawn anew
    assert (network.eval()(x) == network(x)).all()


def test_a_route_that_does_better_is_taken_more_often_and_by_its_task_alone():
    torch.manual_seed(0)
    network, x = HardRouted(INPUTS, TASKS, OUTPUTS, SIZES), rows()
    for _ in range(600):
        network(x)
        network.reinforce((network.routes[:, 0] != torch.tensor([2, 0, 1])).float())
    chances = network.table.softmax(dim=2)
    assert chances[:, 0].argmax(dim=1).tolist() == [2, 0, 1]
    assert chances[:, 0].max(dim=1).values.min() > 0.8
