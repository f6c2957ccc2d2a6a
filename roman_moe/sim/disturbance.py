"""Disturbances: what a clumsy colleague does to the lab in mid-episode, so that a skill has to be done again.

All of them act on things that the hand is not about to touch (or has just grasped), and leave the task solvable: drawer
and door are moved by a force, the rack gets a speed, the fingers are held open, the vial is put elsewhere. One happens
per episode: its kind is drawn at the reset from those that can happen after that start; it then waits for its moment
and acts once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from roman_moe.core.roman import GRIPPER_OPEN
from roman_moe.core.state import SceneState
from roman_moe.sim import layout
from roman_moe.sim.oracle import DRAWER_CLOSED_Y, GRASP_FORCE, door_angle, is_dropped, is_inserted, is_placed

if TYPE_CHECKING:
    from roman_moe.sim.starts import Start
    from roman_moe.sim.world import World

KINDS = ("shove_rack", "close_drawer", "close_door", "knock_out", "return_vial")
"""Every kind: shove the rack, close the drawer or the door half-way, knock what is held out of the gripper, move the
inserted vial back into the drawer."""

CHANCE = 0.25  # per tick at which a disturbance could act that it does: a fifth of a second on average
KNOCK_CHANCE = 0.5  # likewise for what is held and about to be lifted: the moment is short
CLEAR = 0.10  # [m] the hand is at least this far from what is moved
OVERHEAD = 0.10  # [m] a hand this high has room for the door to swing below it
SHOVE_SPEED = (0.35, 0.65)  # [m/s] that the shove gives the rack: it slides one to four centimetres
SHOVE_ROOM = 0.07  # [m] from the end of the conveyor within which the rack is shoved away from it
HALF = (0.35, 0.5)  # of its range that drawer or door is left open
DRAWER_SPEED = 0.15  # [m/s]
DOOR_SPEED = 2.0  # [rad/s]
LONGEST_MOVE = 3.0  # [s] after which drawer or door is let go, wherever it is
EMPTY = 0.001  # [m] between the pads: closed on nothing
KNOCK_TIME = 0.5  # [s] that the fingers are held open
LOW = 0.010  # [m] a held thing may have been lifted when it is knocked out: it falls back where it was


def possible(start: Start) -> tuple[str, ...]:
    """Kinds of disturbance that an episode from this start can meet; a skill alone only what that skill can mend."""
    if start.skill is not None:
        return _OF_SKILL[start.skill]
    return tuple(kind for kind in KINDS if start.stage <= _LAST_STAGE[kind])


_OF_SKILL = {
    "pull": ("knock_out",),
    "pick_and_drop": ("knock_out",),
    "rotate_open": ("knock_out",),
    "pick_and_place": ("knock_out",),
    "pick_and_insert": ("knock_out", "shove_rack"),
    "push": ("shove_rack",),
    "button": (),
}
_LAST_STAGE = {"shove_rack": 6, "close_drawer": 4, "close_door": 3, "knock_out": 4, "return_vial": 5}
"""Skills already done at the latest start at which a kind can happen."""


class Disturbance:
    """One disturbance an episode.

    Attributes:
        kind: drawn for this episode; "" if nothing can happen.
        acted_ns: stamp at which it acted; -1 before.
    """

    def __init__(self, start: Start) -> None:
        self._kinds = possible(start)
        self.kind = ""
        self.acted_ns = -1

    def reset(self, lab: World, rng: np.random.Generator) -> None:
        """Begin an episode: draw what is going to happen."""
        self._rng = rng
        self.kind = str(rng.choice(self._kinds)) if self._kinds else ""
        self.acted_ns = -1
        self._resting = _heights(lab)  # of things when they were last not held [m]
        self._continue: Callable[[World, SceneState], bool] | None = None

    def update(self, lab: World, state: SceneState) -> None:
        """Act, if the moment has come, on what the lab does until its next tick. Call before each `lab.step`."""
        if np.any(state.finger_forces < GRASP_FORCE):
            self._resting = _heights(lab)
        if self._continue is not None:
            if not self._continue(lab, state):
                self._continue = None
        elif self.acted_ns < 0 and self.kind and getattr(self, f"_can_{self.kind}")(lab, state) and self._happens():
            self.acted_ns = state.stamp_ns
            getattr(self, f"_{self.kind}")(lab, state)

    def _happens(self) -> bool:
        return bool(self._rng.random() < (KNOCK_CHANCE if self.kind == "knock_out" else CHANCE))

    # Each kind: whether it can happen now, and how it begins.

    def _can_shove_rack(self, lab: World, state: SceneState) -> bool:
        return is_placed(state) and _is_clear(state, "rack") and _is_clear(state, "vial")

    def _shove_rack(self, lab: World, state: SceneState) -> None:
        angle = self._rng.uniform(-math.pi, math.pi)
        speed = self._rng.uniform(*SHOVE_SPEED)
        at_end = state.position("rack")[1] - state.position("conveyor_end")[1] < SHOVE_ROOM
        sideways, along = speed * math.cos(angle), speed * math.sin(angle)
        # At the conveyor's end only backwards: there is nothing in front of it but the stop.
        push = [0.3 * sideways, abs(along)] if at_end else [sideways, along]
        bodies = ("rack", "vial") if is_inserted(state) else ("rack",)
        for name in bodies:
            lab.data.joint(name).qvel[:2] += push

    def _can_close_drawer(self, lab: World, state: SceneState) -> bool:
        opening = DRAWER_CLOSED_Y - state.position("drawer_handle")[1]
        return opening > 0.9 * layout.DRAWER_TRAVEL and not is_inserted(state) and state.hand_position[1] < -0.02

    def _close_drawer(self, lab: World, state: SceneState) -> None:
        goal = self._rng.uniform(*HALF) * layout.DRAWER_TRAVEL
        self._move_joint(lab, state, "drawer", goal, DRAWER_SPEED)

    def _can_close_door(self, lab: World, state: SceneState) -> bool:
        hand = state.hand_position
        stored = lab.data.body("rack").xpos[2] < self._resting["rack"] + 0.005 and not is_placed(state)
        is_open = door_angle(state) > layout.DOOR_OPEN_SHARE * layout.DOOR_RANGE
        distance = float(np.linalg.norm((hand - state.position("rack"))[:2]))
        return is_open and stored and bool(hand[2] > OVERHEAD) and distance > 1.5 * CLEAR

    def _close_door(self, lab: World, state: SceneState) -> None:
        goal = self._rng.uniform(*HALF) * layout.DOOR_RANGE
        self._move_joint(lab, state, "door", goal, DOOR_SPEED)

    def _move_joint(self, lab: World, state: SceneState, name: str, goal: float, speed: float) -> None:
        """Close a joint at a speed until it has come down to `goal`."""
        joint, of_model = lab.data.joint(name), lab.model.joint(name)
        # What the joint itself holds against that speed. A servo's force would stand for a whole tick: too long for
        # the light door, which such a servo throws from stop to stop.
        force = -float(of_model.damping[0] * speed + of_model.frictionloss[0])
        limit_ns = self.acted_ns + int(LONGEST_MOVE * 1e9)

        def go_on(lab: World, state: SceneState) -> bool:
            moving = bool(joint.qpos[0] > goal) and state.stamp_ns < limit_ns
            joint.qfrc_applied[0] = force if moving else 0.0
            return moving

        self._continue = go_on
        go_on(lab, state)

    def _can_knock_out(self, lab: World, state: SceneState) -> bool:
        if state.finger_opening < EMPTY or not bool(np.all(state.finger_forces > GRASP_FORCE)):
            return False
        return all(lab.data.body(name).xpos[2] < height + LOW for name, height in self._resting.items())

    def _knock_out(self, lab: World, state: SceneState) -> None:
        limit_ns = self.acted_ns + int(KNOCK_TIME * 1e9)

        def go_on(lab: World, state: SceneState) -> bool:
            held = state.stamp_ns < limit_ns
            lab.forced_opening = GRIPPER_OPEN if held else None
            return held

        self._continue = go_on
        go_on(lab, state)

    def _can_return_vial(self, lab: World, state: SceneState) -> bool:
        opening = DRAWER_CLOSED_Y - state.position("drawer_handle")[1]
        offset = state.position("rack") - state.position("rack_target")
        return (
            is_inserted(state)
            and _is_clear(state, "vial")
            and opening > 0.9 * layout.DRAWER_TRAVEL
            and bool(offset[1] > -0.03)
            and is_dropped(state)
        )

    def _return_vial(self, lab: World, state: SceneState) -> None:
        slot = lab.data.site(f"slot_{self._rng.integers(layout.VIAL_SLOTS)}").xpos
        half_height = float(lab.model.geom("vial").size[2])
        joint = lab.data.joint("vial")
        joint.qpos = [*(slot + [0.0, 0.0, half_height + 0.0005]), 1.0, 0.0, 0.0, 0.0]
        joint.qvel = 0.0


def _is_clear(state: SceneState, name: str) -> bool:
    return float(np.linalg.norm(state.hand_position - state.position(name))) > CLEAR


def _heights(lab: World) -> dict[str, float]:
    return {name: float(lab.data.body(name).xpos[2]) for name in ("cover", "rack", "vial")}
