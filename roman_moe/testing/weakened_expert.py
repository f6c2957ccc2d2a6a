"""A weakened expert: one that still runs and often fails, for what is to be corrected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from roman_moe.control.bundle import load_bundle
from roman_moe.control.bundle_writer import write_bundle
from roman_moe.core.spec import GATE


def weaken_expert(bundle: str | Path, skill: str, out: str | Path, deviation: float, seed: int = 0) -> None:
    """Write a bundle whose expert of a skill has noise on its weights; all else is as in `bundle`.

    Args:
        deviation: of the normal noise, as a share of each weight.
        seed: of the noise.
    """
    loaded, rng = load_bundle(bundle), np.random.default_rng(seed)
    manifest = loaded.manifest
    files = {GATE: manifest.gate, **manifest.experts}
    networks = {name: file.read(loaded.path) for name, file in files.items()}
    model = onnx.load_from_string(networks[skill])
    for tensor in model.graph.initializer:
        if "weight" in tensor.name:
            weight = numpy_helper.to_array(tensor)
            noisy = weight * (1.0 + deviation * rng.standard_normal(weight.shape))
            tensor.CopyFrom(numpy_helper.from_array(noisy.astype(np.float32), tensor.name))
    networks[skill] = model.SerializeToString(deterministic=True)
    said = {"weakened": {"skill": skill, "deviation": deviation, "seed": seed}}
    networks_said = manifest.provenance.get("networks", {})
    write_bundle(Path(out), manifest.task, networks, manifest.rates, {**said, "networks": networks_said})
