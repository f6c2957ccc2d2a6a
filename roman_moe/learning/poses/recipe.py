"""Every number of the estimator's training, from YAML. A key that no one reads is an error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from roman_moe.core.config import build, read_yaml
from roman_moe.core.errors import ConfigError
from roman_moe.core.ranges import Range, check_ranges
from roman_moe.learning.recipes.cloning import BATCH, RATE, STEPS

WARM_UP = 0.05  # share of the steps over which the learning rate rises


@dataclass(frozen=True)
class PosesRecipe:
    """How the estimator's network is trained.

    Attributes:
        batch_size: images a step, drawn with replacement, over all workers.
        learning_rate: of AdamW at its highest; rises linearly over the first 5 % of the steps, then falls as a cosine.
        widths: channels at half, a quarter, an eighth and a sixteenth of an image's size.
        validation_share: of the parts of the image set that are kept from training.
        checkpoint_steps: from one checkpoint to the next.
    """

    steps: Annotated[int, STEPS]
    batch_size: Annotated[int, BATCH]
    learning_rate: Annotated[float, RATE]
    weight_decay: Annotated[float, Range(0, 1)]
    widths: Annotated[tuple[int, ...], Range(4, 1024)]
    validation_share: Annotated[float, Range(0, 1, above=True, below=True)]
    checkpoint_steps: Annotated[int, STEPS]

    def __post_init__(self) -> None:
        check_ranges(self)
        if len(self.widths) != 4:
            raise ValueError(f"widths {list(self.widths)}: expected four numbers")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rise = (step + 1) / (WARM_UP * self.steps)
        fall = 0.5 * (1.0 + math.cos(math.pi * max(0.0, step / self.steps - WARM_UP) / (1.0 - WARM_UP)))
        return self.learning_rate * min(rise, fall)


def load_poses_recipe(path: Path) -> PosesRecipe:
    """A recipe file.

    Raises:
        ConfigError: naming file, line and key of the first mistake.
    """
    return build(PosesRecipe, read_yaml(path, ConfigError), str(path), ConfigError)
