"""EpisodeMeta: what a demonstration says about itself, kept as the bag's custom data (string to string).

Every field is written and every field is demanded back, so a demonstration of unknown origin is never trained on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roman_moe.core.errors import DemonstrationError
from roman_moe.core.skills import SKILLS

FORMAT_VERSION = 3
GATE = "gate"
NETWORKS: tuple[str, ...] = (*SKILLS, GATE)
MONOLITHIC = "monolithic"
"""One network for the whole task, to compare the others with."""


@dataclass(frozen=True, slots=True)
class EpisodeMeta:
    """Origin of one demonstration.

    Attributes:
        network: which network it teaches: a skill, or "gate".
        start: name of the start, e.g. "push" or "scenario_6".
        outcome: how it ended, e.g. "success".
        source: who gave it, e.g. "oracle".
        noise_bound: level of the observation noise in the recorded scenes [m].
        noise_kind: "clipped" or "gaussian".
        perturbation: standard deviation of the bursts added to the executed (not to the recorded) actions, in units
            of a full action.
        disturbance: kind of the disturbance that the lab met in mid-episode, e.g. "close_drawer"; "" for none.
        delay: control ticks by which commands reached the arm late.
        lost_share: of the commands that never reached it.
        seed: seed of the episode.
        rate: scenes per second [Hz].
        git_commit: of the code that recorded it.
        format_version: of this format.
    """

    network: str
    start: str
    outcome: str
    source: str
    noise_bound: float
    noise_kind: str
    perturbation: float
    disturbance: str
    delay: int
    lost_share: float
    seed: int
    rate: float
    git_commit: str
    format_version: int = FORMAT_VERSION

    def to_custom_data(self) -> dict[str, str]:
        """As rosbag2 custom data; floats keep every digit."""
        return {key: str(value) for key, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_custom_data(cls, data: Mapping[str, str], path: Path) -> EpisodeMeta:
        """Back from custom data; `path` is named in errors.

        Raises:
            DemonstrationError: on another format version, a missing field or a value that cannot be meant.
        """
        version = data.get("format_version")
        if version is None:
            raise DemonstrationError(f"{path}: no format_version in its custom data: not a demonstration of roman_moe")
        if version != str(FORMAT_VERSION):
            raise DemonstrationError(
                f"{path}: format_version {version}: expected {FORMAT_VERSION}; record it again with this version"
            )
        values: dict[str, str | int | float] = {}
        for field in dataclasses.fields(cls):
            if field.name not in data:
                raise DemonstrationError(f"{path}: no field {field.name!r} in its custom data")
            values[field.name] = _parse(field.name, str(field.type), data[field.name], path)
        meta = cls(**values)  # type: ignore[arg-type]  # parsed by each field's own type
        if meta.network not in (*NETWORKS, MONOLITHIC):
            raise DemonstrationError(f"{path}: network {meta.network!r}: expected one of {', '.join(NETWORKS)}")
        if meta.rate <= 0:
            raise DemonstrationError(f"{path}: rate {meta.rate} Hz: expected more than 0")
        if meta.delay < 0 or not 0.0 <= meta.lost_share <= 1.0:
            raise DemonstrationError(
                f"{path}: delay {meta.delay}, lost_share {meta.lost_share}: expected ticks, 0 or more, and 0 to 1"
            )
        return meta


def _parse(name: str, kind: str, text: str, path: Path) -> str | int | float:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            value = float(text)
            if math.isfinite(value):
                return value
            raise ValueError(text)
    except ValueError:
        raise DemonstrationError(f"{path}: {name} is {text!r}: expected a finite {kind}") from None
    return text
