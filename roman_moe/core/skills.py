"""Skills and scenarios: their names, their order and their time limits.

The order is the gate's output order and the order in which the long task needs them (ROMAN, Fig. 1;
public code `Expert*.cs`). A *scenario* k starts k skills before the goal: 0 needs only the button, 6 all seven.
"""

SKILLS: tuple[str, ...] = (
    "pull",  # open the drawer
    "pick_and_drop",  # take the cover off the box and drop it on the drawer unit
    "rotate_open",  # swing the cabinet door open
    "pick_and_place",  # lift the rack out of the cabinet onto its plate
    "pick_and_insert",  # take the vial from the drawer and insert it into the rack
    "push",  # push the rack along the conveyor
    "button",  # press the button
)

GATE = "gate"
"""Name of the gating network, where an expert has the name of its skill."""
NETWORKS: tuple[str, ...] = (*SKILLS, GATE)
"""Every network of a controller: an expert for each skill, and the gate."""

SCENARIOS: tuple[int, ...] = tuple(range(len(SKILLS)))

SKILL_TIME_LIMIT = 80.0  # [s] 80 000 physics steps of 1 ms in ROMAN's public code
SCENARIO_TIME_LIMIT = 240.0  # [s] 240 000 physics steps
SKILL_MIN_TIME = 8.0  # [s] an expert's success counts from maxStep / 10 on
SCENARIO_MIN_TIME = 2.4  # [s] the whole task's success counts from 2 400 steps on
