"""One episode, in process: the loop that evaluation, collection and tests share.

The trajectory follows from (controller, start, seed, noise, disturbed or not, link) alone: the start is drawn from
`default_rng([seed, 0])`, the noise from `default_rng([seed, 1])`, one draw a scene in tick order. The ROS graph in
lockstep draws the same; it knows no link.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.action import Command
from roman_moe.core.state import SceneState
from roman_moe.sim.disturbance import Disturbance
from roman_moe.sim.judge import Judge, Outcome
from roman_moe.sim.link import GOOD_LINK, CommandLink, LinkQuality
from roman_moe.sim.noise import PoseNoise
from roman_moe.sim.starts import Start
from roman_moe.sim.world import World

START_STREAM = 0
NOISE_STREAM = 1
PERTURBATION_STREAM = 2
DISTURBANCE_STREAM = 3
LINK_STREAM = 4


class Step(Protocol):
    """What a controller answers to one scene."""

    @property
    def action(self) -> NDArray[np.float64]: ...
    @property
    def weights(self) -> NDArray[np.float64]: ...
    @property
    def command(self) -> Command: ...


class StepController(Protocol):
    """Anything that can drive the arm: a bundle's controller, one expert alone, the oracle."""

    @property
    def reads_truth(self) -> bool:
        """Whether `step` is to be given the true state in place of the noisy one."""

    def reset(self) -> None: ...
    def step(self, state: SceneState) -> Any: ...


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """What came of one episode.

    Attributes:
        start: name of the start.
        seed: seed of the episode.
        outcome: value of the judge's `Outcome`, e.g. "success" or "time_limit".
        time_s: simulated time until the outcome [s].
        disturbance: kind of the disturbance that it met; "" for none.
    """

    start: str
    seed: int
    outcome: str
    time_s: float
    disturbance: str = ""

    @property
    def success(self) -> bool:
        return self.outcome == Outcome.SUCCESS.value


def generator(seed: int, stream: int) -> np.random.Generator:
    """Source of randomness of an episode for one use (`START_STREAM`, `NOISE_STREAM`, ...)."""
    return np.random.default_rng([seed, stream])


def episode_seed(seed: int, purpose: str, index: int) -> int:
    """Seed of episode `index` of a run for `purpose` (e.g. "evaluate/push"), below 2**31 as the graph's parameters are.

    It depends on nothing else, so neither the number of workers nor the other starts of a run change an episode, and
    `roman-moe demo --seed` shows any episode over a good
    link again.
    """
    return int(np.random.SeedSequence([seed, index, *purpose.encode()]).generate_state(1)[0]) >> 1


def falls_on(index: int, share: float) -> bool:
    """Whether episode `index` is one of that share of them, which is spread evenly."""
    return int((index + 1) * share) > int(index * share)


def run_episode(
    lab: World,
    controller: StepController,
    start: Start,
    seed: int,
    noise: PoseNoise,
    disturbed: bool = False,
    time_limit: float = math.inf,
    link: LinkQuality = GOOD_LINK,
    on_tick: Callable[[SceneState, Any], None] | None = None,
) -> EpisodeResult:
    """Run one episode to its outcome.

    Args:
        disturbed: whether it meets a disturbance, drawn from `default_rng([seed, 3])`.
        time_limit: after which it ends as lost [s], if that is sooner than the task's own.
        link: how well the commands get through to the arm; what gets lost is drawn from `default_rng([seed, 4])`.
        on_tick: called each tick with the scene as the controller's noise leaves it and the controller's answer.
    """
    judge = Judge(start)
    state = lab.reset(start, generator(seed, START_STREAM))
    noise_rng = generator(seed, NOISE_STREAM)
    judge.reset(lab)
    disturbance = Disturbance(start)
    if disturbed:
        disturbance.reset(lab, generator(seed, DISTURBANCE_STREAM))
    commands = CommandLink()
    commands.reset(link, state.finger_opening, generator(seed, LINK_STREAM))
    controller.reset()
    outcome = Outcome.RUNNING
    while outcome is Outcome.RUNNING:
        scene = noise.apply(state, noise_rng)
        step = controller.step(state if controller.reads_truth else scene)
        if on_tick is not None:
            on_tick(scene, step)
        if disturbed:
            disturbance.update(lab, state)
        state = lab.step(commands.carry(step.command))
        outcome = judge.update(lab)
        if outcome is Outcome.RUNNING and state.stamp >= time_limit:
            outcome = Outcome.TIME_LIMIT
    met = disturbance.kind if disturbance.acted_ns >= 0 else ""
    return EpisodeResult(start.name, seed, outcome.value, state.stamp, met)
