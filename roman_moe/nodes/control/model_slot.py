"""The network of a gate or expert node, which the parameter `model` replaces while the node runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from roman_moe.control.bundle import load_model
from roman_moe.control.manifest import Manifest, load_manifest
from roman_moe.control.network import Network
from roman_moe.control.swap import Bound, LoadedNetwork, NetworkSlot
from roman_moe.core.errors import RomanError
from roman_moe.core.spec import GATE
from roman_moe.core.state import begins_anew
from roman_moe.nodes.base.diagnostics import STALE
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode

MODEL = "model"
SHA256 = "sha256"
SWAPS = "swaps"
REFUSED = "refused_models"


class ModelSlot:
    """The network of one node, and the checks from the request for another one to its first answer.

    The request comes on the thread of the parameter services (`nodes.base.services`). There the file is read, checked
    and warmed up. The answers are given on the control loop's thread, which never waits for that.

    Args:
        node: the node, which must declare the parameter `model`.
        bundle: folder of the running bundle: the source of the first network, which every later one must fit.
        name: skill of the expert, or "gate".
        ramp: duration of the ramp from the old network's answers to the new one's [s].
        bound: clips an answer during the ramp to the range of such a network's answers.

    Attributes:
        manifest: of the bundle.
    """

    def __init__(self, node: RomanNode, bundle: str, name: str, ramp: float, bound: Bound) -> None:
        self._node = node
        self._bundle, self._name, self._ramp, self._bound = bundle, name, ramp, bound
        self._slot: NetworkSlot[Network] | None = None
        self._stamp, self._answered = -1, False  # last scene, and whether any of its episode's was answered
        self._told = ""  # sha256 of the model last reported
        # Checked; runs next, once the parameter is set.
        self._requested: tuple[str, LoadedNetwork[Network]] | None = None
        self._lock = threading.Lock()  # none is set unchecked while the first one is being loaded
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._take)

    def load(self) -> None:
        """Open the network to begin with: of the file that `model` names, or the bundle's own if it names none.

        Raises:
            BundleError: if it cannot be used.
        """
        with self._lock:
            self.manifest: Manifest = load_manifest(self._bundle)
            self._slot = NetworkSlot(self._load(str(self._node.get_parameter(MODEL).value)), self._ramp, self._bound)
            self._tell()

    def unload(self) -> None:
        """Let go of the network."""
        self._slot = None

    def answer(self, stamp_ns: int, features: NDArray[np.float64], usable: Sequence[bool]) -> NDArray[np.float64]:
        """Answer to one scene, see `NetworkSlot.answer` and `Network.answer`; one that is not finite is counted."""
        assert self._slot is not None, "answers are asked for between load and unload"
        result = self._slot.answer(stamp_ns, lambda network: network.answer(features, usable))
        self._tell_swap()
        self._see(stamp_ns)
        if np.isfinite(result).all():
            self._answered = True
        else:
            count = self._node.diagnostics.count
            if self._slot.running.network.sees(usable):
                count(NOT_FINITE, f"the network's answer for {stamp_ns} ns: it is not finite, or failed")
            elif self._answered:  # until then not all has been seen, which the blender says
                count(STALE, f"no answer for {stamp_ns} ns: an object is invalid or too old")
        return result

    def idle(self, stamp_ns: int) -> None:
        """A scene without an answer, see `NetworkSlot.idle`."""
        assert self._slot is not None, "scenes come between load and unload"
        self._slot.idle(stamp_ns)
        self._see(stamp_ns)
        self._tell_swap()

    def _see(self, stamp_ns: int) -> None:
        if begins_anew(stamp_ns, self._stamp):
            self._answered = False
        self._stamp = stamp_ns

    def _load(self, model: str) -> LoadedNetwork[Network]:
        if not model:
            entry = self.manifest.gate if self._name == GATE else self.manifest.experts.get(self._name)
            if entry is None:
                skills = ", ".join(self.manifest.skills)
                raise RomanError(f"{self._bundle}: has no expert for {self._name!r}: its skills are {skills}")
            model = entry.file
        return load_model(str(Path(self._bundle, model)), self._name, self.manifest)

    def _tell_swap(self) -> None:
        assert self._slot is not None
        if (self._slot.running.sha256, self._slot.swaps) != (self._told, self._swaps):
            self._tell()

    def _tell(self) -> None:
        assert self._slot is not None
        running = self._slot.running
        self._told, self._swaps = running.sha256, self._slot.swaps
        self._node.diagnostics.fact({MODEL: running.model, SHA256: running.sha256, SWAPS: str(self._swaps)})

    def _check(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == MODEL:
                with self._lock:
                    reason = self._refuses(parameter.value)
                if reason:
                    self._node.diagnostics.count(REFUSED, reason)
                    return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _refuses(self, model: str) -> str:
        if self._slot is None:  # `load` will see
            return ""
        try:
            self._requested = model, self._load(model)
        except RomanError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 (whoever asks gets an answer, whatever is wrong with the file)
            return f"{model}: {type(error).__name__}: {error}"
        return ""

    def _take(self, parameters: list[Parameter[Any]]) -> None:
        requested, self._requested = self._requested, None
        slot = self._slot
        if (
            requested is not None
            and slot is not None
            and any(p.name == MODEL and p.value == requested[0] for p in parameters)
        ):
            slot.replace(requested[1])
