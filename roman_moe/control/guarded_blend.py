"""From the experts' actions to the command for the arm: blend, action scale and guard, in this order.

The in-process controller and the blender's node both use this module, so that their commands are equal to the last bit.
A fault in a tick raises no exception: the guard brings the arm to rest, and the result gives the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.blend import are_weights, blend
from roman_moe.control.guard import Guard, GuardStatus
from roman_moe.control.limits import Limits
from roman_moe.core.action import ACTION_BOUND, Command, to_command
from roman_moe.core.errors import ConfigError
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState, within

LEAST_PERIODS = 1.5
"""Control periods that a command must be allowed to age: else each command is too old before the next one comes."""

GRASP_FORCE = 0.5
"""On either finger, from which the gripper is taken to hold something [N]."""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Result of one tick.

    Attributes:
        action: of the mixture, (a,); zeros when halted.
        weights: that the mixture used, without experts that are taken out or gave no answer, (n,); None when halted.
        fault: why the arm was halted; empty if it was not, and if it was only because someone stopped the guard.
    """

    action: NDArray[np.float64]
    command: Command
    weights: NDArray[np.float64] | None = None
    fault: str = ""


class GuardedBlend:
    """Decides ticks for one arm.

    Raises:
        ConfigError: if the limits do not leave the controller the time of its own period.

    Attributes:
        answered: whether any tick of the episode was decided without a halt.
    """

    def __init__(self, spec: TaskSpec, limits: Limits, control_rate: float) -> None:
        least = LEAST_PERIODS / control_rate
        if limits.max_command_age < least:
            raise ConfigError(
                f"limits: max_command_age {limits.max_command_age} s: a controller of {control_rate:g} Hz needs "
                f"{least:.3g} s or more, {LEAST_PERIODS} of its periods"
            )
        self._spec = spec
        self.guard = Guard(limits, 1.0 / control_rate, spec.gripper)
        self.reset()

    def reset(self) -> None:
        """The next scene is the first of an episode, or the first that this process sees of one."""
        self._begun = self.answered = False
        self.guard.reset()

    def begin(self, scene: SceneState) -> None:
        """Take up the arm as the first scene that shows the gripper shows it: at rest, and holding what it holds.

        The rest of that scene may be of no use: the arm is then halted, but what it holds it must not drop.
        """
        if not self._begun and math.isfinite(scene.finger_opening) and bool(np.isfinite(scene.finger_forces).all()):
            self._begun = True
            self.guard.reset(told_opening(scene))

    def decide(
        self,
        scene: SceneState,
        weights: NDArray[np.float64] | None,
        actions: NDArray[np.float64],
        share: NDArray[np.float64] | None = None,
        missing: bool = False,
        finite: bool | None = None,
        changeover: Callable[[int, NDArray[np.float64]], NDArray[np.float64]] | None = None,
    ) -> Decision:
        """Decide a tick.

        Args:
            weights: of the experts, (n,); None if there are none, NaN if the gate has no answer to the scene.
            actions: of the experts, (n, a); a row that is not finite or out of range is an expert without an answer.
            missing: whether an expert without an answer has not answered at all, and not only declined to.
            finite: what `scene.is_finite()` said, if it was asked already.
            changeover: makes of a scene's stamp [ns] and the mixture's action, (a,), the one that is used.
            share: of each expert that counts, from 1 to 0 for one that is taken out, (n,); all of all if None.
        """
        self.begin(scene)
        if not (scene.is_finite() if finite is None else finite):
            return self._halt(scene, GuardStatus.HALT_SCENE_NOT_FINITE, "scene is not finite")
        if weights is None:
            return self._halt(scene, GuardStatus.HALT_GATE_SILENT, "no weights")
        if not are_weights(weights):
            return self._halt_without_weights(scene, weights)
        try:
            action, used, status = _mixture(weights, actions, share)
            if changeover is not None:
                action = changeover(scene.stamp_ns, action)
            command = to_command(self._spec, scene.stamp_ns, action, self.guard.gripper_opening)
        except ValueError as error:
            if missing:
                return self._halt(scene, GuardStatus.HALT_EXPERTS_SILENT, str(error))
            return self._halt_without_answer(scene, GuardStatus.HALT_EXPERTS_SILENT, str(error))
        self.answered = True
        return Decision(action, self.guard.allow(command, scene.hand_position, status), used)

    def drive(self, scene: SceneState, action: NDArray[np.float64] | None) -> Decision:
        """Decide a tick in which an operator drives.

        Args:
            scene: that it answers; its objects do not matter.
            action: of the operator, (a,); None if there is none.
        """
        self.begin(scene)
        if not scene.is_finite():
            return self._halt(scene, GuardStatus.HALT_SCENE_NOT_FINITE, "scene is not finite")
        if action is None:
            return self._halt(scene, GuardStatus.HALT_EXPERTS_SILENT, "no answer from the operator")
        command = to_command(self._spec, scene.stamp_ns, action, self.guard.gripper_opening)
        self.answered = True
        return Decision(action, self.guard.allow(command, scene.hand_position))

    def _halt_without_weights(self, scene: SceneState, weights: NDArray[np.float64]) -> Decision:
        """What the gate has given are no weights."""
        if np.isnan(weights).all():
            return self._halt_without_answer(scene, GuardStatus.HALT_GATE_SILENT, "the gate has no answer")
        fault = f"weights {weights.tolist()}: expected none below 0, and a sum of 1"
        if not np.isfinite(weights).all():
            fault = f"weights are not finite: {weights.tolist()}"
        return self._halt(scene, GuardStatus.HALT_GATE_SILENT, fault)

    def _halt_without_answer(self, scene: SceneState, status: GuardStatus, fault: str) -> Decision:
        """Networks that were asked and gave no answer: because of the objects, unless all of them are usable."""
        if all(scene.usable(self.guard.limits.max_pose_age)):
            return self._halt(scene, status, fault)
        return self._halt(scene, GuardStatus.HALT_OBJECTS_STALE, f"{fault} (objects are invalid or too old)")

    def halt(self, scene: SceneState, status: GuardStatus, early: bool = False) -> Command:
        """Bring the arm to rest in answer to a scene, and keep what it holds; see `Guard.halt`."""
        self.begin(scene)
        return self.guard.halt(scene.stamp_ns, status, early)

    def _halt(self, scene: SceneState, status: GuardStatus, fault: str) -> Decision:
        return Decision(np.zeros(self._spec.action.size), self.halt(scene, status), fault=fault)


