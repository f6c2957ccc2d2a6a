"""The grid world of Distral (Teh et al., "Distral: Robust multitask reinforcement learning", NeurIPS 2017, 4.1, B.1).

Two rooms are joined by a corridor; a task is a goal. The paper gives neither the map nor the number of tasks. The map
is that of two published re-implementations: rooms of 7 x 2 cells, a corridor of 4. The paper does not say either
whether the penalty of a wall, or the reward of the goal, comes on top of a step's: here both do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.suites.suite import Floats, Integers

MAP = """
##########
#  ####  #
#  ####  #
#  ####  #
#        #
#  ####  #
#  ####  #
#  ####  #
##########
"""
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
"""Rows and columns of the actions: stay, up, down, left, right."""
ACTIONS = ("stay", "up", "down", "left", "right")
STEP_REWARD, WALL_REWARD, GOAL_REWARD = -0.1, -0.5, 1.0


@dataclass(frozen=True, slots=True)
class TwoRooms:
    """The cells of the map, and where each action leads.

    Attributes:
        cells: (n, 2) row and column of each free cell.
        next_cell: (n, 5) cell after an action.
        bumped: (n, 5) whether the action meets a wall.
    """

    cells: Integers
    next_cell: Integers
    bumped: NDArray[np.bool_]

    @classmethod
    def build(cls) -> TwoRooms:
        rows = MAP.strip("\n").splitlines()
        cells = [(i, j) for i, row in enumerate(rows) for j, mark in enumerate(row) if mark == " "]
        index = {cell: number for number, cell in enumerate(cells)}
        after = [[index.get((i + di, j + dj), -1) for di, dj in MOVES] for i, j in cells]
        bumped = np.array(after) < 0
        stays = np.arange(len(cells))[:, None]
        return cls(np.array(cells), np.where(bumped, stays, after), bumped)

    @property
    def corridor(self) -> Integers:
        """Cells between walls, above and below."""
        up, down = ACTIONS.index("up"), ACTIONS.index("down")
        return np.flatnonzero(self.bumped[:, up] & self.bumped[:, down])

    def rewards(self, goal: int) -> Floats:
        """(n, 5) reward of each action in the task of a goal."""
        reached = self.next_cell == goal
        return STEP_REWARD + WALL_REWARD * self.bumped + GOAL_REWARD * reached
