"""Sources of randomness of an episode, one for each use: what one of them draws changes no other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

START_STREAM = 0
NOISE_STREAM = 1
PERTURBATION_STREAM = 2
DISTURBANCE_STREAM = 3
CHANNEL_STREAM = 4
BIAS_STREAM = 5


def generator(seed: int, stream: int) -> np.random.Generator:
    """Source of randomness of an episode for one use (`START_STREAM`, `NOISE_STREAM`, ...)."""
    return np.random.default_rng([seed, stream])


def episode_seed(seed: int, purpose: str, index: int) -> int:
    """Seed of episode `index` of a run for `purpose` (e.g. "evaluate/scenario_6"), below 2**31 as parameters are.

    It depends on nothing else. So neither the number of workers nor the other starts of a run change an episode, and
    `roman-moe demo --seed` repeats any episode over a good channel.
    """
    return int(np.random.SeedSequence([seed, index, *purpose.encode()]).generate_state(1)[0]) >> 1


def falls_on(index: int, share: float) -> bool:
    """Whether episode `index` is one of that share of them, which is spread evenly."""
    return int((index + 1) * share) > int(index * share)


@dataclass(frozen=True, slots=True)
class Streams:
    """An episode's sources of randomness."""

    start: np.random.Generator
    noise: np.random.Generator
    disturbance: np.random.Generator
    channel: np.random.Generator
    bias: np.random.Generator

    @classmethod
    def of_seed(cls, seed: int) -> Streams:
        """One source for each use: what one of them draws changes no other."""
        streams = (START_STREAM, NOISE_STREAM, DISTURBANCE_STREAM, CHANNEL_STREAM, BIAS_STREAM)
        return cls(*(generator(seed, stream) for stream in streams))

    @classmethod
    def shared(cls, rng: np.random.Generator) -> Streams:
        """The same source for all uses."""
        return cls(rng, rng, rng, rng, rng)
