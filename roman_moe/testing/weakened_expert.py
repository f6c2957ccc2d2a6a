"""Bundles with noise on their weights: they still run, and answer otherwise.

A weakened expert often fails, for what is to be corrected. A disturbed bundle is another controller of the same kind,
for benches that need two.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from roman_moe.control.bundle import load_bundle
from roman_moe.control.bundle_writer import write_bundle

DISTURBANCE = 0.02  # of the weights, relative


def weaken_expert(bundle: str | Path, skill: str, out: str | Path, deviation: float, seed: int = 0) -> None:
    """Write a bundle whose expert of a skill has noise on its weights; all else is as in `bundle`.

    Args:
        deviation: of the normal noise, as a share of each weight.
    """
    loaded = load_bundle(bundle)
    manifest, networks = loaded.manifest, loaded.contents()
    model = onnx.load_from_string(networks[skill])
    weights = [tensor for tensor in model.graph.initializer if "weight" in tensor.name]
    networks[skill] = _noisy(model, weights, deviation, np.random.default_rng(seed))
    said = {"weakened": {"skill": skill, "deviation": deviation, "seed": seed}}
    networks_said = manifest.provenance.get("networks", {})
    write_bundle(Path(out), manifest.task, networks, manifest.rates, {**said, "networks": networks_said})


def disturbed_copy(bundle: str | Path, out: Path, rng: np.random.Generator) -> Path:
    """The bundle again in another folder, every matrix of its networks with some noise; answers the folder."""
    loaded = load_bundle(bundle)
    manifest, networks = loaded.manifest, loaded.contents()
    for name, data in networks.items():
        model = onnx.load_from_string(data)
        matrices = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 2 and min(tensor.dims) > 1]
        networks[name] = _noisy(model, matrices, DISTURBANCE, rng)
    write_bundle(out, manifest.task, networks, manifest.rates, manifest.provenance)
    return out


def _noisy(model: onnx.ModelProto, tensors: list[onnx.TensorProto], share: float, rng: np.random.Generator) -> bytes:
    """The network once each of these tensors of it is times 1 plus normal noise of this deviation."""
    for tensor in tensors:
        values = numpy_helper.to_array(tensor)
        noisy = values * (1.0 + share * rng.standard_normal(values.shape))
        tensor.CopyFrom(numpy_helper.from_array(noisy.astype(values.dtype), tensor.name))
    return bytes(model.SerializeToString(deterministic=True))
