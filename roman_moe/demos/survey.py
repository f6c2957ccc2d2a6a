"""Survey: all episodes under a folder, the damaged ones named, and what is wrong with each as far as its numbers tell.

One damaged episode never hides the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import DemonstrationError
from roman_moe.core.spec import TASK_FILE, TaskSpec
from roman_moe.core.state import NANOSECONDS
from roman_moe.demos.dataset import dataset_spec
from roman_moe.demos.reader import Episode, episode_folders, read_episode

LEAST_RATE_SHARE = 0.95  # of the ticks that an episode of its rate and duration has
IDLE_S = 2.0  # [s] for which hand and gripper stand still before that is worth a note
STILL = 1e-3  # [m/s, rad/s] below which a command rests
JUMP = 2.0  # by which the hand may be faster than the top speed along all axes at once
JUMP_MARGIN = 0.005  # [m] besides


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What is under a folder.

    Attributes:
        root: folder of the dataset, which has the task.yaml.
        episodes: those that can be read.
        damaged: why the others cannot, by their folder.
    """

    spec: TaskSpec
    root: Path
    episodes: tuple[Episode, ...]
    damaged: Mapping[Path, str]

    def name(self, episode: Episode) -> str:
        """An episode's folder within the dataset, such as "push/episode_003"."""
        return episode.path.relative_to(self.root).as_posix()


def survey(folder: Path) -> Survey:
    """Read all episodes under a dataset, the folder of a network in it, or an episode.

    Raises:
        DemonstrationError: if there is none, or nothing says the task.
        ConfigError: naming the mistake in the dataset's task.yaml.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise DemonstrationError(f"{folder}: no such folder")
    found = episode_folders(folder)
    root = next((each for each in (folder, *folder.parents[:2]) if (each / TASK_FILE).is_file()), folder)
    spec = dataset_spec(root)
    episodes, damaged = [], {}
    for path in found:
        try:
            episodes.append(read_episode(path, spec))
        except DemonstrationError as error:
            damaged[path] = str(error)
    return Survey(spec, root, tuple(episodes), damaged)


def times(episode: Episode) -> NDArray[np.float64]:
    """Of its scenes since the first, (T,) [s]."""
    stamps = np.array([state.stamp_ns for state in episode.states])
    return (stamps - stamps[0]) / NANOSECONDS


def measured_rate(episode: Episode) -> float:
    """Scenes per second, gaps included [Hz]; its metadata's of a single scene."""
    duration = float(times(episode)[-1])
    return (len(episode.states) - 1) / duration if duration else episode.meta.rate


def gaps(episode: Episode) -> list[tuple[float, int]]:
    """When scenes are missing, since the first scene [s], and how many."""
    seconds = times(episode)
    missing = np.round(np.diff(seconds) * episode.meta.rate).astype(int) - 1
    return [(float(seconds[i]), int(missing[i])) for i in np.flatnonzero(missing > 0)]


def problems(episode: Episode, spec: TaskSpec) -> Iterator[str]:
    """What is wrong with an episode, a line each."""
    meta = episode.meta
    if meta.rate != spec.control_rate:
        yield f"recorded at {meta.rate:g} Hz: the task's control_rate is {spec.control_rate:g}"
    if len(episode.states) < 2:
        yield "zero length: it has one scene"
        return
    share = measured_rate(episode) / meta.rate
    if share < LEAST_RATE_SHARE:
        lost = [count for _, count in gaps(episode)]
        yield f"{100 * share:.1f} % of its rate of {meta.rate:g} Hz: {sum(lost)} scenes missing in {len(lost)} gaps"
    seconds = times(episode)
    positions = np.array([state.hand_position for state in episode.states])
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    far = steps > JUMP * math.sqrt(3) * spec.action.top_speed * np.diff(seconds) + JUMP_MARGIN
    for i in np.flatnonzero(far):
        yield f"jump: the hand moves {100 * steps[i]:.1f} cm between two scenes at {seconds[i]:.2f} s"


def idle_stretches(episode: Episode) -> list[tuple[float, float]]:
    """Stretches of `IDLE_S` or more in which hand and gripper are told nothing new: first and last time [s]."""
    seconds = times(episode)
    openings = np.array([command.gripper_opening for command in episode.commands])
    still = np.array([np.abs(command.twist).max() < STILL for command in episode.commands])
    still[1:] &= np.diff(openings) == 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], still, [False]]).astype(int)))
    stretches = [(float(seconds[i]), float(seconds[j - 1])) for i, j in edges.reshape(-1, 2)]
    return [(first, last) for first, last in stretches if last - first >= IDLE_S]
