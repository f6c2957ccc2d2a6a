"""Starts: the random situations in which a skill or a scenario begins.

Distributions follow ROMAN's public code (`SceneManagement.cs`) with lengths scaled by `layout.SCALE`. The stage is the
number of skills that are already done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from roman_moe.core.errors import ConfigError
from roman_moe.core.roman import GRIPPER_CLOSED, GRIPPER_OPEN, HOME_POSITION, SCENARIOS, SKILLS
from roman_moe.sim import layout

if TYPE_CHECKING:
    from roman_moe.sim.world import World

_REST_GAP = 0.0005  # [m] above the surface on which a thing is put, so that it starts without overlap

_LEFT_AT = ("drawer_handle", "cover", "door_handle", "rack", "vial", "rack")
"""Site at which each skill but the last leaves the hand."""
_LEFT_WITHIN = np.array([[-0.03, -0.03, 0.03], [0.03, 0.03, 0.15]])
"""How far from it [m], lowest and highest: it has let go, and begun to rise."""


@dataclass(frozen=True)
class Start:
    """A distribution of starts.

    Attributes:
        name: "push", or "scenario_6".
        stage: how many skills are already done, 0 to 6.
        skill: the skill to do, or None for the whole task from here on.
        handed_over: the hand is where the skill before has left it, not near home: ours, for practice. Starts of the
            first skill have none before.
    """

    name: str
    stage: int
    skill: str | None
    handed_over: bool = False

    @property
    def skills(self) -> tuple[str, ...]:
        """Skills that are still to do, in order."""
        return (self.skill,) if self.skill else SKILLS[self.stage :]

    def place(self, lab: World, rng: np.random.Generator) -> None:
        """Place arm and objects at random (no physics). Draws the same numbers in the same order for every stage."""
        stage, model, data = self.stage, lab.model, lab.data
        hand = HOME_POSITION + rng.uniform(-1.0, 1.0, 3) * layout.HAND_RANGE
        gripper = GRIPPER_OPEN if rng.random() < 0.5 else GRIPPER_CLOSED  # ROMAN leaves it from the episode before
        drawer = rng.uniform(0.0, 0.25) if stage == 0 else rng.uniform(0.9, 1.0)
        door_low, door_high = (0.0, 0.0) if stage < 2 else (0.0, 0.1) if stage == 2 else (0.85, 1.0)
        door = rng.uniform(door_low, door_high)
        cover = rng.uniform(-1.0, 1.0, 2) * layout.COVER_RANGE
        rack = rng.uniform(-1.0, 1.0, 2)
        pushed = rng.uniform(*layout.RACK_PUSHED)
        slot = int(rng.integers(layout.VIAL_SLOTS))
        hole = int(rng.integers(layout.RACK_HOLES))

        data.joint("drawer").qpos = drawer * layout.DRAWER_TRAVEL
        data.joint("door").qpos = door * layout.DOOR_RANGE
        lab.arm.place(data, hand, gripper)

        # In ROMAN the cover is already dropped in the scenario that starts with the door, but not in the skill's own
        # starts.
        dropped = stage > 2 or (stage == 2 and self.skill is None)
        cover_site = data.site("drop_zone").xpos if dropped else data.site("cover_seat").xpos
        offset = np.array([*cover, 0.003 + _REST_GAP]) if dropped else np.array([0.0, 0.0, 0.003 + _REST_GAP])
        _put(data, "cover", cover_site + offset)

        if stage < 4:
            rack_position = data.site("rack_store").xpos + [0.0, 0.0, _REST_GAP]
        else:
            spread = layout.RACK_RANGE_INSERT if stage == 4 else layout.RACK_RANGE_PUSH
            rack_position = data.site("rack_target").xpos + np.array([*(rack * spread), _REST_GAP])
            if stage == 6:
                rack_position[1] -= pushed
        _put(data, "rack", rack_position)
        mujoco.mj_kinematics(model, data)  # the holes moved with the rack

        place = f"slot_{slot}" if stage < 5 else f"hole_{hole}"
        half_height = float(model.geom("vial").size[2])
        _put(data, "vial", data.site(place).xpos + [0.0, 0.0, half_height + _REST_GAP])
        if self.handed_over and stage > 0:
            mujoco.mj_kinematics(model, data)
            left_at = data.site(_LEFT_AT[stage - 1]).xpos + rng.uniform(*_LEFT_WITHIN)
            lab.arm.place(data, left_at, GRIPPER_OPEN)


def _put(data: mujoco.MjData, joint: str, position: NDArray[np.float64]) -> None:
    data.joint(joint).qpos = [*position, 1.0, 0.0, 0.0, 0.0]


def skill_start(skill: str) -> Start:
    """Starts of one skill alone.

    Raises:
        ConfigError: if there is no such skill.
    """
    if skill not in SKILLS:
        raise ConfigError(f"unknown skill {skill!r}: expected one of {', '.join(SKILLS)}")
    return Start(skill, SKILLS.index(skill), skill)


def scenario_start(scenario: int) -> Start:
    """Starts of a scenario: `scenario` skills before the last one.

    Raises:
        ConfigError: if there is no such scenario.
    """
    if scenario not in SCENARIOS:
        raise ConfigError(f"unknown scenario {scenario!r}: expected one of {SCENARIOS[0]} to {SCENARIOS[-1]}")
    return Start(f"scenario_{scenario}", len(SKILLS) - 1 - scenario, None)
