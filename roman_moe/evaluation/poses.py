"""How far an estimator of object poses is off: in scenes that training never shows, and behind the filter.

Scenes are drawn as for training (`evaluation.images`), from random streams of their own: no seed of an evaluation gives
scenes of a training set. Each moment is looked at in all of `sim.held_out.CONDITIONS`. The results follow from (task,
estimator, images, episodes, seed) alone.
"""

from __future__ import annotations

import atexit
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.identity import ORACLE
from roman_moe.core.files import version_of
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import yaw
from roman_moe.evaluation.evaluate import EpisodeJob, run_job, shared_world
from roman_moe.evaluation.images import draw_moments, draw_scene
from roman_moe.evaluation.pool import run_jobs
from roman_moe.perception.contact_sheet import Case
from roman_moe.perception.detections import Detections
from roman_moe.perception.estimator import PoseEstimator, find_estimator
from roman_moe.perception.image_set import VISIBLE_PIXELS, joined
from roman_moe.sim.camera_poses import CameraPoses
from roman_moe.sim.held_out import CONDITIONS, SCATTERED, HeldOutScene
from roman_moe.sim.pose_tally import PoseTally
from roman_moe.sim.randomisation import View
from roman_moe.sim.streams import episode_seed
from roman_moe.sim.task import SimTask
from roman_moe.sim.visibility import shown_share

PART_SCENES = 20
EPISODE_SCENES = 10  # moments that are taken of an episode
PURPOSE = "evaluate poses"
WORST = 16  # cases that are kept to be looked at

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PosesRequest:
    """What to judge.

    Attributes:
        images: under each condition.
        episodes: of the demonstrator, for the filter.
        workers: processes; the results do not depend on it.
    """

    task: SimTask
    estimator: Path
    images: int
    episodes: int
    seed: int
    workers: int

    @property
    def scenes(self) -> int:
        """Each gives an image a camera."""
        return math.ceil(self.images / len(self.task.spec.cameras))

    @property
    def parts(self) -> list[ScenePart]:
        """All scenes, in parts that some process judges."""
        starts = range(0, self.scenes, PART_SCENES)
        return [ScenePart(self, begin, min(PART_SCENES, self.scenes - begin)) for begin in starts]

    @property
    def episode_jobs(self) -> list[EpisodeJob]:
        """Episodes of the longest scenario in which the filter is judged, every second one disturbed."""
        source, start = CameraPoses("camera", file=str(self.estimator)), self.task.start("")
        return [
            EpisodeJob(ORACLE, start, episode_seed(self.seed, PURPOSE, index), source, disturbed=index % 2 == 1)
            for index in range(self.episodes)
        ]


@dataclass(frozen=True)
class ScenePart:
    """Some scenes of a request, from number `begin` on."""

    request: PosesRequest
    begin: int
    scenes: int


