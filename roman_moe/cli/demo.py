"""`roman-moe demo`: one scenario through the real ROS 2 graph, and pictures of it."""

from __future__ import annotations

import contextlib
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray
from rich.console import Console

from roman_moe.cli import options as opt
from roman_moe.cli.keys import Keys
from roman_moe.cli.progress import CountProgress
from roman_moe.cli.ros_args import QUIET
from roman_moe.control.manifest import load_manifest, task_of_bundle
from roman_moe.core.errors import ConfigError
from roman_moe.core.files import move, scratch_folder, write_json
from roman_moe.core.paths import find_shipped
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import NANOSECONDS

if TYPE_CHECKING:
    from roman_moe.control.identity import Identity
    from roman_moe.nodes.bringup.bringup import Graph, Tick
    from roman_moe.nodes.bringup.episode_record import EpisodeRecord
    from roman_moe.report.camera_corner import CameraView
    from roman_moe.report.trace import Trace
    from roman_moe.sim.world import World

VIDEO_SIZE = (1280, 720)
PREVIEW_SIZE = (64, 48)
SLOWEST, FASTEST = 0.1, 20.0  # --video-speed
LEAST_SIDE, MOST_SIDE = 160, 3840  # of a video [pixels]
REPORT, PLOT, VIDEO, ANIMATION = "report.json", "gate_weights.png", "demo.mp4", "demo.webp"


LAST = -1  # in place of a scenario's number: the last one


