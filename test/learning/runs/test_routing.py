"""Routing weights of a trained policy: taken from what it does, and mapped without knowing the task."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from roman_moe.core.errors import ConfigError
from roman_moe.learning.algorithms.multitask_sac import SACRecipe
from roman_moe.learning.policies.multitask import NETWORKS, Sizes
from roman_moe.learning.runs.multitask import MultitaskRun
from roman_moe.learning.runs.routing import Routing, routing_of
from roman_moe.suites.catalogue import find_suite

TINY = MultitaskRun(
    "conflict", "soft_modular", 0, steps=40, warm_up=20, evaluate_every=40, episodes=4,
    sac=SACRecipe(sizes=Sizes((8, 8), width=8), batch=4),
)  # fmt: skip


def test_each_rows_weights_are_those_of_its_own_task():
    torch.manual_seed(0)
    net = NETWORKS["soft_modular"](5, 3, 2, Sizes((8,), width=8))
    for values in net.parameters():
        values.data = torch.randn_like(values)
    x = torch.randn(3, 4, 5)
    for task in range(3):
        code = one_hot(torch.full((4,), task), 3).float()
        torch.testing.assert_close(net.routing(x)[task], net.body.routing(x[task], code))


def test_weights_of_every_task_are_shares_and_follow_from_the_seed(tmp_path):
    TINY.train(tmp_path)
    one, again, other = (routing_of(tmp_path, seed) for seed in (0, 0, 1))
    tasks = find_suite("conflict").tasks
    assert one.tasks == tuple(tasks)
    assert one.weights.shape == (len(tasks), 200, 6)  # 2 x 2 into the second layer, 2 out of it
    np.testing.assert_allclose(one.weights.reshape(-1, 3, 2).sum(axis=2), 1.0, atol=1e-6)
    np.testing.assert_array_equal(one.weights, again.weights)
    assert not np.array_equal(one.weights, other.weights)


def test_a_map_keeps_together_what_is_alike_and_the_file_has_its_numbers(tmp_path):
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 1.0], [1.0, 0.0]])[:, None]
    routing = Routing("x", "y", ("a", "b"), (centres + rng.normal(0.0, 0.01, (2, 20, 2))).astype(np.float32))
    places = routing.map()
    assert places.shape == (2, 20, 2)
    middles = places.mean(axis=1, keepdims=True)
    apart = np.linalg.norm(middles[0] - middles[1])
    assert np.linalg.norm(places - middles, axis=2).max() < apart / 2.0
    routing.save(tmp_path / "routing.npz", places)
    with np.load(tmp_path / "routing.npz") as kept:
        assert kept["tasks"].tolist() == ["a", "b"]
        np.testing.assert_array_equal(kept["weights"], routing.weights)
        np.testing.assert_array_equal(kept["places"], places)


def test_a_policy_without_routing_weights_is_refused(tmp_path):
    dataclasses.replace(TINY, method="mt_sac").train(tmp_path)
    with pytest.raises(ConfigError, match="method mt_sac: expected soft_modular"):
        routing_of(tmp_path)
