"""Extrinsic reward r_E: success, and progress towards it as a difference of potentials.

ROMAN's public code adds dense terms up (distance to the object, how far the object has come, the way home). That also
pays for standing still near a goal. Here the same quantities are a potential, and its differences are paid (Ng, Harada
and Russell, "Policy invariance under reward transformations", ICML 1999). The discount is left out, so that an
episode's rewards add up to its total progress. All of it is computed from the true state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from roman_moe.core.state import SceneState
from roman_moe.sim.task import SimTask

REACH_SCALE = 0.10  # [m] over which nearness of the hand to its object fades
REACH_SHARE, HOME_SHARE = 0.25, 0.25
"""Shares of a skill's potential: the hand's way to the object, and its way home afterwards."""


def completion(task: SimTask, state: SceneState, skill: str) -> float:
    """How far a skill has come in a true state, in [0, 1]: a term of ROMAN's reward for the gate."""
    return min(max(float(task.skills[skill].progress(state)), 0.0), 1.0)


def potential(task: SimTask, state: SceneState, skill: str | None) -> float:
    """How far a skill has come, hand's ways included; or, for None, the whole task; in [0, 1]."""
    if skill is None:
        return sum(completion(task, state, each) for each in task.skills) / len(task.skills)
    done = completion(task, state, skill)
    if done >= 1.0:
        home = 1.0 - math.tanh(math.dist(state.hand_position, task.spec.home.position) / (2.0 * REACH_SCALE))
        return 1.0 - HOME_SHARE + HOME_SHARE * home
    reach = 1.0 - math.tanh(math.dist(state.hand_position, task.skills[skill].reach_point(state)) / REACH_SCALE)
    return REACH_SHARE * reach * (1.0 - done) + (1.0 - HOME_SHARE) * done


@dataclass(frozen=True, slots=True)
class TaskReward:
    """r_E of one tick: `progress` times the gain of potential, and `success` once.

    Attributes:
        success: reward at the end of a solved episode.
        progress: reward of the whole way from potential 0 to 1; 0 for a sparse reward.
    """

    success: float = 1.0
    progress: float = 0.0
