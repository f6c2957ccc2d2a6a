"""Meta-World's tasks (Yu et al. 2019; `metaworld` 3.1.1) as suites MT3, MT10 and MT50: real physics, random goals.

The goal is part of the observation. Meta-World's own one-hot code is left out (`use_one_hot`): our networks have the
task's anyway, and Soft Modularization's f(s) is not to see it. Rewards are its version "v2". It needs an
environment of its own, which `make metaworld` builds, since it is made for another MuJoCo than all else here.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from roman_moe.core.errors import MissingDependencyError
from roman_moe.suites.suite import Episodes, Integers, Suite, VectorEpisodes

HORIZON = 150
"""Steps of an episode, as in the CARE protocol; Meta-World's own episodes have 500. They end by time alone."""
OBSERVED, ACTIONS = 39, 4
GOALS_SEED = 1  # of the fifty goals of each task; 0 counts as none there

MT3: Final = ("reach-v3", "drawer-close-v3", "window-open-v3")
"""Ours: those of Meta-World that are learned soonest."""
MT10: Final = (
    *("reach-v3", "push-v3", "pick-place-v3", "door-open-v3", "drawer-open-v3", "drawer-close-v3"),
    *("button-press-topdown-v3", "peg-insert-side-v3", "window-open-v3", "window-close-v3"),
)
SUITES: Final[Mapping[str, tuple[str, ...]]] = {"mt3": MT3, "mt10": MT10, "mt50": ()}
"""Tasks of each; of MT50 all that there are."""


class MetaWorldEpisodes(VectorEpisodes):
    """Meta-World's `reset` ignores seeds; its environments take them by a method of their own."""

    def _begin(self, seeds: Sequence[int]) -> Any:
        for env, seed in zip(self._envs.envs, seeds, strict=True):
            env.unwrapped.seed(seed)
        return self._envs.reset()


def metaworld_suite(name: str) -> Suite:
    """One of `SUITES`, by its name.

    Raises:
        MissingDependencyError: if Meta-World is not installed.
    """
    if importlib.util.find_spec("metaworld") is None:
        raise MissingDependencyError(
            f"suite {name} needs metaworld, which has an environment of its own: run make metaworld, then "
            ".venv-metaworld/bin/roman-moe with the same arguments"
        )
    os.environ.setdefault("MUJOCO_GL", "disable")  # nothing is drawn
    tasks = SUITES[name]
    if not tasks:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS

        tasks = tuple(ALL_V3_ENVIRONMENTS)

    def episodes(numbers: Integers) -> Episodes:
        from gymnasium.vector import AutoresetMode, SyncVectorEnv
        from metaworld import make_mt_envs

        makers = [partial(make_mt_envs, tasks[n], seed=GOALS_SEED, max_episode_steps=HORIZON) for n in numbers]
        return MetaWorldEpisodes(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP), "success")

    return Suite(name, tasks, OBSERVED, ACTIONS, HORIZON, episodes, beside=1)