@dataclass(frozen=True)
class Demo:
    """Solve a scenario through the ROS 2 graph; draw a video of it."""

    scenario: Annotated[int, tyro.conf.arg(metavar="N", help_behavior_hint=opt.SILENT)] = LAST
    """Number of the task's scenario; its last one if not given. `roman-moe tasks info TASK` lists them."""

    seed: opt.Natural = 0
    """Seed of the start and of the noise."""

    out: opt.Folder = Path("out/demo")
    """Folder for demo.mp4, gate_weights.png and report.json; a finished run replaces the files that it writes."""

    bundle: opt.Bundle = Path("models/roman")
    task: opt.Simulation = ""
    """Name or folder of the task to simulate; by default the bundle's, from the working directory or installed."""

    sim_arm: opt.SimulatedArm = ""
    """Simulated arm: name, such as ur5e, or folder; the task's own if not given."""

    poses: opt.Poses = "truth"
    estimator: opt.Estimator = ""
    noise_bound: opt.Metres = 0.005
    """Clip bound of the noise on object positions; its sigma is a third of that."""

    disturb: opt.Flag = False
    """Move something once in mid-episode, so that a skill has to be done again; the seed chooses it."""

    viewer: opt.Flag = False
    """Open MuJoCo's viewer as well; needs a display."""

    separate: opt.Flag = False
    """Run each node as a process of its own."""

    realtime: opt.Flag = False
    """Run in real time and miss late commands; by default the lab waits, and a seed always gives the same run."""

    video: opt.Flag = True
    """Leave out the video."""

    animation: opt.Flag = False
    """Draw demo.webp as well: the run in five seconds."""

    video_speed: Annotated[float, tyro.conf.arg(metavar="TIMES")] = 1.5
    """Speed of the video while the hand is near an object; four times as fast otherwise."""

    video_size: Annotated[str, tyro.conf.arg(metavar="SIZE")] = "x".join(map(str, VIDEO_SIZE))
    """Width and height of the video [pixels]."""

    camera: Annotated[str, tyro.conf.arg(metavar="NAME")] = "close"
    """View of the video: close, or one of the scene's cameras, such as overview."""

    @property
    def needs(self) -> tuple[str, ...]:
        graph = ("rclpy", "onnxruntime", "mujoco", "matplotlib", *(("cv2",) if self.poses != "truth" else ()))
        return (*graph, "PIL", "imageio_ffmpeg") if self.video else graph

    def main(self) -> int:
        """0 if the scenario was solved, 1 if not."""
        last = len(self._spec.scenarios) - 1
        if not 0 <= self._number <= last:
            raise ConfigError(f"--scenario {self._number}: expected 0 to {last}")
        if not SLOWEST <= self.video_speed <= FASTEST:
            raise ConfigError(f"--video-speed {self.video_speed:g}: expected {SLOWEST:g} to {FASTEST:g}")
        size = parsed_size(self.video_size)
        if self.animation and not self.video:
            raise ConfigError("--animation: not valid with --no-video")
        opt.check_poses(self.poses, self.estimator, self.noise_bound != Demo.noise_bound, self._spec)
        if self.viewer:
            check_display()
        if self.video or self.poses != "truth":
            check_rendering(self._task, self.sim_arm, self.camera)

        console = Console()
        identity = opt.show_bundle(console, self.bundle)
        try:
            with scratch_folder(self.out, "new") as new:
                return self._run_and_draw(console, identity, new, size)
        except OSError as error:
            if error.filename is None or not Path(os.fsdecode(error.filename)).is_relative_to(self.out):
                raise
            raise ConfigError(f"--out {self.out}: cannot be written: {error.strerror}") from error

    @cached_property
    def _spec(self) -> TaskSpec:
        return task_of_bundle(self.bundle, self.task)

    @property
    def _task(self) -> str:
        return self.task or self._spec.name

    @property
    def _number(self) -> int:
        return self.scenario if self.scenario != LAST else len(self._spec.scenarios) - 1

    def _run_and_draw(self, console: Console, identity: Identity, new: Path, size: tuple[int, int]) -> int:
        """What an earlier run left in `out` stays until everything of this one is in `new`."""
        began = time.monotonic()
        guard: dict[int, int] = {}
        record = self._run(console, guard)
        wall = time.monotonic() - began
        trace = trace_of(self._spec, record)
        report = self._report(record, trace, wall) | identity.to_dict()
        ended = f"Solved in {record.time_s:.1f} s" if record.success else f"Not solved: {spoken(record.outcome)}"
        opt.say(console, f"{ended} (wall {wall:.1f} s, missed ticks {record.missed_ticks})")
        self._draw(console, trace, record, guard, ended, new, size)
        write_json(new / REPORT, report)
        names = sorted(file.name for file in new.iterdir())
        (self.out / REPORT).unlink(missing_ok=True)  # goes first and comes last: it stands for a complete folder
        for name in (PLOT, VIDEO, ANIMATION, REPORT):
            if name in names:
                move(new / name, self.out / name, kept=new)
        opt.say(console, f"See {self.out}: {', '.join(names)}")
        if VIDEO not in names and (self.out / VIDEO).exists():
            opt.say(console, f"{self.out / VIDEO} is of an earlier run")
        return 0 if record.success else 1

    def _run(self, console: Console, guard: dict[int, int]) -> EpisodeRecord:
        """Run it; what the guard did at each tick's stamp goes to `guard`."""
        from roman_moe.report.live import LiveView

        title = f"Scenario {self._number}, {self.bundle}, seed {self.seed}"
        with Keys() as keys, LiveView(console, title, self._spec) as view:
            from roman_moe.nodes.bringup.bringup import run_episode  # takes seconds: Ctrl-C is watched already

            def show(tick: Tick) -> None:
                guard[tick.stamp_ns] = tick.guard
                note = "stopped: r lets the arm move again" if tick.stopped else ""
                view.update(tick.stamp_ns / NANOSECONDS, tick.skills, tick.weights, tick.missed_ticks, note)

            def spin(graph: Graph) -> None:
                keys.obey(graph)
                for lines in (graph.monitor.changes, graph.said):
                    while lines:
                        view.say(lines.pop(0), "yellow")

            return run_episode(
                self.bundle,
                str(self._number),
                task=self.task,
                sim_arm=self.sim_arm,
                seed=self.seed,
                noise_bound=self.noise_bound,
                poses=self.poses,
                estimator=self.estimator,
                disturbed=self.disturb,
                separate=self.separate,
                lockstep=not self.realtime,
                viewer=self.viewer,
                on_tick=show,
                on_spin=spin,
                ros_arguments=QUIET,
            )

    def _report(self, record: EpisodeRecord, trace: Trace, wall: float) -> dict[str, Any]:
        from roman_moe.core.provenance import git_commit
        from roman_moe.report.trace import leading_segments

        return {
            "scenario": self._number,
            "success": record.success,
            "outcome": record.outcome,
            "time_s": record.time_s,
            "skills": [asdict(segment) for segment in leading_segments(trace)],
            "seed": self.seed,
            "poses": self.poses,
            **({"noise_bound_m": self.noise_bound} if self.poses == "truth" else {}),
            "disturbance": record.disturbance,
            "disturbed_s": record.disturbed_ns / NANOSECONDS if record.disturbance else None,
            "ticks": len(record.stamps_ns),
            "missed_ticks": record.missed_ticks,
            "held_ticks": record.held_ticks,
            "separate": self.separate,
            "realtime": self.realtime,
            "wall_s": wall,
            "git_commit": git_commit(),
        }

    def _draw(
        self,
        console: Console,
        trace: Trace,
        record: EpisodeRecord,
        guard: Mapping[int, int],
        ended: str,
        folder: Path,
        size: tuple[int, int],
    ) -> None:
        from roman_moe.report.run_plot import plot_gate_weights
        from roman_moe.sim.film import hand_motion
        from roman_moe.sim.registry import load_sim_task
        from roman_moe.sim.world import World

        title = f"Scenario {self._number}"
        manifest = load_manifest(find_shipped(self.bundle))
        lab = World(load_sim_task(self._task), manifest.rates.control_rate, self.sim_arm)
        motion, codes = hand_motion(lab, trace.physics_states), guard_codes(record.stamps_ns, guard)
        plot_gate_weights(trace, motion, codes, folder / PLOT, f"{title}: gate weights. {ended}")
        if not self.video:
            return
        with self._views(record) as views:
            path, short = folder / VIDEO, folder / ANIMATION if self.animation else None
            draw_video(console, trace, lab, path, title, ended, size, self.video_speed, self.camera, views, short)

    @contextlib.contextmanager
    def _views(self, record: EpisodeRecord) -> Iterator[Callable[[int], Sequence[CameraView]]]:
        """What cameras saw at a tick and where it put the objects; nothing without cameras."""
        if self.poses == "truth":
            yield lambda tick: ()
            return
        from roman_moe.core.state import ObjectPoses, upright
        from roman_moe.perception.markers import IMAGE
        from roman_moe.report.camera_corner import CameraView
        from roman_moe.sim.cameras import SceneCameras
        from roman_moe.sim.registry import load_sim_task
        from roman_moe.sim.world import World

        marked, task = self.poses == "markers", load_sim_task(self._task)
        lab = World(task, arm=self.sim_arm, markers=marked)
        sizes = dict.fromkeys(task.spec.cameras, IMAGE) if marked else task.spec.cameras
        with contextlib.closing(SceneCameras(lab, sizes)) as scene:
            cameras = scene.cameras

            def views(tick: int) -> list[CameraView]:
                seen = record.seen[tick]
                count = len(seen)
                poses = ObjectPoses(0, record.positions[tick], seen, np.zeros(count), upright(count))
                images = scene.images(record.physics_states[tick])
                return [CameraView(image, cameras[name], poses) for name, image in images.items()]

            yield views


