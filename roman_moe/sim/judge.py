"""Judge: decides, from the true state alone, whether an episode was solved, failed or goes on.

Conditions are ROMAN's (public code `Expert*.cs` and the manipulation network's), lengths scaled by `layout.SCALE`.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

from roman_moe.core.roman import HOME_POSITION, ROMAN
from roman_moe.sim import layout

if TYPE_CHECKING:
    from roman_moe.sim.starts import Start
    from roman_moe.sim.world import World


class Outcome(enum.Enum):
    """How an episode stands."""

    RUNNING = "running"
    SUCCESS = "success"
    TIME_LIMIT = "time_limit"
    OBJECT_DROPPED = "object_dropped"
    OUT_OF_REACH = "out_of_reach"


_TABLE_TOP = -0.12  # [m]
_TILT_LIMIT = math.cos(
    math.radians(60.0)
)  # a thing lying on its side cannot be picked up again without turning the hand
_ARM_REACH = 0.82  # [m] horizontally from the base


class Judge:
    """Judges the episodes of one kind of start.

    Attributes:
        paused_ns: of the episode, for which it was not judged and its time stood still [ns].
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        scenario = ROMAN.scenarios[len(ROMAN.skills) - 1 - start.stage]
        self._times = scenario if start.skill is None else ROMAN.skills[start.skill]
        self._rack_distance = math.nan
        self.paused_ns = 0

    def reset(self, lab: World) -> None:
        """Begin an episode: remember what success is measured against."""
        model = lab.model
        self.paused_ns = 0
        self._objects = [model.body(name).id for name in ("cover", "rack", "vial")]
        self._rack, self._vial, self._cover = (model.body(name).id for name in ("rack", "vial", "cover"))
        self._drop_zone, self._plate = model.geom("drop_zone").id, model.geom("rack_plate").id
        self._rack_bottom = model.geom("rack_bottom").id
        self._drawer = int(model.joint("drawer").qposadr[0])
        self._door = int(model.joint("door").qposadr[0])
        self._rack_distance = self.rack_distance(lab)

    def update(self, lab: World) -> Outcome:
        """The episode's standing at the lab's present tick."""
        whole = self._start.skill is None
        time = (lab.stamp_ns - self.paused_ns) * 1e-9
        data = lab.data
        hand = data.site("hand").xpos - HOME_POSITION
        home_distance = math.sqrt(float(hand @ hand))
        at_home = home_distance <= (layout.SCENARIO_HOME_TOLERANCE if whole else layout.HOME_TOLERANCE)
        if at_home and time >= self._times.min_time and self.achieved(lab):
            return Outcome.SUCCESS
        if home_distance > layout.REACH_LIMIT:
            return Outcome.OUT_OF_REACH
        for body in self._objects:
            position = data.xpos[body]
            if position[2] < _TABLE_TOP - 0.02 or data.xmat[body, 8] < _TILT_LIMIT:
                return Outcome.OBJECT_DROPPED
            if math.hypot(position[0], position[1]) > _ARM_REACH:
                return Outcome.OUT_OF_REACH
        limit = self._times.time_limit
        return Outcome.TIME_LIMIT if time >= limit - 1e-9 else Outcome.RUNNING

    def achieved(self, lab: World) -> bool:
        """Whether the objects are where the skill, or the whole task, wants them (wherever the hand is)."""
        if self._start.skill is None:
            return (
                lab.state.flag("button_pressed")
                and abs(self.rack_distance(lab)) <= layout.SCENARIO_PUSH_TOLERANCE
                and self.skill_achieved(lab, "pick_and_insert")
            )
        return self.skill_achieved(lab, self._start.skill)

    def skill_achieved(self, lab: World, skill: str) -> bool:
        """Success condition of one skill, without its return home."""
        positions = lab.data.qpos
        if skill == "pull":
            return bool(positions[self._drawer] >= layout.DRAWER_OPEN_SHARE * layout.DRAWER_TRAVEL)
        if skill == "pick_and_drop":
            return lab.touching(self._drop_zone, self._cover)
        if skill == "rotate_open":
            return bool(positions[self._door] >= layout.DOOR_OPEN_SHARE * layout.DOOR_RANGE)
        if skill == "pick_and_place":
            return lab.touching(self._plate, self._rack)
        if skill == "pick_and_insert":
            return lab.touching(self._rack_bottom, self._vial)
        if skill == "push":
            return abs(self.rack_distance(lab)) <= layout.PUSH_SHARE * abs(self._rack_distance)
        if skill == "button":
            return lab.state.flag("button_pressed")
        raise ValueError(f"unknown skill {skill!r}")

    @staticmethod
    def rack_distance(lab: World) -> float:
        """Signed distance along the conveyor from its end to the rack [m]."""
        return float(lab.data.site("rack").xpos[1] - lab.data.site("conveyor_end").xpos[1])
