"""Replacing a network while it runs: loaded off the control loop, changed over between two ticks, without a jump.

At the changeover the old network answers one last scene, and the new one answers it too. The difference between the two
is subtracted from the new network's answers, less and less over the ramp. The first answer is therefore the old
network's own, the last one the new network's own. In between no step is larger than the new network's own step plus the
ramp's share of the difference. Replacing a network by its equal changes nothing at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from roman_moe.core.state import NANOSECONDS

N = TypeVar("N")

Bound = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class LoadedNetwork(Generic[N]):
    """A network that is ready to run.

    Attributes:
        model: path of its file.
        sha256: of its content, in hexadecimal.
    """

    network: N
    model: str
    sha256: str


class Changeover:
    """The ramp of a swap: adds the difference between the old answer and the new one, all of it at first, then less.

    Args:
        ramp: how long that takes [s].
    """

    def __init__(self, ramp: float) -> None:
        self._ramp_ns = max(1, round(ramp * NANOSECONDS))
        self._begin_ns = 0
        self._difference: NDArray[np.float64] | None = None

    def begin(self, stamp_ns: int, difference: NDArray[np.float64]) -> None:
        """From a scene on [ns]; `difference` is how far the answer before was from the one that follows it."""
        self._begin_ns = stamp_ns
        self._difference = difference if np.isfinite(difference).all() and difference.any() else None

    def end(self) -> None:
        """No difference is left."""
        self._difference = None

    def __call__(self, stamp_ns: int, answer: NDArray[np.float64], bound: Bound) -> NDArray[np.float64]:
        """An answer to a scene [ns] with what is left of the difference; unchanged once the ramp is over."""
        if self._difference is None:
            return answer
        done = (stamp_ns - self._begin_ns) / self._ramp_ns
        if not 0.0 <= done < 1.0:  # over, or another episode
            self.end()
            return answer
        return bound(answer + (1.0 - done) * self._difference)


class NetworkSlot(Generic[N]):
    """Holds the network that runs, and the one that is to run next.

    `replace` may be called from another thread than `answer`.

    Attributes:
        running: whose answers are given.
        swaps: changeovers so far.
    """

    def __init__(self, first: LoadedNetwork[N], ramp: float, bound: Bound = lambda answer: answer) -> None:
        """Begin with a network.

        Args:
            ramp: from the old network's answer to the new one's [s].
            bound: brings an answer within a changeover back to what such a network may answer.
        """
        self.running = first
        self._bound = bound
        self.swaps = 0
        self._next: LoadedNetwork[N] | None = None
        self._lock = threading.Lock()
        self._stamp_ns = -1  # of the last scene
        self._changeover = Changeover(ramp)

    def replace(self, network: LoadedNetwork[N]) -> None:
        """Let this one answer from the next scene on; one that still waits for its first scene is forgotten."""
        with self._lock:
            self._next = network

    def answer(self, stamp_ns: int, ask: Callable[[N], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Answer to one scene, with what is left of a changeover.

        Args:
            stamp_ns: of the scene [ns]. One that comes twice in a row is answered twice by the same network: whoever
                got both answers would see a contradiction otherwise.
            ask: gets a network's answer to it.
        """
        repeated, self._stamp_ns = stamp_ns == self._stamp_ns, stamp_ns
        new = None if repeated or self._next is None else self._take_next()
        if new is None:
            return self._changed_over(stamp_ns, ask(self.running.network))
        before = self._changed_over(stamp_ns, ask(self.running.network))
        after = ask(new.network)
        self.running = new
        self.swaps += 1
        self._changeover.begin(stamp_ns, before - after)
        return self._changed_over(stamp_ns, after)

    def idle(self, stamp_ns: int) -> None:
        """A scene [ns] without an answer: a network that waits takes over, and no changeover is needed."""
        repeated, self._stamp_ns = stamp_ns == self._stamp_ns, stamp_ns
        self._changeover.end()
        new = None if repeated else self._take_next()
        if new is not None:
            self.running = new
            self.swaps += 1

    def _take_next(self) -> LoadedNetwork[N] | None:
        with self._lock:
            new, self._next = self._next, None
        return new

    def _changed_over(self, stamp_ns: int, answer: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._changeover(stamp_ns, answer, self._bound)


def as_action(answer: NDArray[np.float64]) -> NDArray[np.float64]:
    """An answer within a changeover, clipped to the range of actions, (a,)."""
    return np.clip(answer, -1.0, 1.0)


def as_weights(answer: NDArray[np.float64]) -> NDArray[np.float64]:
    """An answer within a changeover as weights: not negative, and with the sum that it had, (n,)."""
    if answer.min() >= 0.0:
        return answer
    positive = np.maximum(answer, 0.0)
    result: NDArray[np.float64] = positive * (answer.sum() / positive.sum())
    return result


class ExpertMask:
    """How much each expert counts: 1, 0 for those that are taken out, and what lies between while that is young.

    `set` may be called from another thread than `share`.
    """

    def __init__(self, counting: NDArray[np.float64], ramp: float) -> None:
        """`counting`: 1 or 0 for each expert, (n,). `ramp`: from one to the other [s]."""
        self._ramp_ns = max(1, round(ramp * NANOSECONDS))
        self._share = self._wanted = counting
        self._stamp_ns = 0

    def set(self, counting: NDArray[np.float64]) -> None:
        """1 for each expert that is to count, 0 for the others, (n,)."""
        self._wanted = counting

    @property
    def counting(self) -> list[bool]:
        """Whose answers are needed."""
        return [s > 0.0 or w > 0.0 for s, w in zip(self._share.tolist(), self._wanted.tolist(), strict=True)]

    def share(self, stamp_ns: int) -> NDArray[np.float64] | None:
        """Of each expert at a scene stamped so [ns], (n,) from 0 to 1; None if all count in full."""
        wanted, before = self._wanted, self._stamp_ns
        self._stamp_ns = stamp_ns
        if self._share is not wanted:
            most = min(1.0, max(0.0, (stamp_ns - before) / self._ramp_ns))
            self._share = self._share + np.clip(wanted - self._share, -most, most)
            if np.array_equal(self._share, wanted):
                self._share = wanted
        return None if self._share.min() == 1.0 else self._share
