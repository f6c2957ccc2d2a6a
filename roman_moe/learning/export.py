"""From trained torch policies to .onnx files, proven to answer the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from roman_moe.control.manifest import load_manifest
from roman_moe.control.metadata import NetworkMetadata
from roman_moe.control.network import Network
from roman_moe.control.rates import Rates
from roman_moe.core.errors import BundleError
from roman_moe.core.features import feature_layout
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.learning.policies.mlp import MLPPolicy
from roman_moe.learning.policies.onnx_graph import network_model

PARITY_TOLERANCE = 1e-5
PARITY_SAMPLES = 256
TIE = 1e-4  # between two outputs of a sparse gate


def policy_content(policy: MLPPolicy, rates: Rates) -> bytes:
    """Content of the .onnx file of a policy, compared with nothing: for what is judged by what it does.

    Args:
        rates: at which the controller will run.
    """
    if policy.name == GATE:
        metadata = NetworkMetadata.of_gate(policy.spec, rates.gate_rate, policy.features, policy.outputs)
    else:
        metadata = NetworkMetadata.of_expert(policy.spec, policy.name, rates.control_rate, policy.features)
    return network_model(policy, metadata)


def export_policy(policy: MLPPolicy, recorded: NDArray[np.floating[Any]], rates: Rates) -> bytes:
    """Content of the .onnx file of a policy, compared with torch on recorded and random observations.

    Args:
        recorded: observations that it was trained on, (N, n); some of them are compared.
        rates: at which the controller will run.

    Raises:
        BundleError: if the largest difference exceeds 1e-5.
    """
    data = policy_content(policy, rates)
    difference = parity(policy, data, _probes(policy, recorded))
    if not difference <= PARITY_TOLERANCE:
        raise BundleError(
            f"{policy.name}: torch and ONNX differ by {difference:.1e}: expected {PARITY_TOLERANCE:.0e} or less"
        )
    return data


def parity(policy: MLPPolicy, data: bytes, observations: NDArray[np.float32]) -> float:
    """Largest difference between a torch policy and its .onnx content as the controller runs it, on (N, n).

    Of a sparse gate, observations at which an expert is chosen by less than `TIE` are left out.
    """
    if 0 < policy.k < len(policy.outputs):  # float32 may not tell which of two almost equal outputs is among the k
        with torch.no_grad():
            highest = policy.raw(torch.from_numpy(observations)).topk(policy.k + 1, dim=1).values.numpy()
        observations = observations[highest[:, -2] - highest[:, -1] > TIE]
    network = Network(policy.spec, data, policy.name)
    layout = feature_layout(policy.spec)
    vector, indices = np.zeros(len(layout)), layout.indices(policy.features)
    with torch.no_grad():
        expected = policy(torch.from_numpy(observations)).numpy()
    largest = 0.0
    for observation, answer in zip(observations, expected, strict=True):
        vector[indices] = observation
        largest = max(largest, float(np.abs(network(vector) - answer).max()))
    return largest


def expert_of(bundle: Path, spec: TaskSpec, name: str, near_scales: Sequence[float]) -> MLPPolicy:
    """The torch policy of a bundle's network. Raises as `policy_of`, or if the bundle is for another task."""
    manifest = load_manifest(bundle)
    if manifest.task != spec:
        raise BundleError(f"{bundle}: is for another task, or version of it, than the demonstrations")
    data = manifest.networks[name].read(find_shipped(bundle))
    return policy_of(spec, name, data, near_scales, str(bundle))


def policy_of(spec: TaskSpec, name: str, data: bytes, near_scales: Sequence[float], where: str) -> MLPPolicy:
    """The torch policy of a .onnx file that `export_policy` made; `where` is named in errors.

    Args:
        near_scales: of the network's recipe [m].

    Raises:
        BundleError: if the file is of another kind of network.
    """
    graph, numbers = onnx.load_from_string(data).graph, onnx.numpy_helper.to_array
    found = {tensor.name: numbers(tensor) for tensor in graph.initializer}
    found |= {node.output[0]: numbers(node.attribute[0].t) for node in graph.node if node.op_type == "Constant"}
    try:
        k = next((int(found[node.input[1]].item()) for node in graph.node if node.op_type == "TopK"), 0)
        if "weight_head" in found:
            found = _of_today(found)
        count = sum(key.startswith("body.") and key.endswith(".bias") for key in found)
        policy = MLPPolicy(spec, name, [len(found[f"body.{i}.bias"]) for i in range(count)], near_scales, k=k)
        state = policy.state_dict()  # with what is of training alone, a sparse gate's noise: it begins anew
        state |= {key: torch.tensor(found[key]) for key in found.keys() & state.keys()}
        policy.load_state_dict(state)
        difference = parity(policy, data, _probes(policy, np.zeros((1, len(policy.features)), np.float32)))
    except (KeyError, RuntimeError, ValueError):
        difference = math.inf
    if not difference <= PARITY_TOLERANCE:
        raise BundleError(
            f"{where}: its {name} is no network that `roman-moe train` made by this recipe: train it anew"
        )
    return policy


def _of_today(found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Tensors of a file that our own exporter wrote, which torch's has replaced, by today's names."""
    layers = {"head": "head"} | {f"body.{i}": str(i) for i in range(sum(key.startswith("bias_") for key in found) - 1)}
    weights = {f"{layer}.weight": found[f"weight_{key}"].T for layer, key in layers.items()}
    biases = {f"{layer}.bias": found[f"bias_{key}"] for layer, key in layers.items()}
    size = found["sizes"][0] if "sizes" in found else len(found["centre"])  # what follows is of the near scales
    return weights | biases | {"observation.mean": found["centre"][:size], "observation.std": found["scale"][:size]}


def _probes(policy: MLPPolicy, recorded: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Recorded observations spread over all of them, and random ones from within and well outside their range.

    Not farther: metres away, activations grow to where float32 itself resolves no more than the tolerance.
    """
    rng = np.random.default_rng(0)
    chosen = recorded[np.linspace(0, len(recorded) - 1, min(PARITY_SAMPLES, len(recorded))).astype(int)]
    count = len(policy.features)
    mean, std = policy.observation.mean[:count].numpy(), policy.observation.std[:count].numpy()
    spread = rng.choice([0.3, 1.0, 3.0], size=(PARITY_SAMPLES, 1))
    random = mean + spread * std * rng.standard_normal((PARITY_SAMPLES, count))
    return np.concatenate([chosen, random]).astype(np.float32)
