"""Networks for many tasks at once: (T, B, n) numbers of T tasks, B rows each, to (T, B, outputs).

What the observation does not say, which task it is, a network knows from a row's place, as a one-hot code or by parts
of its own for each task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from roman_moe.core.features import feature_layout
from roman_moe.core.spec import TaskSpec
from roman_moe.learning.policies.mlp import ObservationLayer
from roman_moe.learning.policies.soft_modular import Mode, ModuleLayer, SoftModular, SoftModularShape, weighed

EXPERTS = 4  # of the mixture of experts, as Yang et al. 2020 have it
ROUTED_LAYERS, ROUTED_MODULES = 4, 4  # of hard routing, likewise


@dataclass(frozen=True, slots=True)
class Sizes:
    """What all networks of a study share.

    Attributes:
        hidden: of the layers of every plain network.
        layers, modules, width: of the modular ones.
    """

    hidden: Sequence[int] = (128, 128, 128)
    layers: int = 2
    modules: int = 2
    width: int = 64


class SkillObservation(nn.Module):
    """From all features of scenes, (T, B, n), of which each row is for one of a task's T skills, to (T, B, size).

    A skill sees the features that its own expert observes. All others, and what is made of them, are 0, as a mean is
    after normalisation. A skill's demonstrations show the rest of the scene in few of its states.

    Attributes:
        layer: makes what a network sees.
        size: of that.
        hidden: (T, 1, n) which features a skill does not see.
        shown: (T, 1, size) 0 for what any of these has a part in, and else 1.
    """

    def __init__(self, spec: TaskSpec, near_scales: Sequence[float]) -> None:
        super().__init__()
        layout = feature_layout(spec)
        self.layer = ObservationLayer(layout.names, [layout.units[name] for name in layout.names], near_scales)
        self.size = self.layer.size
        hidden = torch.ones(len(spec.skill_names), 1, len(layout), dtype=torch.bool)
        for row, skill in zip(hidden, spec.skill_names, strict=True):
            row[:, layout.indices(layout.observations[skill])] = False
        self.hidden: Tensor
        self.shown: Tensor
        self.register_buffer("hidden", hidden)
        concealed = torch.stack([self.layer.depends_on(rows[0]) for rows in hidden])[:, None]
        self.register_buffer("shown", 1.0 - concealed.float())

    def fit(self, observations: Tensor) -> None:
        """Take mean and standard deviation from all features of some scenes, (N, n)."""
        self.layer.fit(observations)

    def forward(self, observations: Tensor) -> Tensor:
        own = observations.masked_fill(self.hidden, 0.0)  # a product would keep NaN
        seen: Tensor = self.layer(own.flatten(0, 1)).unflatten(0, own.shape[:2])
        return self.shown * seen


class Separate(nn.Module):
    """A plain network for each task, none of which shares anything."""

    def __init__(self, inputs: int, tasks: int, outputs: int, sizes: Sizes) -> None:
        super().__init__()
        widths = (inputs, *sizes.hidden, outputs)
        self.layers = nn.ModuleList(ModuleLayer(tasks, a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


class Shared(nn.Module):
    """One plain network, which sees the task's one-hot code."""

    def __init__(self, inputs: int, tasks: int, outputs: int, sizes: Sizes) -> None:
        super().__init__()
        self.body = plain((inputs + tasks, *sizes.hidden, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(with_code(x))


class MultiHead(nn.Module):
    """One plain network, which sees the task's one-hot code, with a head for each task."""

    def __init__(self, inputs: int, tasks: int, outputs: int, sizes: Sizes) -> None:
        super().__init__()
        self.trunk = plain((inputs + tasks, *sizes.hidden))
        self.heads = ModuleLayer(tasks, sizes.hidden[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.heads(self.trunk(with_code(x)).relu())


class MixedExperts(nn.Module):
    """Four plain networks and a gate, all of which see the task's one-hot code."""

    def __init__(self, inputs: int, tasks: int, outputs: int, sizes: Sizes) -> None:
        super().__init__()
        self.gate = nn.Linear(inputs + tasks, EXPERTS)
        widths = (inputs + tasks, *sizes.hidden, outputs)
        self.experts = nn.ModuleList(ModuleLayer(EXPERTS, a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        rows = with_code(x).flatten(0, 1)
        weights, y = self.gate(rows).softmax(dim=1), rows.expand(EXPERTS, -1, -1)
        for layer in self.experts[:-1]:
            y = layer(y).relu()
        return weighed(weights[:, None], self.experts[-1](y))[0].unflatten(0, x.shape[:2])


class HardRouted(nn.Module):
    """Four layers of four modules, of which each task goes through one a layer: a table says how likely through which.

    The routes are drawn in training mode, and the likeliest otherwise. `reinforce` learns the table by REINFORCE, from
    what the loss of each task is above or below its running mean. Yang et al. 2020 take this baseline from Rosenbaum et
    al. 2018, without the router's numbers: these are ours.
    """

    RATE, MEMORY = 0.05, 0.99

    def __init__(self, inputs: int, tasks: int, outputs: int, sizes: Sizes) -> None:
        super().__init__()
        widths = (inputs, *[sizes.hidden[0]] * (ROUTED_LAYERS - 1), outputs)
        self.layers = nn.ModuleList(ModuleLayer(ROUTED_MODULES, a, b) for a, b in pairwise(widths))
        self.table: Tensor
        self.register_buffer("table", torch.zeros(tasks, ROUTED_LAYERS, ROUTED_MODULES))
        self.routes = torch.zeros(tasks, ROUTED_LAYERS, dtype=torch.long)
        self._mean: Tensor | None = None
        self._spread = torch.ones(tasks)

    def forward(self, x: Tensor) -> Tensor:
        chances = self.table.softmax(dim=2)
        if self.training:  # as torch.multinomial draws, which on a GPU would wait for what the table holds
            chances = chances / torch.empty_like(chances).exponential_()
        self.routes = chances.argmax(dim=2)
        for number, layer in enumerate(self.layers):
            x = layer(x.relu() if number else x, self.routes[:, number])
        return x

    def get_extra_state(self) -> dict[str, Tensor | None]:
        """What the table is learned by, which belongs to a checkpoint too."""
        return {"mean": self._mean, "spread": self._spread}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        mean, spread = state["mean"], state["spread"]
        self._mean = mean if mean is None else mean.to(self.table.device)
        self._spread = spread.to(self.table.device)

    def reinforce(self, losses: Tensor) -> None:
        """Make the routes of the last call likelier for tasks, (T,), whose loss was below its mean, and others less."""
        if self._mean is None:
            self._mean, self._spread = losses.clone(), self._spread.to(losses.device)
        better = (self._mean - losses) / (self._spread + 1e-6)
        chosen = nn.functional.one_hot(self.routes, ROUTED_MODULES)
        self.table += self.RATE * better.clamp(-1.0, 1.0)[:, None, None] * (chosen - self.table.softmax(dim=2))
        self._spread.lerp_((losses - self._mean).abs(), 1.0 - self.MEMORY)
        self._mean.lerp_(losses, 1.0 - self.MEMORY)


class Modular(nn.Module):
    """Soft Modularization; the task's one-hot code goes to the routing alone."""

    def __init__(self, inputs: int, tasks: int, outputs: int, sizes: Sizes, mode: Mode = "official") -> None:
        super().__init__()
        first = sizes.hidden[0]
        self.body = SoftModular(
            SoftModularShape(inputs, tasks, outputs, sizes.layers, sizes.modules, sizes.width, first, first, mode)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.flatten(0, 1), codes(x).flatten(0, 1)).unflatten(0, x.shape[:2])

    def routing(self, x: Tensor) -> Tensor:
        """(T, B, R) routing weights."""
        return self.body.routing(x.flatten(0, 1), codes(x).flatten(0, 1)).unflatten(0, x.shape[:2])


NETWORKS: Mapping[str, Callable[[int, int, int, Sizes], nn.Module]] = {
    "separate": Separate,
    "shared": Shared,
    "multi_head": MultiHead,
    "mixed_experts": MixedExperts,
    "hard_routed": HardRouted,
    "soft_modular": Modular,
}


def plain(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def codes(x: Tensor) -> Tensor:
    """(T, B, T) one-hot code of each row's task."""
    return torch.eye(len(x), dtype=x.dtype, device=x.device)[:, None].expand(-1, x.shape[1], -1)


def with_code(x: Tensor) -> Tensor:
    """(T, B, n + T): each row with its task's one-hot code."""
    return torch.cat([x, codes(x)], dim=2)
