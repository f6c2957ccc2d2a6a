"""The grid world of Distral: its map, its rewards, and where its actions lead."""

from __future__ import annotations

import numpy as np

from roman_moe.suites.two_rooms import ACTIONS, MOVES, TwoRooms

WORLD = TwoRooms.build()


def test_the_rooms_are_joined_by_a_corridor_of_four_cells():
    assert len(WORLD.cells) == 2 * 14 + 4
    assert WORLD.cells[WORLD.corridor].tolist() == [[4, column] for column in (3, 4, 5, 6)]


def test_an_action_moves_by_one_cell_or_meets_a_wall_and_stays():
    for cell, (after, bumped) in enumerate(zip(WORLD.next_cell, WORLD.bumped, strict=True)):
        for action, move in enumerate(MOVES):
            moved = WORLD.cells[after[action]] - WORLD.cells[cell]
            assert moved.tolist() == ([0, 0] if bumped[action] else list(move))
    assert not WORLD.bumped[:, ACTIONS.index("stay")].any()
    assert WORLD.bumped[WORLD.corridor[0]].tolist() == [False, True, True, False, False]


def test_every_cell_is_reached_from_every_other():
    steps = np.zeros((len(WORLD.cells),) * 2)
    steps[np.arange(len(WORLD.cells))[:, None], WORLD.next_cell] = 1.0
    assert (np.linalg.matrix_power(steps, 2 * len(WORLD.cells)) > 0).all()


def test_a_step_costs_a_wall_costs_more_and_the_goal_pays():
    goal = WORLD.corridor[1]
    rewards = WORLD.rewards(goal)
    right, up, stay = (ACTIONS.index(name) for name in ("right", "up", "stay"))
    before = WORLD.corridor[0]
    np.testing.assert_allclose([rewards[before, action] for action in (right, up, stay)], [0.9, -0.6, -0.1])
    assert (np.delete(rewards, goal, axis=0) > 0).sum() == 2  # from the left and from the right
