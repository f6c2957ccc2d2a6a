"""A LeRobot dataset of somebody else's, by a mapping of its columns to a task's scene and actions.

What the mapping leaves out is filled in. Velocities are those of the mapped positions, the hand is turned as at home,
and forces are zero. An object that does not move is where task.yaml has it; any other is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.config import build, place_of, read_yaml, suggestion
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.tasks import load_spec
from roman_moe.demos.convert.columns import ACTION, UNKNOWN_AGE, Columns, Converted, names_of, write_dataset
from roman_moe.demos.convert.lerobot import episodes_in, read_info, tasks_in
from roman_moe.demos.metadata import EpisodeMeta

HAND = {
    "hand_position": 3,
    "hand_orientation": 4,
    "hand_velocity": 3,
    "hand_angular_velocity": 3,
    "finger_opening": 1,
    "finger_forces": 2,
}
"""What may be mapped of the hand, and how many numbers it has."""


@dataclass(frozen=True)
class Numbers:
    """Some numbers of a column.

    Attributes:
        numbers: which of its numbers, in our order; all if not given.
        scale: by which they are multiplied, one for all or one each.
        offset: added then.
    """

    column: str
    numbers: tuple[int, ...] = ()
    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    def of(self, columns: Columns) -> NDArray[np.float64]:
        """Of an episode, (T, n)."""
        values = columns[self.column].astype(np.float64).reshape(len(columns[self.column]), -1)
        chosen = values[:, list(self.numbers)] if self.numbers else values
        return chosen * self.scale + self.offset


@dataclass(frozen=True)
class ColumnMap:
    """What a foreign set's columns are.

    Attributes:
        networks: skill that each of the set's tasks teaches; tasks that are not here are left out.
        scene: where what of `HAND`, objects (3 or 7 numbers: position, quaternion x, y, z, w) and flags are.
        action: where the action is, in units of its top speeds; above 0 the gripper opens.
        outcome: how its episodes ended.
        source: who gave them.
    """

    task: str
    networks: Mapping[str, str]
    scene: Mapping[str, Numbers]
    action: Numbers
    outcome: str = "success"
    source: str = "lerobot"


def read_foreign(source: Path, out: Path, mapping: Path) -> int:
    """Make a dataset of somebody else's set; how many episodes it has.

    Raises:
        DemonstrationError: naming what of the mapping is not there, or does not fit, or `out` is there.
        ConfigError: if the mapping's task cannot be read.
    """
    wanted = build(ColumnMap, read_yaml(mapping, DemonstrationError), str(mapping), DemonstrationError)
    beside = mapping.parent / wanted.task
    spec = load_spec(beside if beside.is_dir() else wanted.task)
    info = read_info(source)
    if float(info["fps"]) != spec.control_rate:
        raise DemonstrationError(
            f"{source}: recorded at {info['fps']} Hz: control_rate of task {spec.name!r} is {spec.control_rate:g}"
        )
    tasks = tasks_in(source)
    _check(wanted, spec, info["features"], tasks, mapping)

    def converted() -> Iterator[Converted]:
        for number, columns in episodes_in(source):
            index = int(columns["task_index"][0])
            if not 0 <= index < len(tasks):
                raise DemonstrationError(f"{source}: task_index {index}: it has {len(tasks)} tasks")
            network = wanted.networks.get(tasks[index])
            if network is not None:
                meta = EpisodeMeta(
                    network=network,
                    outcome=wanted.outcome,
                    source=wanted.source,
                    rate=spec.control_rate,
                    task=spec.name,
                    task_sha256=spec.digest,
                    start=network,
                )
                yield Converted(f"{network}/episode_{number:03d}", meta, _columns(wanted, spec, columns))

    return write_dataset(out, spec, converted())


def _check(
    wanted: ColumnMap, spec: TaskSpec, features: Mapping[str, Mapping[str, object]], tasks: list[str], file: Path
) -> None:
    """Refuse names that are not there and numbers that do not fit, before anything is written."""
    for task, network in wanted.networks.items():
        for what, name, known in (("task", task, tasks), ("skill", network, spec.skill_names)):
            if name not in known:
                raise DemonstrationError(
                    _at(file, f"networks.{task}", f"unknown {what} {name!r}: {suggestion(name, known)}")
                )
    sizes = {**{name: (count,) for name, count in HAND.items()}, **dict.fromkeys(spec.objects, (3, 7))}
    sizes |= dict.fromkeys(spec.flags, (1,))
    for missing in {"hand_position", "finger_opening"} - set(wanted.scene):
        raise DemonstrationError(_at(file, "scene", f"no {missing}: expected it at least"))
    for name in wanted.scene:
        if name not in sizes:
            raise DemonstrationError(_at(file, f"scene.{name}", f"unknown: {suggestion(name, sizes)}"))
    for where, expected, numbers in (
        *((f"scene.{name}", sizes[name], numbers) for name, numbers in wanted.scene.items()),
        ("action", (spec.action.size,), wanted.action),
    ):
        if numbers.column not in features:
            hint = suggestion(numbers.column, features)
            raise DemonstrationError(_at(file, where, f"no column {numbers.column!r} in the dataset: {hint}"))
        shape = features[numbers.column]["shape"]
        width = int(np.prod(shape))  # type: ignore[call-overload]
        count = len(numbers.numbers) or width
        if not all(0 <= index < width for index in numbers.numbers):
            found = f"numbers {list(numbers.numbers)}: column {numbers.column!r} has {width}"
            raise DemonstrationError(_at(file, where, found))
        if count not in expected:
            found = f"{count} numbers of column {numbers.column!r}: expected {' or '.join(map(str, expected))}"
            raise DemonstrationError(_at(file, where, found))
        if not {len(numbers.scale), len(numbers.offset)} <= {1, count}:
            raise DemonstrationError(_at(file, where, f"scale, offset: expected one number, or {count}"))


def _at(file: Path, key: str, what: str) -> str:
    return f"{place_of(file, key)}: {what}"


def _columns(wanted: ColumnMap, spec: TaskSpec, given: Columns) -> Columns:
    mapped = {name: numbers.of(given) for name, numbers in wanted.scene.items()}
    length = len(mapped["hand_position"])
    columns = {name: np.zeros((length, len(numbers))) for name, numbers in names_of(spec, "").items()}
    columns = {name: values for name, values in columns.items() if name not in ("command", "weights", "policy_action")}
    columns["hand_orientation"][:] = spec.home.orientation
    if length > 1:
        columns["hand_velocity"] = np.gradient(mapped["hand_position"], axis=0) * spec.control_rate
    columns["object_ages"][:] = UNKNOWN_AGE
    columns |= {name: values for name, values in mapped.items() if name in HAND}
    positions = columns["object_positions"].reshape(length, -1, 3)
    orientations = columns["object_orientations"].reshape(length, -1, 4)
    orientations[..., 3] = 1.0
    for row, (name, each) in enumerate(spec.objects.items()):
        fixed = np.tile(each.position, (length, 1)) if each.position and not each.moves else None
        pose = mapped.get(name, fixed)
        if pose is not None:
            positions[:, row] = pose[:, :3]
            if pose.shape[1] == 7:
                orientations[:, row] = pose[:, 3:]
            columns["object_valid"][:, row], columns["object_ages"][:, row] = 1.0, 0.0
    for row, name in enumerate(spec.flags):
        if name in mapped:
            columns["flags"][:, row] = mapped[name][:, 0]
    columns[ACTION] = np.clip(wanted.action.of(given), -1.0, 1.0)
    return columns
