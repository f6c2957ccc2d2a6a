"""Disturbances: changes of the scene in mid-episode, after which a skill has to be done again.

All of them act on things that the hand is not about to touch (or has just grasped), and leave the task solvable. One
happens per episode: it is drawn at the beginning from those that can happen after that start; it then waits for its
moment and acts once. Skills say which there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from roman_moe.core.state import NANOSECONDS, SceneState
from roman_moe.sim.motions import GRASP_FORCE, holds
from roman_moe.sim.task import Start
from roman_moe.sim.world import World

CHANCE = 0.25  # per tick at which a disturbance could act that it does: a fifth of a second on average
KNOCK_CHANCE = 0.5  # likewise for what is held and about to be lifted: the moment is short
CLEAR = 0.10  # [m] the hand is at least this far from what is moved
LONGEST_MOVE = 3.0  # [s] after which a moved joint is let go, wherever it is
EMPTY = 0.001  # [m] between the pads: closed on nothing
KNOCK_TIME = 0.5  # [s] that the fingers are held open
LOW = 0.010  # [m] a held thing may have been lifted when it is knocked out: it falls back where it was


Ongoing = Callable[[World, SceneState], bool]
"""What a disturbance goes on doing after the tick in which it acted, until each next tick: whether it goes on then."""


class Disturbance:
    """One kind of disturbance; the same object serves all worlds.

    Attributes:
        name: of the kind, as reports have it.
        chance: per tick at which it could act that it does.
        whole_only: whether it undoes an earlier skill, which a skill alone could not mend.
    """

    name = ""
    chance = CHANCE
    whole_only = False

    def can_happen(self, world: World, state: SceneState, resting: dict[str, float]) -> bool:
        """Whether it could act now. `resting`: heights of loose bodies when they were last not held [m]."""
        raise NotImplementedError

    def act(self, world: World, state: SceneState, rng: np.random.Generator) -> Ongoing | None:
        """Act; answers what it goes on doing, if anything."""
        raise NotImplementedError


def possible(start: Start) -> dict[str, Disturbance]:
    """Disturbances that an episode from this start can meet, by name."""
    return {
        each.name: each
        for skill in start.skills
        for each in start.task.skills[skill].disturbances
        if start.skill is None or not each.whole_only
    }


class Disturber:
    """Brings about one disturbance in one episode.

    Attributes:
        kind: name of the one that is going to happen; "" if nothing can.
        acted_ns: stamp at which it acted; -1 before.
    """

    def __init__(self, start: Start, world: World, rng: np.random.Generator) -> None:
        """Draw what is going to happen in the episode that has begun."""
        self._possible = possible(start)
        self._rng = rng
        self.kind = str(rng.choice(list(self._possible))) if self._possible else ""
        self.acted_ns = -1
        self._resting = _heights(world)
        self._ongoing: Ongoing | None = None

    def update(self, world: World, state: SceneState) -> None:
        """Act, if the moment has come, on what the world does until its next tick. Call before each `world.step`."""
        if np.any(state.finger_forces < GRASP_FORCE):
            self._resting = _heights(world)
        if self._ongoing is not None:
            if not self._ongoing(world, state):
                self._ongoing = None
        elif self.acted_ns < 0 and self.kind:
            disturbance = self._possible[self.kind]
            if disturbance.can_happen(world, state, self._resting) and self._rng.random() < disturbance.chance:
                self.acted_ns = state.stamp_ns
                self._ongoing = disturbance.act(world, state, self._rng)
                if self._ongoing is not None:
                    self._ongoing(world, state)


class KnockOut(Disturbance):
    """Knock what is held out of the gripper, before it is lifted."""

    name = "knock_out"
    chance = KNOCK_CHANCE

    def can_happen(self, world: World, state: SceneState, resting: dict[str, float]) -> bool:
        if state.finger_opening < EMPTY or not holds(state):
            return False
        return all(world.height(name) < height + LOW for name, height in resting.items())

    def act(self, world: World, state: SceneState, rng: np.random.Generator) -> Ongoing | None:
        return HoldOpen(state.stamp_ns + int(KNOCK_TIME * NANOSECONDS), world.task.spec.gripper.open)


@dataclass(frozen=True)
class HoldOpen:
    """Hold the fingers open until a stamp [ns]."""

    until_ns: int
    opening: float

    def __call__(self, world: World, state: SceneState) -> bool:
        held = state.stamp_ns < self.until_ns
        world.forced_opening = self.opening if held else None
        return held


@dataclass(frozen=True)
class MoveJoint:
    """Move a joint down to a value at a speed, until a stamp [ns] at the latest."""

    joint: str
    goal: float
    speed: float
    until_ns: int

    def __call__(self, world: World, state: SceneState) -> bool:
        joint, of_model = world.data.joint(self.joint), world.model.joint(self.joint)
        moving = bool(joint.qpos[0] > self.goal) and state.stamp_ns < self.until_ns
        # What the joint itself holds against that speed. A servo's force would stand for a whole tick: too long for
        # a light door, which such a servo throws from stop to stop.
        force = -float(of_model.damping[0] * self.speed + of_model.frictionloss[0])
        joint.qfrc_applied[0] = force if moving else 0.0
        return moving


def move_joint(state: SceneState, joint: str, goal: float, speed: float) -> MoveJoint:
    """Move a joint down to `goal` from now on, for `LONGEST_MOVE` at most."""
    return MoveJoint(joint, goal, speed, state.stamp_ns + int(LONGEST_MOVE * NANOSECONDS))


def is_clear(state: SceneState, name: str) -> bool:
    """Whether the hand is far enough from an object for it to be moved."""
    return float(np.linalg.norm(state.hand_position - state.position(name))) > CLEAR


def _heights(world: World) -> dict[str, float]:
    return {world.model.body(body).name: float(world.data.xpos[body][2]) for body in world.loose}
