"""An expert alone in place of a bundle, with a weight of 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.network import Network
from roman_moe.control.rates import Rates
from roman_moe.core.spec import TaskSpec


class SingleExpertGate:
    """A gate that gives its only expert a weight of 1."""

    def answer(self, features: NDArray[np.float64], usable: Sequence[bool]) -> NDArray[np.float64]:
        """(1,), whatever the features."""
        return np.ones(1)


@dataclass(frozen=True, slots=True, eq=False)
class SingleExpert:
    """Networks of a `Controller`: one expert.

    Attributes:
        spec: of the task; its actions mean what the network says.
    """

    spec: TaskSpec
    rates: Rates
    skills: tuple[str, ...]
    gate: SingleExpertGate
    experts: tuple[Network, ...]

    @classmethod
    def of(cls, spec: TaskSpec, network: Network) -> SingleExpert:
        """Of a network that answers actions."""
        told = network.metadata
        turning = told.top_angular_speed or spec.action.top_angular_speed
        spec = replace(spec, action=replace(spec.action, top_speed=told.top_speed, top_angular_speed=turning))
        return cls(spec, Rates(told.rate, told.rate), (told.name,), SingleExpertGate(), (network,))