def trace_of(spec: TaskSpec, record: EpisodeRecord) -> Trace:
    """What there is to draw of a record."""
    from roman_moe.report.trace import Trace

    times = record.stamps_ns.astype(np.float64) / NANOSECONDS
    disturbed = (record.disturbed_ns / NANOSECONDS, f"Disturbance: {spoken(record.disturbance)}")
    events = (disturbed,) if record.disturbance else ()
    return Trace(spec, record.skills, times, record.weights, record.physics_states, record.time_s, events)


def guard_codes(stamps_ns: NDArray[np.int64], guard: Mapping[int, int]) -> NDArray[np.int64]:
    """The guard's code at each tick, (T,); at one whose report did not come, that of the tick before."""
    told = np.array(sorted(guard), dtype=np.int64)
    last = np.searchsorted(told, stamps_ns, side="right")
    return np.array([guard[int(told[index - 1])] if index else 0 for index in last.tolist()], dtype=np.int64)


def draw_video(
    console: Console,
    trace: Trace,
    world: World,
    path: Path,
    title: str,
    note: str,
    size: tuple[int, int] = VIDEO_SIZE,
    speed: float = 1.5,
    camera: str = "close",
    views: Callable[[int], Sequence[CameraView]] = lambda tick: (),
    animation: Path | None = None,
) -> None:
    """Draw the video of a run, in the time that `affordable_frames` allows, and show how far it is.

    The world is the video's from now on. `animation` is the file of a short one beside it, if any.
    """
    from roman_moe.report.labels import Label
    from roman_moe.report.video import (
        Playback,
        RunFrames,
        affordable_frames,
        close_ticks,
        write_animation,
        write_video,
    )
    from roman_moe.sim.film import Film, hand_motion

    def labels() -> list[Label]:
        places, hidden = film.locate(trace.physics_states[0])
        return [
            Label(f"{spoken(name)} (hidden)" if behind else spoken(name), (x, y), behind, (255, 255, 255))
            for name, (x, y), behind in zip(trace.spec.object_names, places.tolist(), hidden.tolist(), strict=True)
        ]

    close = close_ticks(trace.times, hand_motion(world, trace.physics_states).distances, trace.events)
    with contextlib.closing(Film(world, *size, camera)) as film:
        most = affordable_frames(film, trace.physics_states[0])
        playback = Playback.of(close, world.control_rate, most, speed)
        frames = RunFrames(trace, film, size, title, note, views, labels)
        with CountProgress(console, "video", len(playback.ticks), "frames of the video") as progress:
            write_video(frames, path, playback, progress.advance)
        if animation:
            write_animation(frames, animation)