def _mixture(
    weights: NDArray[np.float64], actions: NDArray[np.float64], share: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], GuardStatus]:
    """Action of the mixture, the weights that it uses, and whether an expert is masked; see `GuardedBlend.decide`.

    Raises:
        ValueError: if too little of the weight has answered.
    """
    if share is None and within(actions, ACTION_BOUND):
        return blend(weights, actions), weights, GuardStatus.NO_WARNING
    counting = weights if share is None else weights * share
    absent = np.logical_not((np.abs(actions) <= ACTION_BOUND).all(axis=1))  # NaN and infinity, too
    answered = np.logical_not(absent & (counting != 0.0))  # an expert of no weight is not missed
    total = weights.sum()
    action = blend(counting, np.where(absent[:, None], 0.0, actions), answered, total)
    used = np.where(answered, counting, 0.0)
    used *= total / used.sum()
    return action, used, GuardStatus.NO_WARNING if answered.all() else GuardStatus.EXPERTS_MASKED


def told_opening(scene: SceneState) -> float:
    """What the gripper must have been told to do, to look as it does [m]: to hold what it holds, never to drop it."""
    holds = bool((scene.finger_forces >= GRASP_FORCE).any())
    gripper = scene.spec.gripper
    half = 0.5 * (gripper.open + gripper.closed)
    return gripper.open if scene.finger_opening > half and not holds else gripper.closed
