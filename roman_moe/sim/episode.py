"""One episode: the loop that evaluation, collection, the Gymnasium environments and the simulated arm's node drive.

The trajectory follows from (controller, start, seed, pose source, disturbed or not, channel) alone. Each source of
chance has its own `default_rng`:

- [seed, 0] draws the start,
- [seed, 1] the noise, one draw a scene in tick order,
- [seed, 3] a disturbance,
- [seed, 4] which commands get lost,
- [seed, 5] the constant part of the poses' errors.

The ROS graph in lockstep draws the same; it has no channel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from roman_moe.control.controller import ControlStep, EpisodeController
from roman_moe.core.action import Command
from roman_moe.core.outcome import Outcome
from roman_moe.core.state import NANOSECONDS, SceneState
from roman_moe.sim.channel import GOOD_CHANNEL, ChannelQuality, CommandChannel
from roman_moe.sim.disturbance import Disturber
from roman_moe.sim.judge import Judge
from roman_moe.sim.pose_source import TRUTH, PoseSource
from roman_moe.sim.pose_tally import PoseTally
from roman_moe.sim.streams import Streams
from roman_moe.sim.task import Start
from roman_moe.sim.world import World


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """Result of one episode.

    Attributes:
        outcome: value of the judge's `Outcome`, e.g. "success" or "time_limit".
        time_s: simulated time until the outcome [s].
        disturbance: kind of the disturbance that it met; "" for none.
        tally: how right its poses were, if cameras gave them.
    """

    start: str
    seed: int
    outcome: str
    time_s: float
    disturbance: str = ""
    tally: PoseTally | None = field(default=None, compare=False)

    @property
    def success(self) -> bool:
        return self.outcome == Outcome.SUCCESS.value

    def to_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("start", "seed", "outcome", "time_s", "disturbance")}
        return {**plain, "tally": None if self.tally is None else self.tally.to_dict()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> EpisodeResult:
        tally = content["tally"]
        return cls(**{**content, "tally": None if tally is None else PoseTally.from_dict(tally)})


class Episode:
    """One episode of a world, tick by tick: start, noise, disturbance, channel and judge.

    Attributes:
        world: in which it happens; nothing else may step it.
        state: the true state at the present tick.
    """

    def __init__(
        self,
        world: World,
        start: Start,
        streams: Streams,
        *,
        poses: PoseSource = TRUTH,
        disturbed: bool = False,
        time_limit: float = math.inf,
        channel: ChannelQuality = GOOD_CHANNEL,
    ) -> None:
        """Begin it: the world is reset.

        Args:
            poses: what gives the object poses of its scenes.
            disturbed: whether it meets a disturbance.
            time_limit: after which it ends as lost [s], if that is sooner than the task's own.
            channel: how well the commands get through to the arm.
        """
        self.world = world
        self.start = start
        self.state = world.reset(start, streams.start)
        self.outcome = Outcome.RUNNING
        self.sensor = poses.open(world, streams)
        self._scene: SceneState | None = None
        self._time_limit = time_limit
        self._judge = Judge(start)
        self._channel = CommandChannel(channel, self.state.finger_opening, streams.channel)
        self._disturber = Disturber(start, world, streams.disturbance) if disturbed else None

    @property
    def scene(self) -> SceneState:
        """The present tick's state as the pose source gives it: measured once a tick, at the first look."""
        if self._scene is None:
            self._scene = self.sensor.measure(self.state)
        return self._scene

    @property
    def time_ns(self) -> int:
        """Since its start, pauses left out [ns]."""
        return self.world.stamp_ns - self._judge.paused_ns

    @property
    def disturbance(self) -> str:
        """Kind of the disturbance that it has met; "" for none so far."""
        return self._disturber.kind if self._disturber is not None and self._disturber.acted_ns >= 0 else ""

    def step(self, command: Command, *, paused: bool = False) -> Outcome:
        """Go on by one tick under a command.

        Args:
            paused: whether nothing is disturbed and judged in this tick, and the episode's time stands still.

        Raises:
            RomanError: if the command is not finite or the physics diverged.
        """
        if self._disturber is not None and not paused:
            self._disturber.update(self.world, self.state)
        self.state = self.world.step(self._channel.carry(command))
        self._scene = None
        if paused:
            self._judge.paused_ns += round(NANOSECONDS / self.world.control_rate)
            return self.outcome
        self.outcome = self._judge.update(self.world)
        if self.outcome is Outcome.RUNNING and self.state.stamp >= self._time_limit:
            self.outcome = Outcome.TIME_LIMIT
        return self.outcome


def run_episode(
    world: World,
    controller: EpisodeController,
    start: Start,
    seed: int,
    poses: PoseSource,
    disturbed: bool = False,
    time_limit: float = math.inf,
    channel: ChannelQuality = GOOD_CHANNEL,
    on_tick: Callable[[SceneState, ControlStep], None] | None = None,
) -> EpisodeResult:
    """Run one episode to its outcome; all but these are `Episode`'s.

    Args:
        seed: of all its draws, `Streams.of_seed`.
        on_tick: called each tick with the scene as the pose source gives it and the controller's answer.
    """
    episode = Episode(
        world, start, Streams.of_seed(seed), poses=poses, disturbed=disturbed, time_limit=time_limit, channel=channel
    )
    controller.reset()
    while episode.outcome is Outcome.RUNNING:
        scene = episode.scene
        step = controller.step(episode.state if controller.reads_truth else scene)
        if on_tick is not None:
            on_tick(scene, step)
        episode.step(step.command)
    time, tally = episode.state.stamp, episode.sensor.tally
    return EpisodeResult(start.name, seed, episode.outcome.value, time, episode.disturbance, tally)
