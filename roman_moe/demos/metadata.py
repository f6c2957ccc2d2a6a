"""EpisodeMeta: what a demonstration says about itself, kept as the bag's custom data (string to string).

Every field is written. What training depends on is demanded back, so a demonstration of unknown origin is never trained
on; `ros2 bag record --custom-data KEY=VALUE ...` gives it to a recording of a running graph.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roman_moe.core.errors import DemonstrationError
from roman_moe.core.roman import NETWORKS

FORMAT_VERSION = 3
MONOLITHIC = "monolithic"
"""One network for the whole task, to compare the others with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeMeta:
    """Origin of one demonstration.

    Attributes:
        network: which network it teaches: a skill, or "gate".
        outcome: how it ended, e.g. "success".
        source: who gave it, e.g. "oracle".
        noise_bound: level of the observation noise in the recorded scenes [m].
        rate: scenes per second [Hz].
        start: name of the start, e.g. "push" or "scenario_6"; the network's name if it is not given. This and all that
            follows is known in the lab alone.
        noise_kind: "clipped" or "gaussian".
        perturbation: standard deviation of the bursts added to the executed (not to the recorded) actions, in units
            of a full action.
        disturbance: kind of the disturbance that the lab met in mid-episode, e.g. "close_drawer"; "" for none.
        delay: control ticks by which commands reached the arm late.
        lost_share: of the commands that never reached it.
        seed: seed of the episode.
        git_commit: of the code that recorded it.
        format_version: of this format.
    """

    network: str
    outcome: str
    source: str
    noise_bound: float
    rate: float
    start: str = ""
    noise_kind: str = "clipped"
    perturbation: float = 0.0
    disturbance: str = ""
    delay: int = 0
    lost_share: float = 0.0
    seed: int = 0
    git_commit: str = "unknown"
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
        required = [field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING]
        missing = [name for name in ("format_version", *required) if name not in data]
        if missing:
            raise DemonstrationError(
                f"{path}: no {', '.join(missing)} in its custom data: record with `ros2 bag record --custom-data "
                f"format_version={FORMAT_VERSION} network=... ...`, or add them to its metadata.yaml (docs/training.md)"
            )
        version = data["format_version"]
        if version != str(FORMAT_VERSION):
            raise DemonstrationError(
                f"{path}: format_version {version}: expected {FORMAT_VERSION}; record it again with this version"
            )
        values: dict[str, str | int | float] = {
            field.name: _parse(field.name, str(field.type), data[field.name], path)
            for field in dataclasses.fields(cls)
            if field.name in data
        }
        values.setdefault("start", data["network"])
        meta = cls(**values)  # type: ignore[arg-type]  # parsed by each field's own type
        if meta.network not in (*NETWORKS, MONOLITHIC):
            raise DemonstrationError(f"{path}: network {meta.network!r}: expected one of {', '.join(NETWORKS)}")
        if meta.noise_bound < 0 or meta.perturbation < 0:
            raise DemonstrationError(
                f"{path}: noise_bound {meta.noise_bound}, perturbation {meta.perturbation}: expected 0 or more"
            )
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
