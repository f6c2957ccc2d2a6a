"""How far the estimator's network is off on images that it has not been trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from roman_moe.core.spec import TaskSpec
from roman_moe.learning.poses.data import Samples
from roman_moe.learning.poses.losses import CENTIMETRE
from roman_moe.learning.poses.network import PoseNetwork
from roman_moe.perception.fusion import Views, fuse

BATCH = 16  # scenes
NORMAL_MEDIAN_2D = 1.177  # median length of two standard normal numbers
NORMAL_MEDIAN = 0.6745  # median size of one


@dataclass(frozen=True)
class Errors:
    """Errors over all objects that are visible and were found.

    Attributes:
        distances: of positions, by object [m].
        pixel_factor: by which the network's sigmas of pixels are too small.
        height_factor: likewise of heights.
        missed: share of what a camera sees that was not found.
    """

    distances: dict[str, NDArray[np.float64]]
    pixel_factor: float
    height_factor: float
    missed: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        every = np.concatenate(list(self.distances.values()))
        return {
            "median_m": _percentile(every, 50),
            "p95_m": _percentile(every, 95),
            "missed": self.missed,
            "pixel_factor": self.pixel_factor,
            "height_factor": self.height_factor,
            "objects": {
                name: {"median_m": _percentile(each, 50), "p95_m": _percentile(each, 95)}
                for name, each in self.distances.items()
            },
        }


def validate(network: PoseNetwork, samples: Samples, spec: TaskSpec) -> Errors:
    """Errors on all scenes of some samples."""
    cameras = samples.cameras
    network.eval()
    distances: list[NDArray[np.float64]] = []
    pixel_ratios, height_ratios, missed, visible_count = [], [], 0, 0
    for begin in range(0, len(samples.scenes), BATCH):
        scenes = range(begin, min(begin + BATCH, len(samples.scenes)))
        batch = samples.batch(np.arange(scenes.start * cameras, scenes.stop * cameras))
        with torch.no_grad():
            answers = network(batch.images, batch.geometry)
        labels = batch.labels
        visible = labels.visible.numpy() > 0.5
        sigmas = answers.log_pixel_sigmas.exp().numpy().astype(np.float64)
        height_sigmas = CENTIMETRE * answers.log_height_sigmas.exp().numpy().astype(np.float64)
        off = (answers.pixels - labels.pixels).norm(dim=2).numpy()
        raised = (answers.heights - labels.heights).abs().numpy()
        pixel_ratios.append((off / sigmas)[visible])
        height_ratios.append((raised / height_sigmas)[visible])
        found = answers.confidences.numpy() > 0.0
        pixels, heights = (each.numpy().astype(np.float64) for each in (answers.pixels, answers.heights))
        for number, scene in enumerate(scenes):
            rows = slice(number * cameras, (number + 1) * cameras)
            views = Views(found[rows], pixels[rows], sigmas[rows], heights[rows], height_sigmas[rows])
            positions, _ = fuse(samples.cameras_of(scene), views)
            off_by = np.linalg.norm(positions - samples.scenes.positions[scene], axis=1)
            there = visible[rows].any(axis=0)
            distances.append(np.where(there, off_by, np.nan))
            missed += int((there & ~found[rows].any(axis=0)).sum())
            visible_count += int(there.sum())
    network.train()
    table = np.array(distances)
    return Errors(
        distances={name: column[np.isfinite(column)] for name, column in zip(spec.objects, table.T, strict=True)},
        pixel_factor=float(np.median(np.concatenate(pixel_ratios)) / NORMAL_MEDIAN_2D),
        height_factor=float(np.median(np.concatenate(height_ratios)) / NORMAL_MEDIAN),
        missed=missed / max(visible_count, 1),
    )


def _percentile(values: NDArray[np.float64], share: float) -> float | None:
    return float(np.percentile(values, share)) if len(values) else None
