"""What gate and experts share: a network that the parameter `model` replaces while the node runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from roman_moe.control.bundle import load_model
from roman_moe.control.manifest import Manifest, load_manifest
from roman_moe.control.metadata import GATE
from roman_moe.control.swap import Loaded, Slot
from roman_moe.core.errors import RomanError
from roman_moe.nodes.base import RomanNode

MODEL = "model"
SHA256 = "sha256"
SWAPS = "swaps"
REFUSED = "refused_models"

N = TypeVar("N")


class ModelSlot(Generic[N]):
    """The network of one node, and the checks between a wish for another one and its first answer.

    The wish comes on the thread of the parameter services (`nodes.services`), where the file is read, checked and
    warmed up; the answers are given on the control loop's, which is never held up by it.

    Args:
        node: whose parameter `model` is watched. It must be declared.
        controller: folder of the bundle that runs: what a network must fit, and where the first one is from.
        name: skill of the expert, or "gate".
        ramp: from the old network's answer to the new one's [s].

    Attributes:
        manifest: of the bundle.
    """

    def __init__(self, node: RomanNode, controller: str, name: str, ramp: float) -> None:
        self._node = node
        self._controller, self._name, self._ramp = controller, name, ramp
        self._slot: Slot[N] | None = None
        self._told = ""  # sha256 of the model last reported
        self._wish: Loaded[Any] | None = None  # checked; becomes the next one when the parameter has been set
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._take)

    def load(self, model: str) -> None:
        """Open the network to begin with: of file `model`, or the bundle's own if that is empty.

        Raises:
            BundleError: if it cannot be used.
        """
        self.manifest: Manifest = load_manifest(self._controller)
        self._slot = Slot(self._load(model), self._ramp)
        self._tell()

    def unload(self) -> None:
        """Let go of the network."""
        self._slot = None

    def answer(self, stamp_ns: int, ask: Callable[[N], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Answer to one scene, see `Slot.answer`."""
        assert self._slot is not None, "answers are asked for between load and unload"
        result = self._slot.answer(stamp_ns, ask)
        if self._slot.running.sha256 != self._told or self._slot.swaps != self._swaps:
            self._tell()
        return result

    def _load(self, model: str) -> Loaded[Any]:
        if not model:
            entry = self.manifest.gate if self._name == GATE else self.manifest.experts.get(self._name)
            if entry is None:
                skills = ", ".join(self.manifest.skills)
                raise RomanError(f"{self._controller}: has no expert for {self._name!r}: its skills are {skills}")
            model = f"{self._controller}/{entry.file}"
        return load_model(model, self._name, self.manifest)

    def _tell(self) -> None:
        assert self._slot is not None
        running = self._slot.running
        self._told, self._swaps = running.sha256, self._slot.swaps
        self._node.diagnostics.fact({MODEL: running.model, SHA256: running.sha256, SWAPS: str(self._swaps)})

    def _check(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == MODEL and self._slot is not None:
                try:
                    self._wish = self._load(parameter.value)
                except RomanError as error:
                    self._node.diagnostics.count(REFUSED, str(error))
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _take(self, parameters: list[Parameter[Any]]) -> None:
        wish, self._wish = self._wish, None
        if wish is not None and self._slot is not None and any(parameter.name == MODEL for parameter in parameters):
            self._slot.replace(wish)
