"""Synthetic images: moments of a task, with random appearance, and the truth about them.

The moments are those of the demonstrator's episodes from all starts, disturbed or not, with the arm in view and in the
way. In some of them loose things are put anywhere, and the arm is bent. An estimator so learns to see a thing where it
is, not where it usually is. A part follows from (task, seed, its number, ranges) alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.outcome import Outcome
from roman_moe.core.provenance import git_commit
from roman_moe.evaluation.controllers import OracleController
from roman_moe.evaluation.pool import Workers, run_jobs
from roman_moe.perception.image_set import LABELS, ImageSetDescription, Scenes, joined, write_description, write_part
from roman_moe.sim.episode import Episode
from roman_moe.sim.randomisation import RandomScene, Ranges, View
from roman_moe.sim.streams import Streams
from roman_moe.sim.task import SimTask
from roman_moe.sim.world import XYZW, World

PART_SCENES = 100
EPISODE_SCENES = 25  # moments that are taken of an episode
DISTURBED_SHARE = 0.5
SCATTERED_SHARE = 0.35
"""Of the scenes in which things may be anywhere: loose ones, doors, drawers and locks."""
MOVING_SHARE = 0.5  # least share of an episode's scenes in which a thing moves, as in the hand
SCATTER = np.array([[0.28, -0.33, -0.11], [0.66, 0.36, 0.22]])
"""Where they may then be [m], lowest and highest."""
MOVED = 1e-4  # by a thing that moves, between two ticks at the least [m]
BEND = 0.12  # standard deviation of the angles by which the arm is then bent [rad]


@dataclass(frozen=True)
class ImageRequest:
    """What to draw.

    Attributes:
        workers: how many processes, or a cluster; the images do not depend on it.
    """

    task: SimTask
    out: Path
    count: int
    seed: int
    workers: Workers
    ranges: Ranges

    @property
    def scenes(self) -> int:
        """Each gives an image a camera."""
        return math.ceil(self.count / len(self.task.spec.cameras))


@dataclass(frozen=True)
class _Part:
    request: ImageRequest
    number: int

    @property
    def folder(self) -> Path:
        return self.request.out / f"part_{self.number:05d}"

    @property
    def scenes(self) -> int:
        return min(PART_SCENES, self.request.scenes - self.number * PART_SCENES)


def draw_images(request: ImageRequest, on_part: Callable[[int], None] = lambda scenes: None) -> None:
    """Draw an image set, or what is missing of it.

    Args:
        on_part: called with the number of scenes of each part that is there.

    Raises:
        ConfigError: if the task has no cameras, or cameras of several sizes.
        DemonstrationError: if the folder holds other images.
    """
    spec = request.task.spec
    sizes = {(each.width, each.height) for each in spec.cameras.values()}
    if len(sizes) != 1:
        found = "none" if not sizes else ", ".join(f"{width} x {height}" for width, height in sorted(sizes))
        raise ConfigError(f"task {spec.name}: cameras of size {found}: expected one at least, and all of one size")
    ((width, height),) = sizes
    description = ImageSetDescription(
        task=spec.name,
        task_sha256=spec.digest,
        objects=spec.object_names,
        cameras=tuple(spec.cameras),
        width=width,
        height=height,
        scenes=request.scenes,
        seed=request.seed,
        ranges=asdict(request.ranges),
        git_commit=git_commit(),
    )
    write_description(request.out, description)
    parts = [_Part(request, number) for number in range(math.ceil(request.scenes / PART_SCENES))]
    missing = [part for part in parts if not (part.folder / LABELS).is_file()]
    for part in parts:
        if part not in missing:
            on_part(part.scenes)
    for index, _ in run_jobs(draw_part, missing, request.workers):
        on_part(missing[index].scenes)


def draw_part(part: _Part) -> None:
    request = part.request
    rng = np.random.default_rng([request.seed, part.number])
    scene = RandomScene(request.task, request.ranges)
    try:
        moments = draw_moments(World(request.task), part.scenes, EPISODE_SCENES, rng, MOVING_SHARE)
        drawn = [draw_scene(scene, request.task, moment, rng) for moment in moments]
    finally:
        scene.close()
    views, scenes = zip(*drawn, strict=True)
    images = [[view.image for view in each] for each in views]
    write_part(part.folder, tuple(request.task.spec.cameras), images, joined(scenes))


def draw_moments(
    world: World, count: int, of_episode: int, rng: np.random.Generator, moving_share: float = 0.0
) -> list[NDArray[np.float64]]:
    """Physics states of moments of the demonstrator's episodes, so many of each episode.

    Args:
        moving_share: least share of an episode's moments in which a thing moves, where there are any.
    """
    task = world.task
    starts = [*map(task.start, range(len(task.spec.scenarios))), *map(task.start, task.spec.skills)]
    controller = OracleController(task)
    moments: list[NDArray[np.float64]] = []
    while len(moments) < count:
        streams = Streams.of_seed(int(rng.integers(2**31)))
        start = starts[rng.integers(len(starts))]
        episode = Episode(world, start, streams, disturbed=bool(rng.random() < DISTURBED_SHARE))
        controller.reset()
        states, positions = [], []
        while episode.outcome is Outcome.RUNNING:
            states.append(world.physics_state())
            positions.append(episode.state.object_positions)
            episode.step(controller.step(episode.state).command)
        chances = _chances(np.array(positions), moving_share)
        chosen = rng.choice(len(states), size=min(of_episode, len(states)), replace=False, p=chances)
        moments += [states[i] for i in chosen]
    return moments[:count]


def _chances(positions: NDArray[np.float64], moving_share: float) -> NDArray[np.float64] | None:
    """Of each of an episode's t moments to be chosen, by where its n objects are, (t, n, 3) [m]; None: all alike."""
    steps = np.linalg.norm(np.diff(positions, axis=0, prepend=positions[:1]), axis=2)
    moving = (steps > MOVED).any(axis=1)
    if not 0.0 < moving.mean() < moving_share:
        return None
    return np.where(moving, moving_share / moving.sum(), (1.0 - moving_share) / max(1, (~moving).sum()))


