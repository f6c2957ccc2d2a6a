"""From a trained network to the estimator's .onnx file, proven to answer the same."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from roman_moe.core.errors import BundleError
from roman_moe.core.spec import TaskSpec
from roman_moe.learning.policies.onnx_graph import exported
from roman_moe.learning.poses.data import Samples
from roman_moe.learning.poses.losses import CENTIMETRE
from roman_moe.learning.poses.network import PoseNetwork, geometry_of
from roman_moe.learning.poses.validation import Errors
from roman_moe.perception.estimator import INPUTS, OUTPUTS, EstimatorMetadata, run_session

PARITY = {"pixels": 1e-2, "pixel_sigmas": 1e-2, "heights": 1e-4, "height_sigmas": 1e-4, "confidences": 1e-3}
"""Largest differences between torch and ONNX [pixels, m, 1]."""


class _Exported(nn.Module):
    """The network from images as cameras give them to numbers in SI units."""

    def __init__(self, network: PoseNetwork, errors: Errors, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.size = network, size
        self.pixel_factor, self.height_factor = errors.pixel_factor, errors.height_factor
        self.threshold = errors.threshold

    def forward(self, images: Tensor, rays: Tensor, positions: Tensor) -> tuple[Tensor, ...]:
        geometry = geometry_of(rays, positions, self.size)
        answers = self.network(images.permute(0, 3, 1, 2).float() / 255.0, geometry)
        return (
            answers.pixels,
            self.pixel_factor * answers.log_pixel_sigmas.exp(),
            answers.heights,
            self.height_factor * CENTIMETRE * answers.log_height_sigmas.exp(),
            (answers.confidences - self.threshold).sigmoid(),
            answers.turns,
        )


def export_estimator(
    network: PoseNetwork, errors: Errors, samples: Samples, spec: TaskSpec, provenance: Mapping[str, object]
) -> bytes:
    """Content of the .onnx file.

    Args:
        errors: on images that it was not trained on: they say how large its sigmas have to be.
        samples: some of these images, on which torch and ONNX are compared.

    Raises:
        BundleError: if torch and ONNX differ.
    """
    width, height = samples.size
    module = _Exported(network.eval(), errors, (height, width)).eval()
    scene = range(samples.cameras)
    pictures = torch.from_numpy(np.stack(samples.pictures(scene)))
    cameras = samples.cameras_of(0)
    rays = torch.from_numpy(np.stack([each.pixel_rays for each in cameras])).float()
    positions = torch.from_numpy(np.stack([each.position for each in cameras])).float()
    inputs = dict(zip(INPUTS, (pictures, rays, positions), strict=True))
    metadata = EstimatorMetadata(spec.name, spec.object_names, width, height)
    properties = {**metadata.to_properties(), "provenance": json.dumps(provenance)}
    data = exported(module, inputs, OUTPUTS, "cameras", properties)
    with torch.no_grad():
        expected = dict(zip(OUTPUTS, module(*inputs.values()), strict=True))
    found = run_session(data, {name: each.numpy() for name, each in inputs.items()})
    for name, tolerance in PARITY.items():
        difference = float(np.abs(found[name] - expected[name].numpy()).max())
        if not difference <= tolerance:
            raise BundleError(f"{name}: torch and ONNX differ by {difference:.1e}: expected {tolerance:.0e} or less")
    return data
