"""The gate's demonstrator: which skill should lead, from the true state alone."""

from __future__ import annotations

import math

import numpy as np

from roman_moe.core.skills import SKILLS
from roman_moe.core.state import SceneState
from roman_moe.lab import layout
from roman_moe.lab.oracle import DRAWER_CLOSED_Y, Vector, door_angle, is_dropped, is_inserted, is_placed


class OracleGate:
    """The gate's demonstrator: all weight on the first skill that has work left or has not yet let go.

    A skill keeps the lead after its condition is met until the hand has left its object: while it is low beside it, or out
    over the furniture where the next skill has never started.
    """

    def weights(self, state: SceneState) -> Vector:
        """Weights of `SKILLS`, (7,), one of them 1."""
        weights = np.zeros(len(SKILLS))
        weights[SKILLS.index(leading_skill(state))] = 1.0
        return weights


LEAVING_HEIGHT = 0.10  # [m] below it a hand beside its object still belongs to the skill
LEAVING_SIDE = 0.21  # [m] |y| beyond it the hand is over the drawer unit or the belt


def leading_skill(state: SceneState) -> str:
    """The skill that should lead in a true state."""
    hand = state.hand_position
    rack, vial, end = state.position("rack"), state.position("vial"), state.position("conveyor_end")
    inserted = is_inserted(state)

    handle = state.position("drawer_handle")
    opening = DRAWER_CLOSED_Y - handle[1]
    if opening < 0.88 * layout.DRAWER_TRAVEL or _is_beside(hand, handle):
        return "pull"
    if not is_dropped(state) or hand[1] > LEAVING_SIDE:
        return "pick_and_drop"
    if door_angle(state) < 0.84 * layout.DOOR_RANGE or _is_beside(hand, state.position("door_handle")):
        return "rotate_open"
    holds_vial = float(np.max(np.abs(vial - hand))) < 0.06
    if not is_placed(state) or (not inserted and not holds_vial and _is_beside(hand, rack)):
        return "pick_and_place"
    if not inserted or _is_beside(hand, vial):
        return "pick_and_insert"
    remaining, beside = rack[1] - end[1], _is_beside(hand, rack, 0.09)
    if remaining > (0.004 if beside else 0.6 * layout.SCENARIO_PUSH_TOLERANCE):
        return "push"
    if not state.flag("button_pressed") and (beside or hand[1] < -LEAVING_SIDE):
        return "push"
    return "button"


def _is_beside(hand: Vector, thing: Vector, radius: float = 0.035) -> bool:
    return bool(hand[2] < LEAVING_HEIGHT and math.hypot(hand[0] - thing[0], hand[1] - thing[1]) < radius)
