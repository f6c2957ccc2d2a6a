"""Corrections by the scripted operator: a policy drives, and the operator takes over where it errs (HG-DAgger: Kelly et
al., "HG-DAgger: interactive imitation learning with human experts", ICRA 2019)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.controller import ControlStep, EpisodeController
from roman_moe.core.action import to_command
from roman_moe.core.state import SceneState
from roman_moe.evaluation.key_operator import KeyOperator
from roman_moe.sim.task import SimTask

WRONG = 0.5  # largest difference of an action from the oracle's beyond which the policy errs
TAKE_OVER_DELAY = 0.5  # [s] for which it errs before the operator takes over
AT_LEAST = 1.5  # [s] for which the operator drives; then it hands back as soon as the policy agrees


class Corrector:
    """One skill's policy, with an operator beside it: an `EpisodeController`. Both see the true state.

    Attributes:
        drove: whether the operator drove in the last step.
        policy: what the policy would have done, (a,).
    """

    reads_truth = True

    def __init__(self, policy: EpisodeController, task: SimTask, skill: str) -> None:
        self._policy, self._task, self._skill = policy, task, skill
        self._operator = KeyOperator(task, skill)
        self.skills, self.control_rate = task.spec.skill_names, policy.control_rate
        self._weights = np.eye(len(self.skills))[self.skills.index(skill)]
        self.reset()

    def reset(self) -> None:
        """Begin an episode: the policy drives."""
        self._policy.reset()
        self._operator.reset()
        self._operator.take_over(False)
        self.drove = False
        self._since = 0.0  # [s] when the operator took over, or the policy agreed last
        self._opening = self._task.spec.gripper.open
        self.policy: NDArray[np.float64] = np.zeros(self._task.spec.action.size)

    def step(self, state: SceneState) -> ControlStep:
        step = self._policy.step(state)
        self.policy = step.action
        self._operator.see(state)
        self._decide(state)
        if self.drove:
            action = self._operator.press(state)
            command = to_command(self._task.spec, state.stamp_ns, action, self._opening)
            step = replace(step, action=action, command=command)
        self._opening = step.command.gripper_opening
        self._operator.feel(step.command)
        return replace(step, weights=self._weights, expert_actions=self._weights[:, None] * step.action)

    def _decide(self, state: SceneState) -> None:
        errs = bool(np.abs(self.policy - self._task.skills[self._skill].demonstrate(state)).max() > WRONG)
        if self.drove:
            changes = not errs and state.stamp - self._since >= AT_LEAST
        else:
            self._since = self._since if errs else state.stamp
            changes = state.stamp - self._since >= TAKE_OVER_DELAY
        if changes:
            self.drove, self._since = not self.drove, state.stamp
            self._operator.take_over(self.drove)
