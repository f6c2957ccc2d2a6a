"""The controller: one scene in, one command out, at every control tick.

Evaluation calls it in process; the ROS nodes call the same gate, experts, blend and action scale one by one. A state or
action that is not finite never becomes a command: the arm is told to stand still and keep its gripper instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.blend import blend
from roman_moe.control.bundle import Bundle
from roman_moe.core.action import ACTION_SIZE, GRIPPER_OPEN, Command
from roman_moe.core.features import feature_vector
from roman_moe.core.state import SceneState


@dataclass(frozen=True, slots=True, eq=False)
class ControlStep:
    """Everything that one tick decided.

    Attributes:
        action: of the mixture, (4,); zeros when held.
        weights: of the experts, (n,).
        expert_actions: answers of all experts, (n, 4); zeros when held.
        command: what goes to the arm.
        fault: why the arm was held; empty if it was not.
    """

    action: NDArray[np.float64]
    weights: NDArray[np.float64]
    expert_actions: NDArray[np.float64]
    command: Command
    fault: str = ""


def hold(stamp_ns: int, gripper_opening: float) -> Command:
    """The command that stands still and keeps the gripper's target [m]."""
    return Command(stamp_ns, np.zeros(3), gripper_opening)


class Controller:
    """Gate, experts, blend and action scale of one bundle.

    All experts answer at every tick: a softmax gate gives none of them exactly nothing, and their answers are recorded.
    Its only memory is the gate's last weights and the gripper's target.

    Attributes:
        bundle: whose networks answer.
        skills: in the order of weights and expert actions.
        faults: ticks held since the controller was made.
    """

    reads_truth = False
    """Whether it must be given the true state (an oracle) rather than the observed one."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.skills = bundle.skills
        self.faults = 0
        self.reset()

    def reset(self) -> None:
        """Forget the episode: the gate answers at the next tick, and the gripper's target is open."""
        self._weights: NDArray[np.float64] | None = None
        self._gripper_opening = GRIPPER_OPEN

    def step(self, state: SceneState) -> ControlStep:
        """Answer one scene. Never raises for what a scene may hold: faults are held and counted."""
        expert_actions = np.zeros((len(self.skills), ACTION_SIZE))
        try:
            if not state.is_finite():
                raise ValueError("scene is not finite")
            features = feature_vector(state)
            if self._weights is None or self.bundle.rates.gate_due(state.stamp_ns):
                self._weights = self.bundle.gate.weights(features)
            for i, expert in enumerate(self.bundle.experts):
                expert_actions[i] = expert.action(features)
            action = blend(self._weights, expert_actions)
            command = self.bundle.action_scale.command(state.stamp_ns, action, self._gripper_opening)
        except ValueError as error:
            return self._held(state.stamp_ns, str(error))
        self._gripper_opening = command.gripper_opening
        return ControlStep(action, self._weights, expert_actions, command)

    def _held(self, stamp_ns: int, fault: str) -> ControlStep:
        self.faults += 1
        count = len(self.skills)
        if self._weights is None or not np.isfinite(self._weights).all():
            self._weights = None  # the next good scene asks the gate again
        weights = np.zeros(count) if self._weights is None else self._weights
        return ControlStep(
            np.zeros(ACTION_SIZE),
            weights,
            np.zeros((count, ACTION_SIZE)),
            hold(stamp_ns, self._gripper_opening),
            fault,
        )
