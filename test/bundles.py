"""Tiny bundles with random weights, made in milliseconds without torch: for tests that need real ONNX sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from specs import ROMAN

from roman_moe.control.manifest import BUNDLE_FORMAT, KIND, MANIFEST_NAME, Manifest, NetworkFile
from roman_moe.control.metadata import NetworkMetadata
from roman_moe.control.rates import Rates
from roman_moe.core.spec import GATE, TaskSpec


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
    parts, x = Parts(), "observation"
    for i, (a, b) in enumerate(pairwise((len(metadata.features), *hidden, len(metadata.outputs)))):
        inputs = [parts.constant(f"weight_{i}", rng.normal(0.0, a**-0.5, (a, b)))]
        inputs.append(parts.constant(f"bias_{i}", rng.normal(0.0, 0.5, b)))
        x = parts.add("Gemm", [parts.add("Tanh", [x], f"tanh_{i}"), *inputs], f"linear_{i}")
    if name != GATE:
        return parts.model(metadata, parts.add("Tanh", [x], "action"))
    highest = x
    if k:
        parts.tensors.append(numpy_helper.from_array(np.array([k]), "k"))
        parts.nodes.append(helper.make_node("TopK", [x, "k"], ["highest", "chosen"], axis=1))
        highest = "highest"
    limits = [parts.constant("zero", np.array(0.0)), parts.constant("one", np.array(1.0))]
    clipped = parts.add("Clip", [highest, *limits], "clipped")
    amplified = parts.add("Mul", [clipped, parts.constant("gain", np.array(10.0))], "amplified")
    weights = parts.add("Softmax", [amplified], "kept" if k else "weights", axis=1)
    if k:
        nothing = parts.add("Sub", [x, x], "nothing")
        weights = parts.add("ScatterElements", [nothing, "chosen", weights], "weights", axis=1)
    return parts.model(metadata, weights)


class Parts:
    """Operators and constants of a network."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.tensors.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: int) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def model(self, metadata: NetworkMetadata, output: str) -> bytes:
        sizes = {"observation": len(metadata.features), **({"code": len(metadata.skills)} if metadata.skills else {})}
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n]) for name, n in sizes.items()]
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", len(metadata.outputs)])]
        graph = helper.make_graph(self.nodes, metadata.name, inputs, outputs, self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, metadata.to_properties())
        data: bytes = model.SerializeToString(deterministic=True)
        return data


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
    rng, parts, sums = np.random.default_rng(seed), Parts(), []
    for name, count in (("observation", len(metadata.features)), ("code", len(spec.skill_names))):
        weight = parts.constant(f"weight_{name}", rng.normal(size=(count, len(metadata.outputs))))
        sums.append(parts.add("MatMul", [name, weight], f"linear_{name}"))
    return parts.model(metadata, parts.add("Tanh", [parts.add("Add", sums, "sum")], "action"))


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
