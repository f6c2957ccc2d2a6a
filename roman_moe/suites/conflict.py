"""Eight tasks of a planar arm that want opposite things of one scene; which one it is, the observation does not say.

An arm of three joints reaches one of four goals, or carries a puck to one of them: the puck clings to a fingertip that
touches it. From the same observation the tasks call for opposite motions, so that a network has to keep them apart by
the task's one-hot code alone. All episodes run side by side in numpy.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from roman_moe.suites.suite import Floats, Integers, Outcome, Suite

LINKS: Final = np.array([0.4, 0.35, 0.25])  # lengths of the links [m]
STEP_ANGLE = 0.2  # turn of a joint in a step by a full action [rad]
HORIZON = 50  # steps of an episode; it ends by time alone, whatever is reached
GOALS: Final = np.array([[0.55, 0.0], [-0.55, 0.0], [0.0, 0.55], [0.0, -0.55]])
"""East, west, north and south [m]."""
TOUCH = 0.08  # distance at which the puck clings to the fingertip [m]
CLOSE = 0.08  # distance at which a goal counts as reached [m]
TASKS: Final = tuple(f"{verb}_{side}" for verb in ("reach", "carry") for side in ("east", "west", "north", "south"))
OBSERVED = 12  # cosine and sine of three joints, the tip, the puck, and the puck from the tip
ACTIONS = 3


class ConflictArms:
    """N arms, each with its task.

    Attributes:
        tasks: (N,) number in `TASKS` of each.
        joints: (N, 3) angles [rad], each from the link before.
        puck: (N, 2) its place [m].
        clings: (N,) whether the puck is at the fingertip.
        steps: since all of them began.
    """

    def __init__(self, tasks: Integers) -> None:
        self.tasks = tasks
        self._carries, self._goals = tasks >= len(GOALS), GOALS[tasks % len(GOALS)]
        self.joints, self.puck = np.zeros((len(tasks), 3)), np.zeros((len(tasks), 2))
        self.clings = np.zeros(len(tasks), bool)
        self.steps = 0

    def reset(self, rng: np.random.Generator) -> Floats:
        self._rng, self.steps, count = rng, 0, len(self.tasks)
        self.joints = rng.uniform(-np.pi, np.pi, (count, 3)) * [1.0, 0.6, 0.6]
        angle, radius = rng.uniform(-np.pi, np.pi, count), 0.4 * np.sqrt(rng.uniform(0.1, 1.0, count))
        self.puck = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        self.clings = np.zeros(count, bool)
        return self.observations()

    def step(self, actions: Floats) -> Outcome:
        """Turn the joints, and take the puck along; all episodes end together.

        Args:
            actions: (N, 3) in [-1, 1]: shares of the largest turn of each joint.

        Returns:
            Rewards: minus the distances [m] from goal and puck that are left, and 1 at the goal.
        """
        self.joints = np.mod(self.joints + STEP_ANGLE * np.clip(actions, -1.0, 1.0) + np.pi, 2 * np.pi) - np.pi
        tip = self.tip()
        self.clings |= np.linalg.norm(self.puck - tip, axis=1) < TOUCH
        self.puck = np.where(self.clings[:, None], tip, self.puck)
        far = np.linalg.norm(np.where(self._carries[:, None], self.puck, tip) - self._goals, axis=1)
        solved = far < CLOSE
        rewards = -far + solved - self._carries * np.linalg.norm(tip - self.puck, axis=1)
        self.steps += 1
        over, reached = self.steps == HORIZON, self.observations()
        observations = self.reset(self._rng) if over else reached
        return Outcome(observations, rewards, solved, reached, np.full(len(far), over), np.zeros(len(far), bool))

    def tip(self) -> Floats:
        """(N, 2) place of the fingertip [m]."""
        angles = self.joints.cumsum(axis=1)
        return np.stack([np.cos(angles) @ LINKS, np.sin(angles) @ LINKS], axis=1)

    def observations(self) -> Floats:
        """(N, 12), the same whatever the task."""
        tip = self.tip()
        parts = [np.cos(self.joints), np.sin(self.joints), tip, self.puck, self.puck - tip]
        return np.concatenate(parts, axis=1)


CONFLICT: Final = Suite("conflict", TASKS, OBSERVED, ACTIONS, HORIZON, ConflictArms)
"""Of all eight tasks."""
