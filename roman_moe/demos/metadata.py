"""EpisodeMeta: the origin of a demonstration, stored as the bag's custom data (string to string).

Every field is written, except empty fields for people. Fields on which training depends are required, so demonstrations
of unknown origin are never used; `ros2 bag record --custom-data KEY=VALUE ...` adds them to a recording of a running
graph. Fields that only a simulator can fill are optional, so the recording of a real arm is complete without them.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from roman_moe.core.errors import DemonstrationError
from roman_moe.core.ranges import AT_LEAST_0, MORE_THAN_0, SHARE, ranges_of
from roman_moe.core.spec import MONOLITHIC, TASK_FILE, TaskSpec
from roman_moe.demos.bag import METADATA_FILE
from roman_moe.demos.checksums import CUSTOM_CHECKSUM

FORMAT_VERSION = 4

FOR_PEOPLE = ("name", "notes", "operator")
"""Fields that are written only where somebody has given them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeMeta:
    """Origin of one demonstration.

    Attributes:
        network: the taught network: a skill, or "gate".
        outcome: outcome, e.g. "success".
        source: demonstrator, e.g. "oracle".
        rate: scenes per second [Hz].
        task_sha256: `TaskSpec.digest` of the version of it; "" if it is not known. This and all that follows is
            optional.
        start: name of the start, e.g. "scenario_6"; the network's name if it is not given.
        noise_bound: level of the noise that was added to the recorded scenes [m]; 0 for poses from cameras.
        noise_kind: "clipped" or "gaussian"; for poses from cameras their estimator, such as "markers".
        perturbation: standard deviation of the bursts added to the executed (not to the recorded) actions, in units
            of a full action.
        disturbance: kind of the disturbance in mid-episode; "" for none.
        delay: delay of commands [control ticks].
        lost_share: share of lost commands.
        name: name for people, like the next two fields.
    """

    network: str
    outcome: str
    source: str
    rate: Annotated[float, MORE_THAN_0]
    task: str
    task_sha256: str = ""
    start: str = ""
    noise_bound: Annotated[float, AT_LEAST_0] = 0.0
    noise_kind: str = "clipped"
    perturbation: Annotated[float, AT_LEAST_0] = 0.0
    disturbance: str = ""
    delay: Annotated[int, AT_LEAST_0] = 0
    lost_share: Annotated[float, SHARE] = 0.0
    seed: int = 0
    git_commit: str = "unknown"
    name: str = ""
    notes: str = ""
    operator: str = ""
    format_version: int = FORMAT_VERSION

    def to_custom_data(self) -> dict[str, str]:
        """As rosbag2 custom data; floats keep every digit."""
        fields = dataclasses.asdict(self).items()
        return {key: str(value) for key, value in fields if value != "" or key not in FOR_PEOPLE}

    @classmethod
    def from_custom_data(cls, data: Mapping[str, str], spec: TaskSpec, path: Path) -> EpisodeMeta:
        """Back from custom data of a demonstration of a task; `path` is named in errors.

        Raises:
            DemonstrationError: on another format version, another task or another version of it, a missing field or a
                value that cannot be meant.
        """
        version = data.get("format_version", str(FORMAT_VERSION))
        if version != str(FORMAT_VERSION):
            raise DemonstrationError(
                f"{path}: format_version {version}: expected {FORMAT_VERSION}, which says the task; record it again, "
                f"or in its {METADATA_FILE} set format_version to {FORMAT_VERSION}, add task and remove "
                f"{CUSTOM_CHECKSUM}"
            )
        required = [field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING]
        missing = [name for name in ("format_version", *required) if name not in data]
        if missing:
            raise DemonstrationError(
                f"{path}: no {', '.join(missing)} in its custom data: record with `ros2 bag record --custom-data "
                f"format_version={FORMAT_VERSION} task=... ...`, or add them to its {METADATA_FILE}"
            )
        kinds = typing.get_type_hints(cls).items()
        values = {name: _parse(name, kind, data[name], path) for name, kind in kinds if name in data}
        values["start"] = values.get("start") or data["network"]
        meta = cls(**values)  # type: ignore[arg-type]  # parsed by each field's own type
        meta.check_task(spec, path)
        if meta.network not in (*spec.networks, MONOLITHIC):
            raise DemonstrationError(f"{path}: network {meta.network!r}: expected one of {', '.join(spec.networks)}")
        for name, allowed in ranges_of(cls).items():
            if getattr(meta, name) not in allowed:
                raise DemonstrationError(f"{path}: {name} {getattr(meta, name)}: expected {allowed}")
        return meta

    def check_task(self, spec: TaskSpec, path: Path) -> None:
        """Refuse a demonstration of another task, or of another version of it.

        Raises:
            DemonstrationError: naming what was found and what was expected.
        """
        if self.task != spec.name:
            raise DemonstrationError(f"{path}: is of task {self.task!r}: expected {spec.name!r}")
        if self.task_sha256 not in ("", spec.digest):
            raise DemonstrationError(
                f"{path}: is of another version of task {spec.name!r}, {self.task_sha256[:12]}: expected "
                f"{spec.digest[:12]}; use it with the {TASK_FILE} that it was recorded with, or record it again"
            )


def _parse(name: str, kind: type[str | int | float], text: str, path: Path) -> str | int | float:
    try:
        value = kind(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(text)
    except ValueError:
        raise DemonstrationError(f"{path}: {name} is {text!r}: expected a finite {kind.__name__}") from None
    return value