def draw_scene(
    scene: RandomScene,
    task: SimTask,
    moment: NDArray[np.float64],
    rng: np.random.Generator,
    scattered: float = SCATTERED_SHARE,
) -> tuple[list[View], Scenes]:
    """Views of a moment in a new appearance, and the truth about it.

    Args:
        scattered: probability with which things may be anywhere.
    """
    scene.data.qpos[:] = moment
    if rng.random() < scattered:
        _scatter(scene, rng)
    views = scene.draw(rng)
    sites = [scene.model.site(name).id for name in task.spec.objects]
    orientations = np.empty((len(sites), 4))
    for row, site in zip(orientations, sites, strict=True):
        mujoco.mju_mat2Quat(row, scene.data.site_xmat[site])
    cameras = [view.camera for view in views]
    return views, Scenes(
        positions=scene.data.site_xpos[None, sites],
        orientations=orientations[None, :, XYZW],
        pixels=np.array([[view.pixels for view in views]]),
        focal=np.array([[camera.focal for camera in cameras]]),
        centres=np.array([[camera.centre for camera in cameras]]),
        camera_positions=np.array([[camera.position for camera in cameras]]),
        camera_orientations=np.array([[camera.orientation for camera in cameras]]),
    )


def _scatter(scene: RandomScene, rng: np.random.Generator) -> None:
    """Put some of the loose things anywhere, turned about the vertical, and the scene's joints; bend the arm."""
    positions = scene.data.qpos
    for address in scene.loose:
        if rng.random() < 0.5:
            half = rng.uniform(-0.5 * math.pi, 0.5 * math.pi)
            positions[address : address + 3] = rng.uniform(*SCATTER)
            positions[address + 3 : address + 7] = [math.cos(half), 0.0, 0.0, math.sin(half)]
    if rng.random() < 0.5:
        positions[scene.arm_joints] += rng.normal(0.0, BEND, len(scene.arm_joints))
    positions[scene.jointed] = rng.uniform(*scene.ranges.T)
