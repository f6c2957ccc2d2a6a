"""Presence: what is hidden is nowhere, and where the line is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roman_moe.learning.poses.losses import Labels, losses
from roman_moe.learning.poses.network import STRIDE, PosePredictions
from roman_moe.learning.poses.validation import equal_error

PLACE = torch.tensor([[[5.0 * STRIDE + 1.5, 3.0 * STRIDE + 1.5]]])  # cell 5 of row 3


def answers(presence: torch.Tensor) -> PosePredictions:
    one = torch.zeros(1, 1)
    return PosePredictions(torch.zeros(1, 1, 8, 10), PLACE, one, one, one, presence, one, torch.zeros(1, 1, 2))


def labels(visible: float) -> Labels:
    one = torch.full((1, 1), visible)
    return Labels(PLACE, torch.zeros(1, 1), torch.zeros(1, 1, 2), one, torch.zeros(1))


def loss(presence: torch.Tensor, visible: float) -> torch.Tensor:
    return losses(answers(presence), labels(visible))["presence"]


def test_presence_costs_nothing_where_it_is_right():
    there = torch.full((1, 1, 8, 10), -20.0)
    nowhere = there.clone()
    there[0, 0, 3, 5] = 20.0
    assert loss(there, 1.0) == pytest.approx(0.0, abs=1e-6)
    assert loss(nowhere, 0.0) == pytest.approx(0.0, abs=1e-6)
    assert loss(there, 0.0) > 10.0, "hidden, and claimed"
    assert loss(nowhere, 1.0) > 10.0, "visible, and missed"


def test_the_cell_that_shows_it_is_drawn_up_and_all_others_down_unless_it_is_hidden():
    for visible in (1.0, 0.0):
        presence = torch.full((1, 1, 8, 10), -2.0, requires_grad=True)
        loss(presence, visible).backward()
        falls = presence.grad[0, 0] > 0.0
        assert bool(falls[3, 5]) is not bool(visible)
        assert falls.sum() == 80 - visible


def test_a_neighbour_of_the_cell_is_forgiven_more_than_one_far_away():
    presence = torch.full((1, 1, 8, 10), -2.0, requires_grad=True)
    loss(presence, 1.0).backward()
    assert 0.0 < presence.grad[0, 0, 3, 6] < 0.1 * presence.grad[0, 0, 7, 0]


def test_the_line_is_drawn_where_as_much_is_missed_as_claimed():
    rng = np.random.default_rng(0)
    visible, hidden = rng.normal(3.0, 1.0, 4000), rng.normal(-1.0, 1.0, 1000)
    assert equal_error(visible, hidden) == pytest.approx(1.0, abs=0.1)
    assert equal_error(visible, np.array([])) == 0.0
    assert 2.0 <= equal_error(np.array([2.5, 3.0]), np.array([1.0, 2.0])) < 2.5
