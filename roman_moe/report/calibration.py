"""What a calibration went by: where in the image the board was, and how far its corners are from where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roman_moe.report.figure import FAINT, new_figure, save
from roman_moe.report.palette import INK

WORST = 95  # [percentile] of the errors that the colours reach to


def plot_calibration(
    pixels: Sequence[NDArray[np.float64]],
    residuals: Sequence[NDArray[np.float64]],
    size: tuple[int, int],
    path: Path,
    title: str,
) -> None:
    """Write a PNG: all corners in the image, coloured by their error; and the errors themselves.

    Args:
        pixels: corners of each view, (n, 2).
        residuals: of them, likewise [pixels].
        size: of the images [pixels].
    """
    figure = new_figure(12.0, 4.8, 130, "constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.5, 1.0]})
    corners, away = np.concatenate(pixels), np.concatenate(residuals)
    lengths = np.linalg.norm(away, axis=1)
    top = float(np.percentile(lengths, WORST))
    drawn = left.scatter(*corners.T, c=lengths, s=9, cmap="viridis", vmin=0.0, vmax=top)
    left.set_xlim(-0.5, size[0] - 0.5)
    left.set_ylim(size[1] - 0.5, -0.5)
    left.set_aspect("equal")
    for share in (1 / 3, 2 / 3):
        left.axvline(share * size[0], color="#d1d5db", linewidth=0.8, zorder=0)
        left.axhline(share * size[1], color="#d1d5db", linewidth=0.8, zorder=0)
    left.set_title(f"{title}: corners of {len(pixels)} views", loc="left", fontsize=11, fontweight="bold", color=INK)
    figure.colorbar(drawn, ax=left, label="reprojection error [pixels]", extend="max")
    right.scatter(*away.T, s=6, color="#3d78e6", alpha=0.5, linewidths=0)
    limit = 1.1 * max(float(np.abs(away).max()), 0.1)
    right.set_xlim(-limit, limit)
    right.set_ylim(limit, -limit)
    right.set_aspect("equal")
    right.axhline(0.0, color="#d1d5db", linewidth=0.8, zorder=0)
    right.axvline(0.0, color="#d1d5db", linewidth=0.8, zorder=0)
    rms = float(np.sqrt((lengths**2).mean()))
    right.set_title(f"errors: {rms:.2f} pixels (RMS)", loc="left", fontsize=11, fontweight="bold", color=INK)
    right.set_xlabel("right [pixels]", color=INK)
    right.set_ylabel("down [pixels]", color=INK)
    for axes in (left, right):
        axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=8)
    save(figure, path)
