"""Soft Modularization (Yang et al., "Multi-task reinforcement learning with soft modularization", NeurIPS 2020).

L layers of n modules; between two layers each module takes a weighted sum of all modules before it. A routing network
gives the weights, from the observation and the task. There are two modes:

- `paper`: the equations, whose numbers are the paper's. With f(s) of the observation and h(z) of the task:

      p1 = W_d ReLU(f(s) h(z))                                  (6)
      p(l+1) = W_d ReLU((W_u p(l)) f(s) h(z))                   (5)
      g(l+1)_i = sum_j softmax_j(p(l))_ij ReLU(W_j g(l)_j)      (7), (8)
      output = sum_j W_j g(L)_j                                 (9)

- `official`: what the authors' released code computes. It differs in six places:

  - f(s) goes through ReLU before the modules.
  - Two more layers narrow f(s) h(z) before the routing.
  - A routing layer sees the softmax of all earlier ones, not the last one's logits.
  - ReLU comes after the weighted sum, not before it.
  - A softmax of their own weighs the last layer's modules.
  - One head follows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Mode = Literal["paper", "official"]

GATE_BOUND = 3e-3
"""Bound of the uniform distribution from which routing layers and heads begin: nearly even weights, as in both."""


@dataclass(frozen=True, slots=True)
class SoftModularShape:
    """Sizes of a network; the defaults are the paper's shallow one.

    Attributes:
        layers, modules: L and n.
        width: of a module's output.
        embedding: size of f(s) and h(z).
        gating: size of the routing's own layers; in the mode `official` alone.
    """

    observation: int
    tasks: int
    outputs: int
    layers: int = 2
    modules: int = 2
    width: int = 256
    embedding: int = 400
    gating: int = 256
    mode: Mode = "official"


class ModuleLayer(nn.Module):
    """n linear modules side by side: (n, B, inputs), rows for each, to (n, B, outputs), as one batched product.

    With `which`, (k,), module which[i] takes the i-th of k groups of rows.
    """

    def __init__(self, modules: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(modules, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(modules, 1, outputs))

    def forward(self, x: Tensor, which: Tensor | None = None) -> Tensor:
        if which is None:
            return torch.baddbmm(self.bias, x, self.weight)
        return torch.baddbmm(self.bias[which], x, self.weight[which])


class SoftModular(nn.Module):
    """From an observation, (B, n), and a task's one-hot code, (B, T), to (B, outputs)."""

    def __init__(self, shape: SoftModularShape) -> None:
        super().__init__()
        self.shape = shape
        official, square, embedding = shape.mode == "official", shape.modules**2, shape.embedding
        self.base = nn.Sequential(nn.Linear(shape.observation, embedding), nn.ReLU(), nn.Linear(embedding, embedding))
        self.task = nn.Linear(shape.tasks, embedding)
        routed = shape.gating if official else embedding
        self.narrow = nn.Sequential(
            nn.ReLU(), nn.Linear(embedding, routed), nn.ReLU(), nn.Linear(routed, routed)
        ) if official else nn.Identity()  # fmt: skip
        earlier = [square * (layer + 1 if official else 1) for layer in range(shape.layers - 2)]
        self.conditions = nn.ModuleList(nn.Linear(inputs, routed) for inputs in earlier)
        self.routes = nn.ModuleList(nn.Linear(routed, square) for _ in range(shape.layers - 1))
        widths = [embedding] + [shape.width] * (shape.layers - 1)
        last = shape.width if official else shape.outputs
        self.layers = nn.ModuleList(
            ModuleLayer(shape.modules, inputs, outputs)
            for inputs, outputs in zip(widths, [*widths[1:], last], strict=True)
        )
        small = [*self.routes]
        if official:
            self.last_condition = nn.Linear(square * (shape.layers - 1), routed)
            self.last_route = nn.Linear(routed, shape.modules)
            self.head = nn.Linear(shape.width, shape.outputs)
            small += [self.last_route, self.head]
        for layer in small:
            nn.init.uniform_(layer.weight, -GATE_BOUND, GATE_BOUND)
            nn.init.uniform_(layer.bias, -GATE_BOUND, GATE_BOUND)

    def forward(self, observation: Tensor, task: Tensor) -> Tensor:
        seen = self.base(observation)
        weights, last = self.routing_weights(seen, task)
        if last is None:
            x = seen.expand(self.shape.modules, -1, -1)
            for layer, weight in zip(self.layers, weights, strict=False):
                x = weighed(weight, layer(x).relu())
            return self.layers[-1](x).sum(dim=0)
        x = torch.stack([seen.relu()] * self.shape.modules)  # no view by `expand`, which networks in a graph may not do
        for layer, weight in zip(self.layers, weights, strict=False):
            x = weighed(weight, layer(x)).relu()
        return self.head(weighed(last[:, None], self.layers[-1](x))[0].relu())

    def routing(self, observation: Tensor, task: Tensor) -> Tensor:
        """All routing weights of a batch, (B, R), for pictures."""
        weights, last = self.routing_weights(self.base(observation), task)
        flat = [weight.flatten(1) for weight in weights]
        return torch.cat(flat if last is None else [*flat, last], dim=1)

    def routing_weights(self, seen: Tensor, task: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """(B, n, n) weights of each layer's modules for each of the next; and (B, n) of the last, in `official`."""
        official, square = self.shape.mode == "official", (-1, self.shape.modules, self.shape.modules)
        both = self.narrow(seen * self.task(task))
        logits = self.routes[0](both.relu())
        flat = [logits.view(square).softmax(dim=2).flatten(1)]
        for condition, route in zip(self.conditions, self.routes[1:], strict=True):
            logits = route((condition(torch.cat(flat, dim=1) if official else logits) * both).relu())
            flat.append(logits.view(square).softmax(dim=2).flatten(1))
        last = None
        if official:
            last = self.last_route((self.last_condition(torch.cat(flat, dim=1)) * both).relu()).softmax(dim=1)
        return [weights.view(square) for weights in flat], last


def weighed(weights: Tensor, x: Tensor) -> Tensor:
    """Sums over n modules, (n, B, d), by weights (B, k, n) that each row has of its own: (k, B, d)."""
    return (weights @ x.transpose(0, 1)).transpose(0, 1)
