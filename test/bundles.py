"""Tiny bundles with random weights, made in milliseconds without torch: for tests that need real ONNX sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from specs import ROMAN

from roman_moe.control.manifest import BUNDLE_FORMAT, KIND, MANIFEST_NAME, Manifest, NetworkFile
from roman_moe.control.metadata import NetworkMetadata
from roman_moe.control.rates import Rates
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.learning.policies.geometry import relative_matrix, relative_turns
from roman_moe.learning.policies.onnx_graph import CODE, Graph, PolicyParameters, finished_model, policy_model


def tiny_metadata(name: str, rates: Rates | None = None, spec: TaskSpec = ROMAN) -> NetworkMetadata:
    """Metadata of the network for a skill or "gate"."""
    rates = rates or Rates()
    if name == GATE:
        return NetworkMetadata.of_gate(spec, rates.gate_rate)
    return NetworkMetadata.of_expert(spec, name, rates.control_rate)


def tiny_network(
    name: str, seed: int = 0, hidden: Sequence[int] = (8,), metadata: NetworkMetadata | None = None, k: int = 0
) -> bytes:
    """Content of an .onnx file with random weights for a skill or "gate"; `k` experts of a sparse gate."""
    metadata = metadata or tiny_metadata(name)
    rng = np.random.default_rng([seed, *name.encode()])
    extra = relative_matrix(metadata.features).shape[1] + 2 * len(relative_turns(metadata.features, metadata.units))
    joined = len(metadata.features) + extra
    sizes = (joined + 2 * extra, *hidden, len(metadata.outputs))
    layers = [
        (rng.normal(0.0, a**-0.5, (a, b)).astype(np.float32), rng.normal(0.0, 0.5, b).astype(np.float32))
        for a, b in pairwise(sizes)
    ]
    mean, std = np.zeros(joined, np.float32), np.full(joined, 0.3, np.float32)
    return policy_model(PolicyParameters(mean, std, 5.0, (0.05, 0.01), layers, 10.0, k), metadata)


def write_tiny_bundle(
    folder: Path,
    seed: int = 0,
    hidden: Sequence[int] = (8,),
    rates: Rates | None = None,
    spec: TaskSpec = ROMAN,
    k: int = 0,
) -> Path:
    """Write a bundle with random weights into `folder`; the same seed gives the same bundle."""
    networks = {name: tiny_network(name, seed, hidden, tiny_metadata(name, rates, spec), k) for name in spec.networks}
    return write_networks(folder, networks, rates, spec)


def shared_network(seed: int = 0, spec: TaskSpec = ROMAN) -> bytes:
    """Content of an .onnx file with random weights for all skills at once."""
    metadata = replace(tiny_metadata(spec.skill_names[0], spec=spec), skills=spec.skill_names)
    rng, graph, parts = np.random.default_rng(seed), Graph(), []
    for name, count in (("observation", len(metadata.features)), (CODE, len(spec.skill_names))):
        weight = graph.constant(f"weight_{name}", rng.normal(size=(count, len(metadata.outputs))))
        parts.append(graph.add("MatMul", [name, weight], f"linear_{name}"))
    output = graph.add("Tanh", [graph.add("Add", parts, "sum")], "action")
    return finished_model(graph, metadata, output)


def write_networks(
    folder: Path, networks: dict[str, bytes], rates: Rates | None = None, spec: TaskSpec = ROMAN
) -> Path:
    """Write .onnx contents with a manifest that fits them, unchecked: tests of damage begin here."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, data in networks.items():
        files[name] = NetworkFile.of(f"{name}.onnx", data)
        (folder / files[name].file).write_bytes(data)
    gate = files.pop(GATE)
    task, rates = (spec, spec.digest, spec.skill_names), rates or Rates()
    manifest = Manifest(BUNDLE_FORMAT, KIND, *task, gate, files, rates, {"seed": 0})
    (folder / MANIFEST_NAME).write_text(manifest.to_yaml())
    return folder


def write_loose_limits(folder: Path) -> Path:
    """Limits that nothing reaches, so that commands are as they were before the guard."""
    file = folder / "loose.yaml"
    file.write_text(
        "speed: 100.0\nacceleration: 1.0e+6\njerk: 1.0e+9\nangular_speed: 100.0\nangular_acceleration: 1.0e+6\n"
        "angular_jerk: 1.0e+9\nworkspace_low: [-100, -100, -100]\n"
        "workspace_high: [100, 100, 100]\nslow_down: 0.01\nramp: 1.0e-6\nmax_command_age: 60.0\nmax_pose_age: 60.0\n"
    )
    return file
