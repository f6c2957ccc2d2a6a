"""A scripted operator at the keys: demonstrations as people give them, without people.

The oracle says where to go. The operator glances ten times a second and sees everything late, by its reaction time. It
adds the motion that it believes to have commanded since, and strikes keys, at most two for motion at a time. A key
moves at the chosen speed or not at all. The operator pauses, believes too little motion and so overshoots, and now and
then strikes a wrong key until it sees what that does. Keys go through `Keyboard` and `Steering`, as a person's do. A
glance follows from the first scene of the episode and those since, so an episode follows from its seed.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections import deque

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.controller import ControlStep
from roman_moe.control.rates import Rates
from roman_moe.core.action import Command, to_command
from roman_moe.core.state import SceneState
from roman_moe.sim.motions import holds, leading_skill
from roman_moe.sim.task import SimTask
from roman_moe.teleop.device import AXES, OperatorEvent
from roman_moe.teleop.keyboard import EVENTS, MOTIONS, Keyboard
from roman_moe.teleop.steering import SPEEDS, Steering

PERIOD = 0.1  # [s] from one glance to the next
REACTION = (0.15, 0.25)  # [s] from what happens until it is seen; drawn an episode, as all ranges here
BELIEVED = (0.7, 1.0)  # share of its own motion that it reckons with meanwhile
NEAR, CAREFUL = 0.1, 1  # [m] from a thing that it does not hold, and number of the fastest of `SPEEDS` there
AHEAD = 0.1  # [s] for which a key that is let go still moves things
PRESSED = 0.5  # share of the chosen speed from which on an axis is worth a key
AT_ONCE = 2  # keys for motion
GRIPPER_WAIT = 0.5  # [s] after which it looks whether the gripper has obeyed
PAUSE_RATE, PAUSE = 0.15, (0.3, 1.0)  # [1/s], [s]
SLIP_RATE, SLIP = 0.1, (0.15, 0.35)  # [1/s], [s] until it sees that the key was a wrong one

KEYS = {(axis, direction): key for key, (axis, direction) in reversed(MOTIONS.items())}
EVENT_KEYS = {event: key for key, event in reversed(EVENTS.items())}


class KeyOperator:
    """An `EpisodeController` of a whole task, or of one skill alone."""

    reads_truth = True

    def __init__(self, task: SimTask, skill: str | None = None, rates: Rates | None = None) -> None:
        self._task, self._skill = task, skill
        self._rates = rates or Rates(task.spec.control_rate, task.spec.gate_rate)
        self.skills, self.control_rate = task.spec.skill_names, self._rates.control_rate
        action = task.spec.action
        self._axes = [0, 1, 2, *(3 + index for index in action.angular_indices)]
        self.reset()

    def reset(self) -> None:
        """Forget the episode; hands off the keys."""
        self._typed = ""
        self._keyboard = Keyboard(self._read)
        self._steering = Steering(self._task.spec, drives=True)
        self._opening = self._task.spec.gripper.open
        self._rng: np.random.Generator | None = None
        self._seen: deque[tuple[SceneState, NDArray[np.float64]]] = deque()  # with the hand's way since the start [m]
        self._way = np.zeros(3)
        self._looks = 0
        self._leading = self._skill
        self._chosen = ""  # skill whose number was struck last
        self._busy_until = self._gripper_until = -1.0
        self._slip = ""
        self._careful = False

    def _read(self) -> str:
        typed, self._typed = self._typed, ""
        return typed

    def step(self, state: SceneState) -> ControlStep:
        self.see(state)
        action = self.press(state)
        command = to_command(self._task.spec, state.stamp_ns, action, self._opening)
        self.feel(command)
        weights = self._steering.weights
        weights = np.zeros(len(self.skills)) if weights is None else weights
        return ControlStep(action, weights, weights[:, None] * action, command)

    def see(self, state: SceneState) -> None:
        """Watch one true state, whoever drives."""
        if self._rng is None:
            self._begin(state)
        self._seen.append((state, self._way.copy()))
        while len(self._seen) > 2 and self._seen[2][0].stamp <= state.stamp - self._reaction:
            self._seen.popleft()

    def press(self, state: SceneState) -> NDArray[np.float64]:
        """The action that the keys come to, (a,), for the state that was seen last."""
        if state.stamp > (self._looks - 0.01) * PERIOD:
            self._looks = round(state.stamp / PERIOD) + 1
            self._typed = self._look(state.stamp)
        given = self._keyboard.read(state.stamp)
        self._steering.take(given.events, given.skills, self._opening)
        return self._steering.action(given)

    def feel(self, command: Command) -> None:
        """Know what was sent to the arm, whoever drove."""
        self._opening = command.gripper_opening
        self._way += command.linear_velocity / self.control_rate

    def take_over(self, drives: bool) -> None:
        """Take over from a policy, as key t does, or hand back, as h does."""
        self._steering.take([OperatorEvent.TAKE_OVER if drives else OperatorEvent.HAND_BACK], (), self._opening)

    def _begin(self, state: SceneState) -> None:
        first = np.concatenate([state.hand_position, state.object_positions.ravel()])
        self._rng = np.random.default_rng(zlib.crc32(first.tobytes()))
        self._reaction, self._believed = self._rng.uniform(*REACTION), self._rng.uniform(*BELIEVED)

    def _look(self, now: float) -> str:
        """The keys that are struck at a glance."""
        assert self._rng is not None
        rng = self._rng
        if now < self._busy_until:
            return self._slip
        if rng.random() < PAUSE_RATE * PERIOD:
            self._busy_until, self._slip = now + rng.uniform(*PAUSE), ""
            return ""
        if rng.random() < SLIP_RATE * PERIOD:
            keys = [key for (axis, _), key in KEYS.items() if axis in self._axes]
            self._busy_until, self._slip = now + rng.uniform(*SLIP), str(rng.choice(keys))
            return self._slip
        return self._answer(self._believe(), now)

    def _believe(self) -> SceneState:
        """What was seen last, moved on: the hand by its keys, with what it holds, and the others as they moved."""
        (before, _), (seen, way) = self._seen[0], self._seen[min(1, len(self._seen) - 1)]
        driven = self._believed * (self._way - way)
        moved = self.control_rate * (seen.object_positions - before.object_positions)
        objects = seen.object_positions + self._believed * (self._reaction + AHEAD) * moved
        things = [row for row, thing in enumerate(seen.spec.objects.values()) if thing.moves]
        things.sort(key=lambda row: float(np.linalg.norm(seen.object_positions[row] - seen.hand_position)))
        if things and holds(seen):
            held = things.pop(0)
            objects[held] = seen.object_positions[held] + driven
        self._careful = bool(things) and bool(np.linalg.norm(objects[things[0]] - seen.hand_position - driven) < NEAR)
        return dataclasses.replace(seen, hand_position=seen.hand_position + driven, object_positions=objects)

    def _answer(self, believed: SceneState, now: float) -> str:
        """The keys for a scene as it is believed to be."""
        if self._skill is None:
            self._leading = leading_skill(self._task, believed)
        assert self._leading is not None
        struck = ""
        if self._leading != self._chosen:
            self._chosen = self._leading
            number = self.skills.index(self._leading) + 1
            struck += str(number) if number < 10 else ""
        wanted = self._task.skills[self._leading].demonstrate(believed)
        if abs(wanted[-1]) > PRESSED and (wanted[-1] > 0.0) != self._steering.opens and now >= self._gripper_until:
            self._gripper_until = now + GRIPPER_WAIT
            return struck + EVENT_KEYS[OperatorEvent.GRIPPER]
        axes = np.zeros(AXES)
        axes[self._axes] = wanted[:-1]
        size, speed = np.abs(axes), self._steering.speed
        level = int(np.argmin(np.abs(np.array(SPEEDS) - size.max())))
        level = min(level, CAREFUL) if self._careful else level
        if level != SPEEDS.index(speed) and size.any():
            struck += EVENT_KEYS[OperatorEvent.FASTER if SPEEDS[level] > speed else OperatorEvent.SLOWER]
        first = np.argsort(-size, kind="stable")[:AT_ONCE]
        return struck + "".join(
            KEYS[axis, np.sign(axes[axis])] for axis in first.tolist() if size[axis] > PRESSED * speed
        )
