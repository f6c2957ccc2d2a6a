"""The gate's demonstrator: which skill should lead, from the true state alone."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.roman import SKILLS
from roman_moe.core.state import SceneState
from roman_moe.sim import layout
from roman_moe.sim.oracle import DRAWER_CLOSED_Y, Vector, door_angle, is_dropped, is_inserted, is_placed


class OracleGate:
    """The gate's demonstrator: all weight on the first skill that has work left or has not yet let go.

    A skill keeps the lead after its condition is met until the hand has left its object: while it is low beside it,
    or out over the furniture where the next skill has never started.
    """

    def weights(self, state: SceneState) -> Vector:
        """Weights of `SKILLS`, (7,), one of them 1."""
        weights = np.zeros(len(SKILLS))
        weights[SKILLS.index(leading_skill(state))] = 1.0
        return weights


LEAVING_HEIGHT = 0.10  # [m] below it a hand beside its object still belongs to the skill
LEAVING_SIDE = 0.21  # [m] |y| beyond it the hand is over the drawer unit or the belt

# Well between where a skill starts and where it ends, so that noise on a pose does not blur what the gate should say.
DRAWER_SHUT_SHARE = 0.7
DOOR_SHUT_SHARE = 0.5
LOW_ENOUGH = 0.02  # [m] above where a thing comes to rest it counts as put down, as long as the hand has left it
PUSH_REMAINING = 0.6 * layout.SCENARIO_PUSH_TOLERANCE  # [m]


def leading_skill(state: SceneState) -> str:
    """The skill that should lead in a true state."""
    hand = state.hand_position
    rack, vial = state.position("rack"), state.position("vial")

    handle = state.position("drawer_handle")
    if DRAWER_CLOSED_Y - handle[1] < DRAWER_SHUT_SHARE * layout.DRAWER_TRAVEL or _is_beside(hand, handle):
        return "pull"
    if not is_dropped(state, LOW_ENOUGH) or hand[1] > LEAVING_SIDE:
        return "pick_and_drop"
    if door_angle(state) < DOOR_SHUT_SHARE * layout.DOOR_RANGE or _is_beside(hand, state.position("door_handle")):
        return "rotate_open"
    inserted = is_inserted(state)
    holds_vial = float(np.max(np.abs(vial - hand))) < 0.06
    if not is_placed(state, LOW_ENOUGH) or (not inserted and not holds_vial and _is_beside(hand, rack)):
        return "pick_and_place"
    if not inserted or _is_beside(hand, vial, 0.025):  # pushing the rack, the hand is not much farther away
        return "pick_and_insert"
    if rack[1] - state.position("conveyor_end")[1] > PUSH_REMAINING:
        return "push"
    if not state.flag("button_pressed") and (hand[1] < -LEAVING_SIDE or _is_beside(hand, rack, 0.10)):
        return "push"
    return "button"


def _is_beside(hand: Vector, thing: Vector, radius: float = 0.05) -> bool:
    return bool(hand[2] < LEAVING_HEIGHT and math.hypot(hand[0] - thing[0], hand[1] - thing[1]) < radius)
