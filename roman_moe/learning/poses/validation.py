"""How far the estimator's network is off on images that it has not been trained on."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from roman_moe.core.spec import TaskSpec
from roman_moe.learning.poses.data import Samples
from roman_moe.learning.poses.losses import CENTIMETRE, Labels
from roman_moe.learning.poses.network import PoseNetwork, PosePredictions
from roman_moe.perception.fusion import Views, fuse

BATCH = 32
NORMAL_MEDIAN_2D = 1.177  # median length of two standard normal numbers
NORMAL_MEDIAN = 0.6745  # median size of one


@dataclass(frozen=True)
class Errors:
    """Errors over all objects that are visible and were found.

    Attributes:
        distances: of positions, by object [m].
        pixel_factor: by which the network's sigmas of pixels are too small.
        height_factor: likewise of heights; 1 at least, since heights of things that may be anywhere are guesses.
        threshold: logit of the confidence from which on an object counts as seen: as many of what is visible are
            missed as of what is hidden are claimed.
        missed: share of what a camera sees that was not found.
    """

    distances: dict[str, NDArray[np.float64]]
    pixel_factor: float
    height_factor: float
    threshold: float
    missed: float

    def to_dict(self) -> dict[str, Any]:
        every = np.concatenate(list(self.distances.values()))
        return {
            "median_m": _percentile(every, 50),
            "p95_m": _percentile(every, 95),
            "missed": self.missed,
            "pixel_factor": self.pixel_factor,
            "height_factor": self.height_factor,
            "threshold": self.threshold,
            "objects": {
                name: {"median_m": _percentile(each, 50), "p95_m": _percentile(each, 95)}
                for name, each in self.distances.items()
            },
        }


def validate(network: PoseNetwork, samples: Samples, spec: TaskSpec) -> Errors:
    network.eval()
    answers, labels = _answered(network, samples)
    network.train()
    visible = labels.visible.numpy() > 0.5
    sigmas = answers.log_pixel_sigmas.exp().numpy().astype(np.float64)
    height_sigmas = CENTIMETRE * answers.log_height_sigmas.exp().numpy().astype(np.float64)
    off = (answers.pixels - labels.pixels).norm(dim=2).numpy()
    raised = (answers.heights - labels.heights).abs().numpy()
    logits = answers.confidences.numpy()
    threshold = equal_error(logits[visible], logits[~visible])
    found = logits > threshold
    pixels, heights = (each.numpy().astype(np.float64) for each in (answers.pixels, answers.heights))
    distances = np.full((len(samples.scenes), len(spec.objects)), np.nan)
    for scene, row in enumerate(distances):
        views = slice(scene * samples.cameras, (scene + 1) * samples.cameras)
        seen = Views(found[views], pixels[views], sigmas[views], heights[views], height_sigmas[views])
        positions, *_ = fuse(samples.cameras_of(scene), seen)
        off_by = np.linalg.norm(positions - samples.scenes.positions[scene], axis=1)
        row[:] = np.where(visible[views].any(axis=0), off_by, np.nan)
    there = visible.reshape(len(distances), samples.cameras, -1).any(axis=1)
    return Errors(
        distances={name: column[np.isfinite(column)] for name, column in zip(spec.objects, distances.T, strict=True)},
        pixel_factor=float(np.median((off / sigmas)[visible]) / NORMAL_MEDIAN_2D),
        height_factor=max(1.0, float(np.median((raised / height_sigmas)[visible]) / NORMAL_MEDIAN)),
        threshold=threshold,
        missed=float(np.isnan(distances[there]).mean()) if there.any() else 0.0,
    )


def _answered(network: PoseNetwork, samples: Samples) -> tuple[PosePredictions, Labels]:
    """Answers to all images, and the truth; without heat maps, which would fill the memory."""
    answers, labels = [], []
    for begin in range(0, len(samples), BATCH):
        batch = samples.batch(np.arange(begin, min(begin + BATCH, len(samples))))
        with torch.no_grad():
            answered = network(batch.images, batch.geometry)
        nothing = torch.empty(0)
        answers.append(astuple(replace(answered, logits=nothing, presence=nothing)))
        labels.append(batch.labels)
    together = replace(
        labels[0],
        pixels=torch.cat([each.pixels for each in labels]),
        heights=torch.cat([each.heights for each in labels]),
        turns=torch.cat([each.turns for each in labels]),
        visible=torch.cat([each.visible for each in labels]),
    )
    return PosePredictions(*map(torch.cat, zip(*answers, strict=True))), together


def equal_error(visible: NDArray[np.floating], hidden: NDArray[np.floating]) -> float:
    """Logit at which as large a share of what is visible is missed as of what is hidden is claimed; 0 if all is clear.

    Args:
        visible: logits of what is visible, (v,).
        hidden: of what is hidden, (h,).
    """
    if not (len(visible) and len(hidden)):
        return 0.0
    candidates = np.unique(np.concatenate([visible, hidden]))
    missed = np.searchsorted(np.sort(visible), candidates, side="right") / len(visible)
    claimed = 1.0 - np.searchsorted(np.sort(hidden), candidates, side="right") / len(hidden)
    return float(candidates[np.argmin(np.abs(missed - claimed))])


def _percentile(values: NDArray[np.float64], share: float) -> float | None:
    return float(np.percentile(values, share)) if len(values) else None
