"""Behaviour cloning: it learns, the same way for the same seed, from episodes it may use and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scenes import scene_at
from specs import LAYOUT, NETWORKS, OBJECT_INDEX, OBJECTS, OBSERVATIONS, ROMAN, feature_indices, feature_vector

from roman_moe.control.network import Network
from roman_moe.control.rates import Rates
from roman_moe.core.errors import ConfigError, DemonstrationError
from roman_moe.core.paths import config_path
from roman_moe.core.spec import GATE
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.reader import Episode
from roman_moe.learning.algorithms import bc
from roman_moe.learning.export import export_policy, policy_of
from roman_moe.learning.policies.mlp import MLPPolicy
from roman_moe.learning.recipes.cloning import GateRecipe, NetworkRecipe, load_recipe
from roman_moe.learning.samples import Samples, samples_of

QUICK = NetworkRecipe(hidden=(32, 32), steps=300, batch_size=64, learning_rate=3e-3, ema_decay=0.98)
TICK_NS = 50_000_000


def episode(network: str, seed: int, ticks: int = 40, **meta: object) -> Episode:
    """A point hand that flies to the button, open behind it and closed before it; likewise the gate: pull or button."""
    rng = np.random.default_rng(seed)
    hand = rng.uniform(-0.3, 0.3, 3)
    objects = rng.uniform(-0.3, 0.3, (len(OBJECTS), 3))
    target = objects[OBJECT_INDEX["button"]]
    states, answers = [], []
    for tick in range(ticks):
        velocity = np.clip((target - hand) * 10.0, -1.0, 1.0)
        states.append(
            scene_at(
                tick * TICK_NS,
                hand_position=hand,
                hand_velocity=velocity,
                finger_opening=0.08,
                object_positions=objects,
            )
        )
        action = np.array([*velocity, 1.0 if target[0] > hand[0] else -1.0])
        answers.append(np.eye(7)[6 if hand[0] > target[0] else 0] if network == GATE else action)
        hand = hand + 0.01 * velocity
    values = {
        "network": network,
        "start": network,
        "outcome": "success",
        "source": "test",
        "task": ROMAN.name,
        "noise_bound": 0.0,
        "noise_kind": "clipped",
        "perturbation": 0.0,
        "disturbance": "",
        "delay": 0,
        "lost_share": 0.0,
        "seed": seed,
        "rate": 20.0,
        "git_commit": "0123abc",
    }
    return Episode(Path(f"episode_{seed:03}"), EpisodeMeta(**(values | meta)), states, np.array(answers), [])


def samples(network: str = "button", count: int = 10) -> Samples:
    return samples_of(ROMAN, network, [episode(network, seed) for seed in range(count)], Rates())


def test_samples_are_the_networks_own_features_in_order():
    given = [episode("button", 0), episode("button", 1, ticks=5)]
    made = samples_of(ROMAN, "button", given, Rates())
    expected = feature_vector(given[1].states[3])[feature_indices(OBSERVATIONS["button"])]
    np.testing.assert_array_equal(made.observations[43], expected.astype(np.float32))
    np.testing.assert_array_equal(made.answers[43], given[1].answers[3].astype(np.float32))
    assert made.episodes.tolist() == [0] * 40 + [1] * 5


def test_the_gate_learns_from_its_own_ticks_only():
    given = episode(GATE, 0)
    made = samples_of(ROMAN, GATE, [given], Rates())
    np.testing.assert_array_equal(made.answers, given.answers[::2].astype(np.float32))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([episode("push", 3)], "episode_003: teaches 'push': expected 'button'"),
        ([episode("button", 3, rate=10.0)], r"episode_003: recorded at 10\.0 Hz"),
        ([], "no demonstration for 'button'"),
    ],
)
def test_unfit_demonstrations_are_refused_by_name(given: list[Episode], message: str):
    with pytest.raises(DemonstrationError, match=message):
        samples_of(ROMAN, "button", given, Rates())


def test_training_and_validation_share_no_episode():
    training, validation = samples().split(0.3, np.random.default_rng(0))
    assert len(set(validation.episodes)) == 3
    assert not set(training.episodes) & set(validation.episodes)
    assert len(training.observations) + len(validation.observations) == len(samples().observations)


def test_a_single_episode_is_kept_for_training():
    training, validation = samples(count=1).split(0.5, np.random.default_rng(0))
    assert len(training.observations) == 40
    assert len(validation.observations) == 0


def test_an_expert_learns_velocity_and_gripper():
    errors = bc.train(samples(count=60), replace(QUICK, steps=900, noise_bound=0.0), seed=0).errors
    assert errors["validation_velocity_rms"] < 0.15
    assert errors["train_velocity_rms"] < 0.1
    assert errors["train_gripper_wrong"] < 0.15  # of half; the last ticks are at the very edge


def test_the_gate_learns_whom_to_choose_and_gives_it_all_the_weight():
    trained = bc.train(samples(GATE), QUICK, seed=0)
    assert trained.errors["train_wrong_skill"] < 0.05
    weights = trained.policy(torch.from_numpy(samples(GATE).observations))
    assert float(weights.max(dim=1).values.median()) > 0.99


def test_a_sparse_gate_learns_whom_to_choose_runs_k_and_exports_to_the_same_weights():
    shown, recipe = samples(GATE), replace(QUICK, gate=GateRecipe("top_k", k=2))
    trained = bc.train(shown, recipe, seed=0)
    assert trained.errors["train_wrong_skill"] < 0.05
    policy, seen = trained.policy, torch.from_numpy(shown.observations)
    weights = policy(seen)
    assert ((weights > 0.0).sum(dim=1) == 2).all()
    assert torch.equal(policy.gating(seen).noisy, policy.gating(seen).clean)
    assert not torch.equal(policy.train().gating(seen).noisy, policy.gating(seen).clean)
    data = export_policy(policy.eval(), shown.observations, Rates())
    network = Network(ROMAN, data, "the export")
    scene, columns, answers = np.zeros(len(LAYOUT)), feature_indices(policy.features), []
    for row in shown.observations:
        scene[columns] = row
        answers.append(network(scene))
    assert ((np.array(answers) > 0.0).sum(axis=1) == 2).all()
    np.testing.assert_allclose(answers, weights.numpy(), atol=1e-5)
    assert policy_of(ROMAN, GATE, data, recipe.near_scales, "the export").k == 2


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not():
    recipe = replace(QUICK, steps=20)
    torch.manual_seed(1)
    first = bc.train(samples(), recipe, seed=5).policy.state_dict()
    torch.manual_seed(2)  # what others drew before must not matter
    again = bc.train(samples(), recipe, seed=5).policy.state_dict()
    other = bc.train(samples(), recipe, seed=6).policy.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_training_leaves_the_callers_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    bc.train(samples(count=2), replace(QUICK, steps=2), seed=0)
    assert torch.equal(torch.rand(1), expected)


def test_noise_moves_objects_within_the_bound_and_nothing_else(monkeypatch: pytest.MonkeyPatch):
    seen = []
    real = bc.loss_of

    def spy(policy: MLPPolicy, observations: torch.Tensor, answers: torch.Tensor, weight: float) -> torch.Tensor:
        seen.append(observations.clone())
        return real(policy, observations, answers, weight)

    monkeypatch.setattr(bc, "loss_of", spy)
    still = episode("button", 0, ticks=1)
    bc.train(samples_of(ROMAN, "button", [still], Rates()), replace(QUICK, steps=50, noise_bound=0.01), seed=0)
    features = OBSERVATIONS["button"]
    clean = torch.from_numpy(samples_of(ROMAN, "button", [still], Rates()).observations)
    moved = (torch.cat(seen) - clean).abs()
    columns = [i for i, name in enumerate(features) if name.startswith("button.")]
    others = [i for i in range(len(features)) if i not in columns]
    assert moved[:, others].max() == 0.0
    assert 0.0099 < moved[:, columns].max() < 0.010001
    assert moved[:, columns].std() > 0.001


def test_an_unsure_gripper_answers_in_between_and_a_sure_one_at_the_end():
    """Half of each asks for z = 0, one kind alone for a z near 1."""
    policy = MLPPolicy(ROMAN, "button", hidden=(4,))
    observation = torch.zeros(2, len(OBSERVATIONS["button"]))
    half, recipe = torch.tensor([[0.0, 0, 0, 1], [0, 0, 0, -1]]), NetworkRecipe(gripper_weight=1.0)
    for parameter in policy.parameters():
        torch.nn.init.zeros_(parameter)
    bc.loss_of(policy, observation, half, recipe).backward()
    assert float(policy.head.bias.grad[3]) == pytest.approx(0.0, abs=1e-7)
    policy.zero_grad()
    bc.loss_of(policy, observation, half.abs(), recipe).backward()
    assert float(policy.head.bias.grad[3]) < -0.5


def test_a_sure_gripper_stays_where_ppo_can_change_it():
    """Far outside [-1, 1] a clip, like tanh, would hide from PPO what its exploration does."""
    policy = bc.train(samples(count=2), replace(QUICK, steps=300), seed=0).policy
    gripper = policy.raw(torch.from_numpy(samples(count=2).observations))[:, 3].detach()
    assert gripper.abs().min() > 0.8
    assert gripper.abs().max() < 1.3


def test_a_diverged_training_says_so():
    bad = samples(count=2)
    bad.observations[:] = np.inf
    with pytest.raises(ConfigError, match=r"button: loss is .* lower the recipe's learning_rate"):
        bc.train(bad, replace(QUICK, steps=3), seed=0)


def test_the_shipped_recipe_is_whole():
    recipe = load_recipe(config_path("training/bc.yaml"), ROMAN)
    assert set(recipe.networks) == set(NETWORKS)
    assert recipe.networks[GATE].hidden == (64, 64, 64)
    assert recipe.networks["push"].hidden == (256, 256, 256)
    assert recipe.rates == Rates()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  steps:", "  stops:", "defaults: unknown key 'stops': did you mean 'steps'?"),
        ("gate: {hidden:", "gate: {hiden:", "networks.gate: unknown key 'hiden'"),
        ("gate: {", "gate: {gate: {kind: topk}, ", "gate: kind is 'topk': expected softmax or top_k"),
        ("gate: {", "gate: {gate: {k: 1}, ", "gate: k is 1: expected 2 to"),
        ("gate: {", "gate: {gate: {kind: top_k, k: 8}, ", "networks.gate: gate: k is 8: expected 2 to 7, the skills"),
        ("gate: {", "gait: {", "networks: unknown network 'gait'"),
        ("batch_size: 128", "batch_size: many", "defaults: batch_size is 'many': expected a whole number"),
        ("batch_size: 128", "batch_size: 0", "defaults: batch_size is 0: expected 1 to 1048576"),
        ("gate_rate: 10.0", "gate_rate: 15.0", "no whole multiple"),
        ("rates:", "rate:", "unknown key 'rate'"),
    ],
)
def test_a_typo_in_a_recipe_names_file_and_key(tmp_path: Path, old: str, new: str, message: str):
    text = config_path("training/bc.yaml").read_text()
    assert old in text
    (tmp_path / "bc.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_recipe(tmp_path / "bc.yaml", ROMAN)
    assert str(caught.value).startswith(str(tmp_path / "bc.yaml"))
    assert message in str(caught.value)
