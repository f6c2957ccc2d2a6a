"""Editing of demonstrations: into a new folder, episode by episode; what is there stays as it is.

Episodes that nothing is changed of are copied byte for byte.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roman_moe.core.config import suggestion
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.files import atomic_folder
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.demos.dataset import write_spec
from roman_moe.demos.extras import images, lab_ticks
from roman_moe.demos.metadata import EpisodeMeta
from roman_moe.demos.reader import Episode, read_ticks
from roman_moe.demos.survey import Survey, times
from roman_moe.demos.writer import EpisodeWriter
from roman_moe.wire.bag_types import typestore
from roman_moe.wire.codec import decode_tick
from roman_moe.wire.topics import TICK


@dataclass(frozen=True)
class Edit:
    """What to change. Episodes have their names of a survey.

    Attributes:
        delete: episodes to leave out.
        split: where to cut an episode in two, since its first scene [s].
        labels: fields of `EpisodeMeta` to set.
        only: episodes to label; all if empty.
    """

    delete: tuple[str, ...] = ()
    split: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()


def edit(found: Survey, out: Path, wanted: Edit) -> int:
    """Write the edited dataset to a folder that is not there yet, and say how many episodes it has.

    Damaged episodes are left out.

    Raises:
        DemonstrationError: if the folder is there, there is no such episode, or one cannot be labelled or split so.
    """
    if out.exists():
        raise DemonstrationError(f"{out}: exists already: name a folder that is not there")
    names = [found.name(episode) for episode in found.episodes]
    for name in (*wanted.delete, *wanted.split, *wanted.only):
        if name not in names and not (found.root / name in found.damaged and name in wanted.delete):
            raise DemonstrationError(f"{found.root}: no episode {name!r}: {suggestion(name, names)}")
    with atomic_folder(out) as new:
        write_spec(new, found.spec)
        for name, episode in zip(names, found.episodes, strict=True):
            if name not in wanted.delete:
                labels = wanted.labels if not wanted.only or name in wanted.only else {}
                _write(new, name, episode, found.spec, labels, wanted.split.get(name))
        return sum(1 for _ in new.rglob("metadata.yaml"))


def _write(
    new: Path, name: str, episode: Episode, spec: TaskSpec, labels: Mapping[str, str], split: float | None
) -> None:
    meta = dataclasses.replace(episode.meta, **labels)  # type: ignore[arg-type]  # all of them are text
    if meta == episode.meta and split is None:
        shutil.copytree(episode.path, new / name)
        return
    if meta.network != episode.meta.network and GATE in (meta.network, episode.meta.network):
        raise DemonstrationError(
            f"{episode.path}: teaches {episode.meta.network!r}, not {meta.network!r}: actions are no weights"
        )
    parts = Path(name).parts[:-1]
    folder = new.joinpath(*(meta.network if part == episode.meta.network else part for part in parts))
    target = folder / episode.path.name
    if split is None:
        rewrite(episode, spec, target, meta, range(len(episode.states)))
        return
    first = int((times(episode) < split).sum())
    if not 0 < first < len(episode.states):
        raise DemonstrationError(
            f"{episode.path}: split at {split:g} s: expected more than 0 and at most {times(episode)[-1]:.2f} s"
        )
    for number, rows in enumerate((range(first), range(first, len(episode.states))), start=1):
        rewrite(episode, spec, target.with_name(f"{target.name}_{number}"), meta, rows)


def rewrite(episode: Episode, spec: TaskSpec, path: Path, meta: EpisodeMeta, rows: range) -> None:
    """Write some consecutive ticks of an episode, and the images between them, as an episode of its own.

    Raises:
        DemonstrationError: if there is nothing to learn for the network from one of the scenes.
    """
    _, _, topics, _ = read_ticks(episode.path, spec)
    ticks = [decode_tick(typestore().deserialize_cdr(each.data, each.kind)) for each in topics.get(TICK, [])]
    last = episode.states[rows[-1]].stamp_ns if rows[-1] + 1 < len(episode.states) else None
    with EpisodeWriter(path, spec, meta.network) as writer:
        for row in rows:
            writer.add(
                episode.states[row],
                episode.answers[row],
                episode.commands[row],
                ticks[row] if ticks else None,
                None if episode.policy is None else episode.policy[row],
            )
        for name, stamp, data in images(episode):
            if (rows[0] == 0 or stamp > episode.states[rows[0] - 1].stamp_ns) and (last is None or stamp <= last):
                writer.add_image(name, stamp, data)
        for each in lab_ticks(episode):  # all of the ticks before, too: a replay begins with the first
            if last is None or each.command.stamp_ns <= last:
                writer.add_lab_tick(each)
        writer.close(meta)
