"""A function on a GPU as a CUDA graph, captured once and replayed: kernels of small networks take less than launches.

A CUDA graph (docs.pytorch.org, "CUDA Graphs") is launched as a whole. What it does is fixed: shapes, and which tensors
it reads and writes. So the work must not answer to what a tensor holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before the recording, in which optimizers make their state and libraries choose their kernels."""


class GraphedFunction:
    """A function of tensors with the same shapes in each call, which runs on a GPU."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self._work, self._calls = work, 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream()

    def __call__(self, *inputs: Tensor) -> Any:
        """What the work answers. The next call writes over it."""
        if self._calls < WARM_UP:
            self._calls += 1
            return self._beside(inputs)
        if self._graph is None:
            self._inputs = [each.clone() for each in inputs]
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self._stream):
                self._answer = self._work(*self._inputs)
            self._graph = graph
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given)
        self._graph.replay()
        return self._answer

    def _beside(self, inputs: tuple[Tensor, ...]) -> Any:
        """In the stream of the recording: gradients remember the stream in which they were first summed."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            answer = self._work(*inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return answer
