"""Object pose estimator: turns the cameras' images into poses of the task's objects, at every state of the hand.

A frame set needs a good image of every camera. Estimator and filter are those of `evaluate --poses`. In lockstep a
state of the hand waits for the images that are due at its stamp, and the poses equal those of `evaluate`. Otherwise a
separate thread runs the estimator, always on the newest images. Faults of images or cameras are reported, and such
images do not reach the filter: within half a second no object is valid, and the arm is halted.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from roman_moe.core.state import NANOSECONDS, HandState, ObjectPoses, begins_anew
from roman_moe.nodes.base.diagnostics import ERROR, OK, WAITING, WARN
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.parameters import TaskParameters, parameter
from roman_moe.nodes.base.topics import HAND_STATE, OBJECT_POSES, camera
from roman_moe.nodes.perception.visualization import Visualization
from roman_moe.perception.camera_feed import AHEAD, CameraFeed
from roman_moe.perception.camera_file import read_camera
from roman_moe.perception.detections import Detections
from roman_moe.perception.estimator import CPU
from roman_moe.perception.estimators import open_estimator
from roman_moe.perception.filter import SILENCE
from roman_moe.perception.frame_timing import LATENCY, RATE, DelayedFilter, FrameSetTimes
from roman_moe.perception.images import Image, read_compressed, read_image
from roman_moe.perception.scene_check import SceneCheck, examine
from roman_moe.wire import topics as names
from roman_moe.wire.bodies import scene_layout

FACTS_PERIOD = 1.0  # [s] between two updates of what diagnostics say besides

BAD_IMAGES = "bad_images"
BAD_FRAME_SETS = "bad_frame_sets"
BAD_MARKERS = "bad_markers"


@dataclass(frozen=True)
class ObjectPoseEstimatorParameters(TaskParameters):
    """Parameters of the estimator."""

    poses: str = parameter("the estimator: camera (the learned one) or markers", "camera")
    estimator: str = parameter("file of the learned estimator; the one shipped for the task if empty", "", shipped=True)
    provider: str = parameter("device of the learned estimator: cpu or cuda", CPU)
    calibration: str = parameter(
        "folder of the cameras' files NAME.yaml with their poses; if empty, the topics `pose` give them",
        *("",),
        shipped=True,
    )
    compressed: bool = parameter("whether to subscribe to image_raw/compressed instead of image_raw", False)
    rate: float = parameter(
        "rate of the images [Hz]; in lockstep it determines which states have images", RATE, (0.1, 100.0)
    )
    latency: float = parameter("in lockstep: time from images to their poses [s]", LATENCY, (0.0, 0.9))
    max_skew: float = parameter("largest difference of the stamps in one frame set [s]", 0.02, (0.0, 0.2))
    sensor_noise: bool = parameter(
        "whether images of a scene at rest differ, so that equal ones mean a frozen camera", True
    )
    reliable: bool = parameter("whether to subscribe to images reliably, as for a simulation", False)
    lockstep: bool = parameter("whether a state of the hand waits for its images without a timeout", False)
    speed: float = parameter("simulated seconds per second", 1.0, (0.001, 100.0))


class ObjectPoseEstimator(RomanNode):
    """Turns images and `hand_state` into `object_poses`."""

    NAME = "object_pose_estimator"
    PARAMETERS = ObjectPoseEstimatorParameters
    _settings: ObjectPoseEstimatorParameters
    _pool: ThreadPoolExecutor | None = None

    def configure(self) -> None:
        """Load the estimator, and where the cameras are."""
        settings, self._spec = self._settings, self._settings.spec()
        self.real_time = not settings.lockstep and settings.speed == 1.0
        self._estimator = open_estimator(settings.poses, self._spec, settings.estimator, settings.provider)
        self._feeds = {name: self._feed(name) for name in self._spec.cameras}

    def _feed(self, name: str) -> CameraFeed:
        folder, others = self._settings.calibration, [other for other in self._spec.cameras if other != name]
        placed = read_camera(Path(folder) / f"{name}.yaml") if folder else None
        # in lockstep an episode's first images may come before its first state
        ahead = math.inf if self._settings.lockstep else AHEAD
        return CameraFeed(name, others, self._settings.sensor_noise, placed, ahead)

    def activate(self) -> None:
        settings = self._settings
        self._times = FrameSetTimes(settings.rate)
        self._filter = DelayedFilter(self._spec, settings.latency if settings.lockstep else 0.0)
        self._check = SceneCheck(self._spec)
        self._hand: HandState | None = None  # the newest
        self._poses: ObjectPoses | None = None  # the newest, of the newest hand
        self._image_due = False  # whether in lockstep the hand's state waits for images
        self._frames_ns = -1  # of the last images that were looked at
        self._frames: Mapping[str, Image] = {}  # these images
        self._undrawn: Mapping[str, Image] = {}  # those of a frame set that nobody has been shown
        self._frames_fault = ""
        self._found: Detections | None = None
        self._frame_stamps: deque[int] = deque(maxlen=20)
        self._seconds = 0.0  # that the last estimate took
        self._latency = 0.0  # from the last images to the state of the hand that first had their poses [s]
        self._pool = None if settings.lockstep else ThreadPoolExecutor(1)
        self._under_way: Future[tuple[Detections, str, float]] | None = None
        self._publish = self.advertise_poses(OBJECT_POSES, self._spec)
        self._visualization = Visualization(self, self._spec)
        for name, feed in self._feeds.items():
            self._listen_to(name, feed)
        layout = scene_layout(self._spec)
        self.listen_bodies(HAND_STATE, layout.hand_names, layout.hand, self._on_hand)
        self.timer(FACTS_PERIOD, self._tell_facts)
        self.diagnostics.state(WARN, f"{WAITING}{HAND_STATE.name}")

    def deactivate(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _listen_to(self, name: str, feed: CameraFeed) -> None:
        settings = self._settings
        part = names.COMPRESSED if settings.compressed else names.IMAGE
        read: Callable[[Any], Image] = (
            read_compressed if settings.compressed else partial(read_image, grey=settings.poses == "markers")
        )

        def on_image(message: Any) -> None:
            if feed.take(message, read, self._hand):
                self._on_image(feed)

        def on_calibration(changed: bool) -> None:
            if changed:
                self._estimator.cameras = {each.name: each.camera for each in self._feeds.values() if each.camera}
                self._check.reset()
                self._go_on()

        self.listen(camera(name, part, settings.reliable), on_image)
        self.listen(camera(name, names.CAMERA_INFO, settings.reliable), on_calibration, feed.on_info)
        if not settings.calibration:
            self.listen(camera(name, names.CAMERA_POSE), on_calibration, feed.on_pose)

    def _on_hand(self, hand: HandState) -> None:
        if self.from_the_future(HAND_STATE.name, hand.stamp_ns):
            return
        if not np.isfinite([*hand.hand_position, *hand.hand_orientation, *hand.finger_forces]).all():
            self.diagnostics.count(NOT_FINITE, f"{HAND_STATE.name} at {hand.stamp_ns} ns")
            return
        if self._hand is not None and hand.stamp_ns == self._hand.stamp_ns:  # somebody has missed its poses
            if self._poses is not None:
                self._publish(self._poses)
            return
        if self._hand is None or begins_anew(hand.stamp_ns, self._hand.stamp_ns):
            self._begin()
        self._hand, self._poses = hand, None
        self._image_due = self._settings.lockstep and self._times.due(hand.stamp_ns)
        self._go_on()

    def _begin(self) -> None:
        for part in (self._times, self._filter):
            part.begin()
        for feed in self._feeds.values():
            feed.reset()
        self._check.reset()
        self._frames_ns, self._frames_fault, self._found = -1, "", None

    def _on_image(self, feed: CameraFeed) -> None:
        if feed.image is None:
            self.diagnostics.count(BAD_IMAGES, feed.fault)
        self._go_on()

    def _go_on(self) -> None:
        """Look, if there is something to look at; answer the hand's state, if nothing is missing for that."""
        if self._hand is None:
            return
        if self._settings.lockstep:
            if self._poses is None and self._has_come(self._hand.stamp_ns):
                if self._image_due:
                    self._estimate_now()
                self._answer(self._hand)
            return
        self._collect()
        self._begin_estimate()
        if self._poses is None:
            self._answer(self._hand)

    def _has_come(self, stamp_ns: int) -> bool:
        """In lockstep: whether all is there that a state of the hand waits for."""
        missing = []
        for feed in self._feeds.values():
            if self._image_due and feed.stamp_ns != stamp_ns:
                missing.append(f"an image of camera {feed.name}")
            elif self._image_due and feed.camera is None:
                missing.append(feed.fault)
        if missing:
            self.diagnostics.state(WARN, f"{WAITING}{'; '.join(missing)}")
        return not missing

    def _images(self) -> tuple[int, Mapping[str, Image]] | None:
        """Stamp and images of a frame set that is not estimated yet; None if an image is missing or bad."""
        feeds = self._feeds.values()
        stamp_ns = min(feed.stamp_ns for feed in feeds)
        images = {feed.name: feed.image for feed in feeds if feed.image is not None and not feed.fault}
        if len(images) < len(feeds) or self._apart() > self._settings.max_skew or stamp_ns <= self._frames_ns:
            return None
        return stamp_ns, images

    def _estimate_now(self) -> None:
        if (given := self._images()) is not None:
            self._frames_ns, self._frames = given
            self._take(*_timed(partial(examine, self._estimator, self._check, *given)))

    def _begin_estimate(self) -> None:
        if self._pool is None or self._under_way is not None or (given := self._images()) is None:
            return  # if one is under way, the newest images follow when it is done
        self._frames_ns, self._frames = given
        self._under_way = self._pool.submit(_timed, partial(examine, self._estimator, self._check, *given))

    def _collect(self) -> None:
        if self._under_way is not None and self._under_way.done():
            done, self._under_way = self._under_way, None
            self._take(*done.result())

    def _take(self, found: Detections, fault: str, seconds: float) -> None:
        self._frames_fault, self._seconds = fault, seconds
        waits = self._settings.latency if self._settings.lockstep else 0.0
        self._latency = waits + (self._hand.stamp_ns - found.stamp_ns) / NANOSECONDS if self._hand else waits
        if fault:
            self.diagnostics.count(BAD_FRAME_SETS, fault)
            return
        for problem in found.problems:
            self.diagnostics.count(BAD_MARKERS, problem)
        self._found = found
        self._frame_stamps.append(found.stamp_ns)
        self._filter.add(found)
        self._undrawn = self._frames

    def _answer(self, hand: HandState) -> None:
        self._poses = self._filter.poses(hand)
        self._publish(self._poses)
        self._visualization.show_poses(self._poses)
        if self._undrawn and self._found:
            self._visualization.show_images(self._undrawn, self._estimator.cameras, self._poses, self._found)
            self._undrawn = {}
        wrong = self._faults(hand)
        if wrong:
            self.diagnostics.state(ERROR, "; ".join(wrong))
        elif self._found is None:
            self.diagnostics.state(WARN, f"{WAITING}images")
        elif self._found.problems:
            self.diagnostics.state(WARN, "; ".join(self._found.problems))
        else:
            self.diagnostics.state(OK, "giving poses")

    def _faults(self, hand: HandState) -> list[str]:
        """What keeps detections from the filter."""
        feeds = self._feeds.values()
        wrong = [fault for feed in feeds if (fault := feed.fault or feed.silent(hand.stamp_ns))]
        if wrong or self._frames_fault:
            return [*wrong, *filter(None, [self._frames_fault])]
        if self._found is None or hand.stamp_ns - self._found.stamp_ns <= SILENCE * NANOSECONDS:
            return []
        if self._apart() > self._settings.max_skew:
            return ["images of the cameras are not of one moment: trigger the cameras together"]
        return [f"no frame set for more than {SILENCE} s: estimating one takes {1e3 * self._seconds:.0f} ms"]

    def _apart(self) -> float:
        """Between the oldest and the newest of the cameras' last images [s]."""
        stamps = [feed.stamp_ns for feed in self._feeds.values()]
        return (max(stamps) - min(stamps)) / NANOSECONDS

    def _tell_facts(self) -> None:
        """Rate, latency, confidence, and what is hidden."""
        poses, stamps = self._poses, self._frame_stamps
        lasted = (stamps[-1] - stamps[0]) / NANOSECONDS if len(stamps) > 1 else 0.0
        facts = {"frame_sets_hz": f"{(len(stamps) - 1) / lasted:.1f}" if lasted > 0.0 else "0"}
        facts |= {"estimate_ms": f"{1e3 * self._seconds:.0f}", "latency_ms": f"{1e3 * self._latency:.0f}"}
        if poses is not None:
            hidden = [name for name, valid in zip(self._spec.objects, poses.valid, strict=True) if not valid]
            facts["hidden"] = ", ".join(hidden)
            sigmas = 1e3 * np.sqrt(np.trace(self._filter.filter.covariances, axis1=1, axis2=2) / 3.0)
            known = zip(self._spec.objects, sigmas.tolist(), strict=True)
            facts["sigma_mm"] = ", ".join(f"{name} {sigma:.1f}" for name, sigma in known if np.isfinite(sigma))
        self.diagnostics.fact(facts, at_once=False)


def _timed(estimate: Callable[[], tuple[Detections, str]]) -> tuple[Detections, str, float]:
    began = time.monotonic()
    return (*estimate(), time.monotonic() - began)
