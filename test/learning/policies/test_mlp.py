"""The policies: fixed geometry inside, ROMAN's gate semantics, and the same answers in torch and ONNX."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from specs import OBSERVATIONS, ROMAN, SKILLS

from roman_moe.control.bundle import load_bundle
from roman_moe.control.bundle_writer import write_bundle
from roman_moe.control.rates import Rates
from roman_moe.core.errors import BundleError
from roman_moe.core.features import feature_layout
from roman_moe.core.tasks import load_spec
from roman_moe.learning import export
from roman_moe.learning.algorithms.bc import loss_of
from roman_moe.learning.export import PARITY_TOLERANCE, export_policy, parity
from roman_moe.learning.policies.geometry import object_columns, observed_objects, relative_matrix
from roman_moe.learning.policies.mlp import MLPPolicy, gate_weights
from roman_moe.learning.recipes.cloning import NetworkRecipe

NETWORKS = (*SKILLS, "gate")


def policy(name: str, seed: int = 0, **options: object) -> MLPPolicy:
    torch.manual_seed(seed)
    result = MLPPolicy(ROMAN, name, **({"hidden": (16, 16)} | options))
    result.observation.fit(torch.from_numpy(observations(name)))
    return result.eval()


def observations(name: str, count: int = 200) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(0.3, 0.2, size=(count, len(OBSERVATIONS[name]))).astype(np.float32)


def exported(name: str, **options: object) -> bytes:
    return export_policy(policy(name, **options), observations(name), Rates())


def test_relative_positions_are_object_minus_hand_then_target_minus_object():
    features = OBSERVATIONS["push"]
    observation = np.zeros(len(features))
    for name, position in {"hand_position": (1, 2, 3), "rack": (4, 4, 4), "conveyor_end": (9, 8, 7)}.items():
        for axis, value in zip("xyz", position, strict=True):
            observation[features.index(f"{name}.{axis}")] = value
    np.testing.assert_array_equal(observation @ relative_matrix(features), [3, 2, 1, 8, 6, 4, 5, 4, 3])


def test_velocities_and_forces_are_no_objects():
    assert observed_objects(OBSERVATIONS["gate"]) == ("drawer_handle", "cover", "door_handle", "rack", "vial", "button")
    assert [OBSERVATIONS["pull"][i] for i in object_columns(OBSERVATIONS["pull"])] == [
        "drawer_handle.x",
        "drawer_handle.y",
        "drawer_handle.z",
    ]


def test_relative_positions_need_the_hand():
    with pytest.raises(ValueError, match=r"'hand_position\.x' is not observed"):
        relative_matrix(("rack.x", "rack.y", "rack.z"))


def test_a_feature_that_hardly_varies_is_not_blown_up():
    """A fixed target seen through 1.7 mm of noise must stay small after normalisation."""
    network = MLPPolicy(ROMAN, "push", hidden=(4,))
    seen = np.tile(observations("push", 1), (500, 1))
    seen += np.random.default_rng(0).normal(0, 0.005 / 3, seen.shape).astype(np.float32)
    network.observation.fit(torch.from_numpy(seen))
    assert network.observation(torch.from_numpy(seen))[:, : seen.shape[1]].abs().max() < 0.5


@pytest.mark.parametrize(
    ("raw", "leader"),
    [([1.0, 0, 0, 0, 0, 0, 0], 0.99973), ([0.0] * 7, 1 / 7), ([9.0, -9, -9, -9, -9, -9, -9], 0.99973)],
)
def test_gate_weights_are_those_of_the_reference(raw: list[float], leader: float):
    weights = gate_weights(torch.tensor([raw]))
    assert float(weights[0, 0]) == pytest.approx(leader, abs=1e-5)
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-6)


def test_a_sparse_gate_weighs_its_k_largest_outputs_and_with_k_of_all_it_is_the_reference():
    raw = 2.0 * torch.randn(50, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = gate_weights(raw, 2)
    assert ((weights > 0.0).sum(dim=1) == 2).all()
    assert (weights[raw >= raw.topk(2, dim=1).values[:, 1:]] > 0.0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(gate_weights(raw, 7), gate_weights(raw), rtol=0.0, atol=1e-12)


def test_a_gate_output_clipped_on_the_wrong_side_still_learns():
    """The clip of the gate's outputs has no gradient outside [0, 1]; the cloning loss must have one."""
    network = policy("gate")
    with torch.no_grad():
        network.head.bias.fill_(-3.0)
    answers = torch.zeros(1, 7)
    answers[0, 2] = 1.0
    loss_of(network, torch.from_numpy(observations("gate", 1)), answers, NetworkRecipe()).backward()
    assert network.head.bias.grad is not None
    assert network.head.bias.grad[2] < 0.0


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_and_onnx_answer_the_same(name: str):
    network = policy(name, hidden=(256, 256, 256))
    data = export_policy(network, observations(name), Rates())
    assert parity(network, data, 3.0 * observations(name, 50)) <= PARITY_TOLERANCE


