"""Blender: mixes the experts' actions with the gate's weights into one command per scene.

A tick is complete when the weights of its gate tick and the actions of all experts with a weight are there. In lockstep
it waits for that; otherwise it decides at the deadline with what it has, or holds: zero velocity, gripper as it was.
It sends nothing before the first complete tick of its life: a graph that was never whole does not move an arm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.blend import blend
from roman_moe.control.controller import hold
from roman_moe.control.manifest import load_manifest
from roman_moe.core.action import ACTION_SIZE, GRIPPER_OPEN, Command
from roman_moe.nodes.base import NOT_FINITE, RomanNode
from roman_moe.nodes.diagnostics import OK, WARN
from roman_moe.nodes.parameters import declare, parameter
from roman_moe.nodes.process import leave, run_node
from roman_moe.nodes.topics import (
    ACTION,
    GATE_WEIGHTS,
    GRIPPER,
    GRIPPER_COMMAND,
    SCENE,
    TWIST,
    TWIST_COMMAND,
    expert_action,
    weights_of,
)
from roman_moe.nodes.wire import serialized_stamp

MISSED_TICKS = "missed_ticks"
SKIPPED_TICKS = "skipped_ticks"

PENDING_LIMIT = 8
"""Ticks kept at once: messages may come before their scene, but a flood of wrong stamps must not fill the memory."""


@dataclass(frozen=True)
class BlenderParameters:
    """Parameters of the blender."""

    controller: str = parameter("folder of the controller bundle")
    lockstep: bool = parameter("whether a tick waits for its experts for as long as it takes", False)
    deadline: float = parameter("from a scene until its command must leave, otherwise [s]", 0.03, (0.001, 1.0))


@dataclass(slots=True, eq=False)
class _Answers:
    """What the experts have said about one scene: actions (n, 4), and who answered or was refused."""

    actions: NDArray[np.float64]
    answered: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)


class Blender(RomanNode):
    """Turns `gate/weights` and the experts' actions into `delta_twist_cmds` and `gripper_cmd`."""

    NAME = "blender"
    PARAMETERS = BlenderParameters

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._settings = declare(self, BlenderParameters)
        manifest = load_manifest(self._settings.controller)
        self._skills, self._rates, self._scale = manifest.skills, manifest.rates, manifest.action_scale
        self._stamp = -1  # of the last scene
        self._open = False  # whether its command is still to be decided
        self._armed = False
        self._sent: Command | None = None
        self._begin_episode()

        self._publish_gripper = self.advertise_numbers(GRIPPER_COMMAND, GRIPPER)
        self._publish_twist = self.advertise_numbers(TWIST_COMMAND, TWIST)
        self._deadline = self.timer(self._settings.deadline, self._on_deadline)
        self._deadline.cancel()
        self.listen(SCENE, serialized_stamp, self._on_scene, serialized=True)
        self.listen_numbers(GATE_WEIGHTS, weights_of(self._skills), self._on_weights)
        for i, skill in enumerate(self._skills):
            self.listen_numbers(expert_action(skill), ACTION, partial(self._on_action, i))
        self.diagnostics.state(WARN, "waiting for scene")

    def _begin_episode(self) -> None:
        self._weights: dict[int, NDArray[np.float64] | None] = {}  # by gate tick; None if refused
        self._answers: dict[int, _Answers] = {}  # by stamp
        self._opening = GRIPPER_OPEN

    def _on_scene(self, stamp: int) -> None:
        if stamp == self._stamp:  # the arm asks again: it may have missed the command
            if not self._open and self._sent is not None:
                self._publish(self._sent)
            return
        if self._open and self._armed:
            self.diagnostics.count(SKIPPED_TICKS, f"no command for {self._stamp} ns before the next scene")
        if stamp < self._stamp:
            self._begin_episode()
        self._stamp, self._open = stamp, True
        self._forget_the_past()
        if not self._settings.lockstep:
            self._deadline.reset()
        self._decide_if_complete()

    def _on_weights(self, stamped: tuple[int, NDArray[np.float64]]) -> None:
        stamp, weights = stamped
        finite = bool(np.isfinite(weights).all())
        if not finite:
            self.diagnostics.count(NOT_FINITE, f"weights for {stamp} ns")
            if not self._settings.lockstep:
                return
        tick = self._rates.tick(stamp)
        if tick < self._gate_tick():
            return
        self._weights[tick] = weights if finite else None
        _limit(self._weights)
        self._decide_if_complete()

    def _on_action(self, expert: int, stamped: tuple[int, NDArray[np.float64]]) -> None:
        stamp, action = stamped
        finite = bool(np.isfinite(action).all())
        if not finite:
            self.diagnostics.count(NOT_FINITE, f"action of {self._skills[expert]} for {stamp} ns")
        if stamp < self._stamp or (stamp == self._stamp and not self._open):
            return
        answers = self._answers_to(stamp)
        if finite:
            answers.actions[expert] = action
            answers.answered.add(expert)
        elif self._settings.lockstep:  # else a good one may still come before the deadline
            answers.refused.add(expert)
        self._decide_if_complete()

    def _answers_to(self, stamp: int) -> _Answers:
        answers = self._answers.get(stamp)
        if answers is None:
            answers = self._answers[stamp] = _Answers(np.zeros((len(self._skills), ACTION_SIZE)))
            _limit(self._answers)
        return answers

    def _decide_if_complete(self) -> None:
        if self._open and not self._missing(final=self._settings.lockstep):
            self._armed = True
            self._decide()

    def _on_deadline(self) -> None:
        self._deadline.cancel()
        if not self._open:
            return
        if self._armed:
            self._decide()
        else:
            self.diagnostics.state(WARN, f"waiting for {', '.join(self._missing())}")

    def _gate_tick(self) -> int:
        tick = self._rates.tick(self._stamp)
        return tick - tick % self._rates.gate_divider

    def _missing(self, final: bool = False) -> list[str]:
        """Who has not answered the present scene; with `final`, a refused answer counts as one."""
        gate_tick = self._gate_tick()
        if gate_tick not in self._weights:
            return ["manipulation_network"]
        weights, answers = self._weights[gate_tick], self._answers.get(self._stamp)
        if weights is None:
            return [] if final else ["manipulation_network"]
        there: set[int] = set()
        if answers is not None:
            there = answers.answered | answers.refused if final else answers.answered
        # plain numbers: this runs at every message, and numpy takes ten times as long for seven of them
        return [f"expert_{self._skills[i]}" for i, w in enumerate(weights.tolist()) if w > 0.0 and i not in there]

    def _decide(self) -> None:
        missing = self._missing()
        answers = self._answers_to(self._stamp)
        weights = self._weights.get(self._gate_tick())
        try:
            if weights is None:
                raise ValueError("no weights")
            # nobody waits for those of no weight
            answered = [i in answers.answered or w == 0.0 for i, w in enumerate(weights.tolist())]
            action = blend(weights, answers.actions, None if all(answered) else np.array(answered))
            command = self._scale.command(self._stamp, action, self._opening)
            fault = "blended the others" if missing else ""
        except ValueError as error:
            command, fault = hold(self._stamp, self._opening), f"held the arm: {error}"
        if fault:
            absent = f"no answer from {', '.join(missing)}: " if missing else ""
            self.diagnostics.count(MISSED_TICKS, f"at {self._stamp} ns: {absent}{fault}")
        self._finish(command)

    def _finish(self, command: Command) -> None:
        self._open = False
        self._deadline.cancel()
        self._opening = command.gripper_opening
        self._sent = command
        self._publish(command)
        self.diagnostics.state(OK, "giving commands")

    def _forget_the_past(self) -> None:
        """Drop what only earlier scenes need, decided or not."""
        gate_tick = self._gate_tick()
        self._answers = {stamp: answers for stamp, answers in self._answers.items() if stamp >= self._stamp}
        self._weights = {tick: weights for tick, weights in self._weights.items() if tick >= gate_tick}

    def _publish(self, command: Command) -> None:
        """The gripper first: who has the twist of a stamp has the whole command."""
        self._publish_gripper(command.stamp_ns, [command.gripper_opening])
        self._publish_twist(command.stamp_ns, command.linear_velocity.tolist())


def _limit(pending: dict[int, Any]) -> None:
    """Drop the latest of too many: what the present scene needs is the earliest."""
    if len(pending) > PENDING_LIMIT:
        del pending[max(pending)]


def main() -> int:
    """Run the node in this process."""
    return run_node(Blender)


if __name__ == "__main__":
    leave(main())
