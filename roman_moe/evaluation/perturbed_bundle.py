"""A bundle with disturbed weights: another controller of the same kind, for benches that need two."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from roman_moe.control.bundle import Bundle
from roman_moe.control.manifest import MANIFEST_NAME, NetworkFile

DISTURBANCE = 0.02  # of the weights, relative


def disturbed_copy(bundle: Bundle, folder: Path, rng: np.random.Generator) -> Path:
    """The bundle again in another folder, every weight times 1 plus some noise; answers the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    experts = {}
    for name, entry in (("", bundle.manifest.gate), *bundle.manifest.experts.items()):
        model = onnx.load(bundle.path / entry.file)
        for tensor in model.graph.initializer:
            weights = numpy_helper.to_array(tensor)
            if weights.ndim == 2 and min(weights.shape) > 1:
                noisy = weights * (1.0 + DISTURBANCE * rng.standard_normal(weights.shape))
                tensor.CopyFrom(numpy_helper.from_array(noisy.astype(weights.dtype), tensor.name))
        data = model.SerializeToString()
        (folder / entry.file).write_bytes(data)
        experts[name] = NetworkFile.of(entry.file, data)
    gate = experts.pop("")
    manifest = dataclasses.replace(bundle.manifest, gate=gate, experts=experts)
    (folder / MANIFEST_NAME).write_text(manifest.to_yaml())
    return folder