@dataclass(frozen=True, eq=False)
class PoseErrors:
    """What an estimator says of n objects in s scenes with c cameras, beside the truth.

    Attributes:
        pixels: by which each camera sees each object, (s, c, n).
        shares: of the pixels that it would cover if nothing hid it, (s, c, n).
        found: whether the estimator says that it sees the object, (s, n).
        errors: distances from the true positions [m], (s, n); NaN of what is not found.
        yaw_errors: [rad], (s, n); NaN of what is not found.
    """

    pixels: NDArray[np.int64]
    shares: Array
    found: NDArray[np.bool_]
    errors: Array
    yaw_errors: Array

    @property
    def views(self) -> NDArray[np.int64]:
        """Cameras that see each object, (s, n)."""
        return np.asarray((self.pixels >= VISIBLE_PIXELS).sum(axis=1))

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Whether one camera or more sees it, (s, n)."""
        return self.views > 0

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """Whether no pixel shows it, (s, n)."""
        return np.asarray(~self.pixels.any(axis=1))


@dataclass(frozen=True, eq=False)
class PosesEvaluation:
    """What came of a request.

    Attributes:
        conditions: by name.
        worst: the largest errors of what is seen, of all conditions.
        tallies: of the filter's poses, one an episode.
    """

    conditions: Mapping[str, PoseErrors]
    worst: list[Case]
    tallies: list[PoseTally]


def judge_poses(request: PosesRequest, on_done: Callable[[], None] = lambda: None) -> PosesEvaluation:
    """Judge an estimator.

    Args:
        on_done: called after each of `parts` and each of `episode_jobs`.

    Raises:
        BundleError: if the estimator must not run, or is for another task.
    """
    parts: dict[int, tuple[dict[str, PoseErrors], list[Case]]] = {}
    for index, part in run_jobs(judge_part, request.parts, request.workers):
        parts[index] = part
        on_done()
    episodes: dict[int, PoseTally] = {}
    for index, result in run_jobs(run_job, request.episode_jobs, request.workers):
        assert result.tally is not None
        episodes[index] = result.tally
        on_done()
    ordered = [parts[index] for index in range(len(parts))]
    return PosesEvaluation(
        {name: joined([judged[name] for judged, _ in ordered]) for name in CONDITIONS},
        worst_of([case for _, cases in ordered for case in cases]),
        [episodes[index] for index in range(len(episodes))],
    )


def judge_part(part: ScenePart) -> tuple[dict[str, PoseErrors], list[Case]]:
    """Judge some scenes under each condition; the worst cases are among what is answered."""
    request, task = part.request, part.request.task
    scene, estimator = _shared_scene(task), shared_estimator(task, request.estimator)
    rng = stream(request.seed, part.begin, "moments")
    moments = draw_moments(shared_world(task, task.spec.control_rate), part.scenes, EPISODE_SCENES, rng)
    judged: dict[str, PoseErrors] = {}
    cases: list[Case] = []
    for condition in CONDITIONS:
        rng = stream(request.seed, part.begin, condition)
        rows = []
        for number, moment in enumerate(moments):
            scene.choose(condition, part.begin + number)
            views, truth = draw_scene(scene, task, moment, rng, scattered=float(condition == SCATTERED))
            estimator.cameras = {view.camera.name: scene.calibration(view.camera, rng) for view in views}
            found = estimator.detect(0, {view.camera.name: view.image for view in views})
            rows.append(judge(task.spec, found, truth.positions[0], truth.orientations[0], _seen(scene, views)))
            cases += cases_of(task.spec, condition, views, truth.positions[0], found, rows[-1])
            cases = worst_of(cases)
        judged[condition] = joined(rows)
    return judged, cases


def stream(seed: int, begin: int, purpose: str) -> np.random.Generator:
    """Source of randomness of some scenes of an evaluation; images for training are drawn from shorter ones."""
    return np.random.default_rng([seed, begin, *f"{PURPOSE}/{purpose}".encode()])


def judge(
    spec: TaskSpec, found: Detections, positions: Array, orientations: Array, seen: tuple[NDArray[np.int64], Array]
) -> PoseErrors:
    """One scene.

    Args:
        found: what the estimator says.
        positions: true ones, (n, 3) [m].
        orientations: true ones, (n, 4).
        seen: `PoseErrors.pixels` and `PoseErrors.shares` of the scene, (c, n) each.
    """
    off = np.linalg.norm(found.positions - positions, axis=1)
    periods = np.array([2.0 * math.pi / each.symmetry for each in spec.objects.values()])
    turned = np.array([yaw(a) - yaw(b) for a, b in zip(found.orientations, orientations, strict=True)])
    yaw_errors = np.abs((turned + 0.5 * periods) % periods - 0.5 * periods)
    return PoseErrors(
        pixels=seen[0][None],
        shares=seen[1][None],
        found=found.seen[None],
        errors=np.where(found.seen, off, np.nan)[None],
        yaw_errors=np.where(found.seen, yaw_errors, np.nan)[None],
    )


def cases_of(
    spec: TaskSpec, condition: str, views: list[View], positions: Array, found: Detections, judged: PoseErrors
) -> Iterator[Case]:
    """The cases of one scene: each visible object that was found, in the image that shows most of it."""
    for row in np.flatnonzero(judged.visible[0] & judged.found[0]).tolist():
        view = max(views, key=lambda view: int(view.pixels[row]))
        pixels, _ = view.camera.project(np.stack([positions[row], found.positions[row]]))
        yield Case(spec.object_names[row], condition, float(judged.errors[0, row]), view.image, pixels)


def worst_of(cases: list[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: -case.error)[:WORST]


def _seen(scene: HeldOutScene, views: list[View]) -> tuple[NDArray[np.int64], Array]:
    """Pixels that show each object, and which share of it they are, (c, n) each."""
    shares = [
        [shown_share(scene.model, scene.data, geoms, view.camera) for geoms in scene.object_geoms] for view in views
    ]
    return np.array([view.pixels for view in views]), np.array(shares)


@lru_cache(maxsize=1)
def _shared_scene(task: SimTask) -> HeldOutScene:
    scene = HeldOutScene(task)
    atexit.register(scene.close)
    return scene


def shared_estimator(task: SimTask, file: Path) -> PoseEstimator:
    """This process's estimator of a task; its cameras are given with each scene.

    Raises:
        BundleError: if it must not run, or is for another task.
        ConfigError: if the task has no cameras.
    """
    return _estimator_of(task, file.absolute(), version_of(file))


@lru_cache(maxsize=1)
def _estimator_of(task: SimTask, file: Path, _: tuple[int, ...]) -> PoseEstimator:
    unknown: dict[str, Any] = dict.fromkeys(task.spec.cameras)
    return PoseEstimator(task.spec, unknown, file)


def usable_estimator(task: SimTask, given: str = "") -> Path:
    """File of a task's estimator, the shipped one if none is given: refused here, before any worker starts.

    Raises:
        BundleError: if it must not run, or is for another task.
        ConfigError: if the task has no cameras, or none is shipped.
    """
    file = find_estimator(task.spec.name, given)
    shared_estimator(task, file)
    return file