def parsed_size(text: str) -> tuple[int, int]:
    """Width and height of a video [pixels] from text such as 1280x720.

    Raises:
        ConfigError: if it is none, or none that every player takes.
    """
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(LEAST_SIDE <= side <= MOST_SIDE and side % 16 == 0 for side in size):
        raise ConfigError(
            f"--video-size {text}: expected WIDTHxHEIGHT, multiples of 16 from {LEAST_SIDE} to {MOST_SIDE}, "
            "such as 1280x720"
        )
    return size


def spoken(outcome: str) -> str:
    """An outcome for people: "time limit"."""
    return outcome.replace("_", " ")


def check_rendering(task: str, arm: str, camera: str = "close") -> None:
    """Draw one small picture, so that a machine that cannot is told before the run, not after it.

    Raises:
        ConfigError: if there is no such camera.
        MissingDependencyError: if there is no usable GL library.
    """
    from roman_moe.sim.film import CLOSE, OVERVIEW
    from roman_moe.sim.registry import load_sim_task
    from roman_moe.sim.render import Renderer, cameras
    from roman_moe.sim.world import World

    lab = World(load_sim_task(task), arm=arm)
    if camera not in (known := (CLOSE, *cameras(lab))):
        raise ConfigError(f"--camera {camera}: expected one of {', '.join(known)}")
    Renderer(lab, OVERVIEW, *PREVIEW_SIZE).frame(lab.physics_state())


def check_display() -> None:
    """Try to reach a display, since MuJoCo's viewer ends the process where there is none.

    Raises:
        ConfigError: if there is none.
    """
    import glfw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it finds missing is said below
        found = glfw.init()
        glfw.terminate()
    if not found:
        raise ConfigError("--viewer: found no display: leave it out, or set DISPLAY to one that can be reached")
