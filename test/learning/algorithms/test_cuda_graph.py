"""Work that is recorded on a GPU does in each call what it does when it is not recorded."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from roman_moe.learning.algorithms.cuda_graph import WARM_UP, GraphedFunction

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def test_recorded_updates_are_those_of_the_same_work_unrecorded():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1)).cuda()
    networks = [plain, copy.deepcopy(plain)]

    def update_of(network):
        optimizer = torch.optim.Adam(network.parameters(), 1e-2, fused=True, capturable=True)

        def update(inputs, targets):
            optimizer.zero_grad()
            loss = (network(inputs) - targets).square().mean()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            return loss

        return update

    update, recorded = update_of(networks[0]), GraphedFunction(update_of(networks[1]))
    for _ in range(WARM_UP + 5):
        given = torch.randn(32, 6, device="cuda"), torch.randn(32, 1, device="cuda")
        assert float(update(*given)) == pytest.approx(float(recorded(*given)), rel=1e-5)
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_recorded_noise_is_new_in_each_call():
    recorded = GraphedFunction(lambda x: x + torch.randn_like(x))
    answers = [recorded(torch.zeros(4, device="cuda")).clone() for _ in range(WARM_UP + 3)]
    assert len({tuple(each.tolist()) for each in answers}) == len(answers)
