"""Demonstrations as a network sees them: observations in its own layout, and what it should have answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.rates import Rates
from roman_moe.core.errors import DemonstrationError
from roman_moe.core.features import feature_layout
from roman_moe.core.spec import GATE, TaskSpec
from roman_moe.demos.reader import Episode


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples of one network.

    Attributes:
        network: skill, or "gate".
        observations: raw features, (N, n).
        answers: actions (N, a) or weights (N, k).
        episodes: index of the episode that each sample is from, (N,).
        noise_bound: least L that an episode was recorded with [m].
    """

    spec: TaskSpec
    network: str
    observations: NDArray[np.float32]
    answers: NDArray[np.float32]
    episodes: NDArray[np.intp]
    noise_bound: float

    def split(self, validation_share: float, rng: np.random.Generator) -> tuple[Samples, Samples]:
        """Training and validation samples, of different episodes: ticks of one episode are all alike.

        At least one episode is kept for training; `validation_share` of 0 keeps all.
        """
        names = rng.permutation(np.unique(self.episodes))
        held_out = min(round(validation_share * len(names)), len(names) - 1)
        chosen = np.isin(self.episodes, names[:held_out])
        return self._where(~chosen), self._where(chosen)

    def _where(self, rows: NDArray[np.bool_]) -> Samples:
        return dataclasses.replace(
            self, observations=self.observations[rows], answers=self.answers[rows], episodes=self.episodes[rows]
        )


def samples_of(
    spec: TaskSpec, network: str, episodes: Sequence[Episode], rates: Rates, features: Sequence[str] = ()
) -> Samples:
    """Samples of one network of a task from its demonstrations; of the gate's only those ticks at which the gate runs.

    Of an episode in which an operator corrected a policy, only what the operator did teaches (`Episode.taught`).

    Args:
        features: names of those that are observed, in order; the network's own if none.

    Raises:
        DemonstrationError: if there is none, or one teaches another network or was recorded at another rate.
    """
    layout = feature_layout(spec)
    indices = layout.indices(features or layout.observations[network])
    observations, answers, numbers = [], [], []
    for number, episode in enumerate(episodes):
        if episode.meta.network != network:
            raise DemonstrationError(f"{episode.path}: teaches {episode.meta.network!r}: expected {network!r}")
        if episode.meta.rate != rates.control_rate:
            raise DemonstrationError(
                f"{episode.path}: recorded at {episode.meta.rate} Hz: the recipe's control_rate is {rates.control_rate}"
            )
        for state, answer, teaches in zip(episode.states, episode.answers, episode.taught, strict=True):
            if teaches and (network != GATE or rates.gate_due(state.stamp_ns)):
                observations.append(layout.vector(state)[indices])
                answers.append(answer)
                numbers.append(number)
    if not observations:
        raise DemonstrationError(f"no demonstration for {network!r}: collect some first")
    return Samples(
        spec,
        network,
        np.array(observations, np.float32),
        np.array(answers, np.float32),
        np.array(numbers, np.intp),
        min(episode.meta.noise_bound for episode in episodes),
    )