def test_without_near_scales_torch_and_onnx_still_answer_the_same():
    exported("push", near_scales=())


def test_export_refuses_a_graph_that_answers_otherwise(monkeypatch: pytest.MonkeyPatch):
    other, network_model = policy("gate", seed=1), export.network_model
    monkeypatch.setattr(export, "network_model", lambda _, metadata: network_model(other, metadata))
    with pytest.raises(BundleError, match="gate: torch and ONNX differ by"):
        exported("gate")


def test_the_same_policy_gives_the_same_bytes():
    assert exported("push") == exported("push")


def bundle_contents(seed: int) -> dict[str, bytes]:
    return {name: exported(name) if name != "push" else exported(name, seed=seed) for name in NETWORKS}


def test_a_written_bundle_loads_and_replaces_the_one_before(tmp_path: Path):
    out = tmp_path / "models" / "tiny"
    for seed in (1, 2):
        contents = bundle_contents(seed)
        write_bundle(out, ROMAN, contents, Rates(), {"note": seed})
        assert load_bundle(out).manifest.provenance == {"note": seed}
        assert (out / "push.onnx").read_bytes() == contents["push"]
    assert [path.name for path in out.parent.iterdir()] == ["tiny"]


def test_a_bundle_that_would_not_load_leaves_the_one_before_as_it_was(tmp_path: Path):
    out = tmp_path / "tiny"
    contents = bundle_contents(1)
    write_bundle(out, ROMAN, contents, Rates(), {"note": 1})
    with pytest.raises(BundleError, match=r"push\.onnx: its metadata say skill pull"):
        write_bundle(out, ROMAN, contents | {"push": contents["pull"]}, Rates(), {"note": 2})
    assert load_bundle(out).manifest.provenance == {"note": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_folder_with_other_files_is_not_overwritten(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match=r"holds thesis\.tex"):
        write_bundle(tmp_path, ROMAN, bundle_contents(1), Rates(), {})
    assert (tmp_path / "thesis.tex").exists()


KITTING = load_spec("kitting")


def turning(**angles: float) -> torch.Tensor:
    """What the tile's expert observes of things turned by these angles [rad], (1, n)."""
    features = feature_layout(KITTING).observations["insert_tile"]
    observation = torch.zeros(1, len(features))
    for name, angle in angles.items():
        fold = 1 if name == "hand" else KITTING.objects[name].symmetry
        for part, value in (("sin", math.sin(fold * angle)), ("cos", math.cos(fold * angle))):
            observation[0, features.index(f"{name}.yaw_{part}")] = value
    return observation


def test_relative_turns_are_object_minus_hand_then_target_minus_object():
    network = MLPPolicy(KITTING, "insert_tile", hidden=(4,))
    seen = network.observation._relative(turning(hand=0.2, tile=0.7, slot=0.3))[0, -6:]
    turns = (2 * (0.7 - 0.2), 2 * (0.3 - 0.2), 2 * (0.3 - 0.7))
    expected = [value for turn in turns for value in (math.sin(turn), math.cos(turn))]
    np.testing.assert_allclose(seen.numpy(), expected, atol=1e-6)


def test_a_thing_turned_by_its_symmetry_looks_the_same():
    network = MLPPolicy(KITTING, "insert_tile", hidden=(4,))
    one, other = (network(turning(hand=0.2, tile=0.7 + turn, slot=0.3)) for turn in (0.0, math.pi))
    np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("name", KITTING.networks)
def test_torch_and_onnx_answer_the_same_where_things_turn(name: str):
    torch.manual_seed(0)
    count = len(feature_layout(KITTING).observations[name])
    seen = np.random.default_rng(1).normal(0.3, 0.2, size=(200, count)).astype(np.float32)
    network = MLPPolicy(KITTING, name, (16, 16))
    network.observation.fit(torch.from_numpy(seen))
    data = export_policy(network.eval(), seen, Rates())
    assert parity(network, data, 3.0 * seen[:50]) <= PARITY_TOLERANCE
