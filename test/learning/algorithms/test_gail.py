"""The discriminator: its reward is the formula, it learns to tell states apart, and sees actions only if asked to."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from specs import OBSERVATIONS

from roman_moe.learning.algorithms.gail import Discriminator, discriminator_loss
from roman_moe.learning.policies.mlp import ObservationLayer

COUNT = len(OBSERVATIONS["push"])
NO_UNITS = ("",) * COUNT  # which only turns need


@pytest.fixture
def layer() -> ObservationLayer:
    torch.manual_seed(0)
    return ObservationLayer(OBSERVATIONS["push"], NO_UNITS, (0.05,))


def test_the_reward_is_minus_the_logarithm_of_one_minus_d(layer):
    discriminator = Discriminator(layer, (8,))
    torch.nn.init.zeros_(discriminator.body[-1].weight)
    for logit in (-3.0, 0.0, 2.0):
        torch.nn.init.constant_(discriminator.body[-1].bias, logit)
        d = 1.0 / (1.0 + math.exp(-logit))
        reward = discriminator.reward(np.zeros((2, COUNT), np.float32), np.zeros((2, 4), np.float32))
        assert reward == pytest.approx(-math.log(1.0 - d + 1e-7), rel=1e-5)


def test_it_learns_to_tell_two_sides_apart_and_rewards_the_demonstrators(layer):
    discriminator = Discriminator(layer, (32,))
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=3e-3)
    expert, learner = torch.randn(256, COUNT) + 0.7, torch.randn(256, COUNT) - 0.7
    for _ in range(60):
        loss, right = discriminator_loss(
            discriminator, discriminator.inputs(expert), discriminator.inputs(learner), gradient_penalty=1.0
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert right > 0.95
    unused = np.zeros((256, 4), np.float32)
    assert (
        discriminator.reward(expert.numpy(), unused).mean() > 2 * discriminator.reward(learner.numpy(), unused).mean()
    )


def test_the_gradient_penalty_is_zero_for_a_slope_of_one_and_grows_with_the_distance_from_it(layer):
    discriminator = Discriminator(layer, ())
    direction = torch.zeros(1, layer.size)

    def penalty(slope: float) -> float:
        direction[0, 0] = slope
        discriminator.body[0].weight.data.copy_(direction)
        inputs = torch.zeros(4, layer.size), torch.zeros(4, layer.size)
        with_it, without = (discriminator_loss(discriminator, *inputs, weight)[0].item() for weight in (10.0, 0.0))
        return with_it - without

    assert penalty(1.0) == pytest.approx(0.0, abs=1e-6)
    assert penalty(3.0) == pytest.approx(10.0 * 4.0, rel=1e-5)


def test_the_penalty_on_the_probability_wants_four_times_the_slope(layer):
    discriminator = Discriminator(layer, ())
    weights = torch.zeros(1, layer.size)

    def penalty(slope: float) -> float:
        weights[0, 0] = slope  # D is a half at 0, where its own slope is a quarter of its logit's
        discriminator.body[0].weight.data.copy_(weights)
        torch.nn.init.zeros_(discriminator.body[0].bias)
        zeros = torch.zeros(4, layer.size)
        both = (discriminator_loss(discriminator, zeros, zeros, weight, "probability") for weight in (10.0, 0.0))
        with_it, without = (loss.item() for loss, _ in both)
        return with_it - without

    assert penalty(4.0) == pytest.approx(0.0, abs=1e-6)
    assert penalty(1.0) == pytest.approx(10.0 * 0.75**2, rel=1e-5)


@pytest.mark.parametrize("action_size", (0, 4))
def test_actions_count_only_where_they_are_asked_for(layer, action_size):
    discriminator = Discriminator(layer, (8,), action_size)
    states = np.ones((1, COUNT), np.float32)
    one, other = (discriminator.reward(states, np.full((1, 4), value, np.float32)) for value in (-1.0, 1.0))
    assert (one[0] != other[0]) == bool(action_size)
