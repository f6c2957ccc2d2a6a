"""The controller: one scene in, one command out, at every control tick.

Evaluation calls it in process; the ROS nodes call the same gate, experts and guarded blend one by one. Numbers that are
not finite never become a command: the guard brings the arm to rest, and the gripper stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.bundle import Bundle
from roman_moe.control.guard import Guard
from roman_moe.control.guarded_blend import GuardedBlend
from roman_moe.control.limits import Limits, load_limits
from roman_moe.control.network import answers
from roman_moe.control.single_expert import SingleExpert
from roman_moe.core.action import Command
from roman_moe.core.features import feature_layout
from roman_moe.core.state import SceneState


@dataclass(frozen=True, slots=True, eq=False)
class ControlStep:
    """Result of one tick.

    Attributes:
        action: of the mixture, (a,); zeros when held.
        weights: of the experts, (n,).
        expert_actions: answers of the experts, (n, a); zeros of one whose weight is 0, which is not run, and when held.
        fault: why the arm was held; empty if it was not.
    """

    action: NDArray[np.float64]
    weights: NDArray[np.float64]
    expert_actions: NDArray[np.float64]
    command: Command
    fault: str = ""


class EpisodeController(Protocol):
    """Interface of everything that drives an episode: a controller of networks, or an oracle."""

    @property
    def skills(self) -> tuple[str, ...]:
        """In the order of weights and expert actions."""

    @property
    def control_rate(self) -> float:
        """Of its scenes and commands [Hz]."""

    @property
    def reads_truth(self) -> bool:
        """Whether `step` is to be given the true state (an oracle) rather than the observed one."""

    def reset(self) -> None:
        """Forget the episode."""

    def step(self, state: SceneState) -> ControlStep:
        """Answer one scene."""


class Controller:
    """Gate, experts and guarded blend of one task: an `EpisodeController`.

    An expert runs at every tick at which its weight is not exactly 0. A softmax gate gives none of them a weight of 0,
    a sparse gate most of them. Its only memory is the gate's last weights and what the guard keeps.

    Attributes:
        faults: ticks held since the controller was made.
    """

    reads_truth = False

    def __init__(self, networks: Bundle | SingleExpert, limits: Limits | None = None) -> None:
        """`limits`: of the guard; the shipped ones, config/limits.yaml, if None."""
        self.networks = networks
        self.skills = networks.skills
        self.faults = 0
        self._features = feature_layout(networks.spec)
        self._guarded_blend = GuardedBlend(networks.spec, limits or load_limits(), networks.rates.control_rate)
        self.reset()

    @property
    def control_rate(self) -> float:
        return self.networks.rates.control_rate

    @property
    def guard(self) -> Guard:
        return self._guarded_blend.guard

    def reset(self) -> None:
        """Forget the episode: the gate answers at the next tick, and the arm is at rest."""
        self._weights: NDArray[np.float64] | None = None
        self._guarded_blend.reset()

    def step(self, state: SceneState) -> ControlStep:
        """Answer one scene. Never raises for what a scene may hold: faults are held and counted."""
        finite = state.is_finite()
        if finite:
            actions = self._answers(state)
        else:
            actions = np.full((len(self.skills), self.networks.spec.action.size), np.nan)
        decision = self._guarded_blend.decide(state, self._weights, actions, finite=finite)
        weights = self._weights
        if decision.fault:
            self.faults += 1
            actions = np.zeros_like(actions)
            if weights is not None and not np.isfinite(weights).all():
                self._weights = weights = None  # the next good scene asks the gate again
        return ControlStep(
            decision.action,
            np.zeros(len(self.skills)) if weights is None else weights,
            actions,
            decision.command,
            decision.fault,
        )

    def _answers(self, state: SceneState) -> NDArray[np.float64]:
        """Of the experts, (n, a), see `network.answers`; the gate gives its weights when it is due."""
        networks = self.networks
        features, usable = self._features.vector(state), state.usable(self.guard.limits.max_pose_age)
        if self._weights is None or networks.rates.gate_due(state.stamp_ns):
            self._weights = networks.gate.answer(features, usable)
        return answers(networks.experts, features, usable, self._weights)
