"""What gate and expert share: a node with one network, which its parameter `model` replaces while it runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from roman_moe.control.bundle import load_model
from roman_moe.control.limits import load_limits
from roman_moe.control.manifest import load_manifest, task_of_bundle
from roman_moe.control.network import Network
from roman_moe.control.swap import LoadedNetwork, NetworkSlot, as_action, as_weights
from roman_moe.core.errors import RomanError
from roman_moe.core.spec import GATE
from roman_moe.core.state import begins_anew
from roman_moe.nodes.base.diagnostics import STALE
from roman_moe.nodes.base.node import NOT_FINITE, RomanNode
from roman_moe.nodes.base.parameters import NodeParameters, parameter
from roman_moe.nodes.control.observation import Observation

MODEL = "model"
SHA256 = "sha256"
SWAPS = "swaps"
REFUSED = "refused_models"


@dataclass(frozen=True, kw_only=True)
class NetworkParameters(NodeParameters):
    """Parameters of a node with a network."""

    bundle: str = parameter("folder of the bundle", shipped=True, formerly="controller")
    task: str = parameter("name or folder of a task; the bundle's if empty", "")
    model: str = parameter(
        "file (.onnx) of the network, relative to the bundle's folder; the bundle's own if empty", "", fixed=False
    )
    ramp: float = parameter("duration of the ramp from an old network's answers to a new one's [s]", 0.5, (0.0, 10.0))
    limits: str = parameter("file of the guard's limits; config/limits.yaml if empty", "", shipped=True)


class NetworkNode(RomanNode):
    """A node that answers scenes by its network.

    The request for another one comes on the thread of the parameter services (`nodes.base.services`). There the file is
    read, checked and warmed up. The answers are given on the control loop's thread, which never waits for that.
    """

    PARAMETERS = NetworkParameters
    _settings: NetworkParameters

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self._network: str = getattr(self._settings, "skill", GATE)
        self._slot: NetworkSlot[Network] | None = None
        self._seen_ns, self._answered = -1, False  # last scene, and whether any of its episode's was answered
        self._told = ""  # sha256 of the model last reported
        # Checked; runs next, once the parameter is set.
        self._requested: tuple[str, LoadedNetwork[Network]] | None = None
        self._lock = threading.Lock()  # none is set unchecked while the first one is being loaded
        self.add_on_set_parameters_callback(self._check)
        self.add_post_set_parameters_callback(self._take)

    def configure(self) -> None:
        """Open the network to begin with: of the file that `model` names, or the bundle's own if it names none."""
        settings = self._settings
        self._max_age = load_limits(settings.limits).max_pose_age
        self._spec = task_of_bundle(settings.bundle, settings.task)
        bound = as_weights if self._network == GATE else as_action
        with self._lock:
            self._manifest = load_manifest(settings.bundle)
            self._slot = NetworkSlot(self._load(str(self.get_parameter(MODEL).value)), settings.ramp, bound)
            self._tell_model(self._slot)

    def clean_up(self) -> None:
        self._slot = None

    def answer(self, seen: Observation, features: NDArray[np.float64]) -> list[float]:
        """Answer to one scene, see `NetworkSlot.answer` and `Network.answer`; one that is not finite is counted."""
        slot, stamp_ns, usable = self._present(), seen.scene.stamp_ns, seen.usable(self._max_age)
        result = slot.answer(stamp_ns, lambda network: network.answer(features, usable))
        self._note(slot, stamp_ns)
        if np.isfinite(result).all():
            self._answered = True
        elif slot.running.network.sees(usable):
            self.diagnostics.count(NOT_FINITE, f"the network's answer for {stamp_ns} ns: it is not finite, or failed")
        elif self._answered:  # until then not all has been seen, which the blender says
            self.diagnostics.count(STALE, f"no answer for {stamp_ns} ns: an object is invalid or too old")
        answer: list[float] = result.tolist()
        return answer

    def _idle(self, stamp_ns: int) -> None:
        """A scene without an answer, see `NetworkSlot.idle`."""
        slot = self._present()
        slot.idle(stamp_ns)
        self._note(slot, stamp_ns)

    def _present(self) -> NetworkSlot[Network]:
        assert self._slot is not None, "scenes come between configure and clean_up"
        return self._slot

    def _note(self, slot: NetworkSlot[Network], stamp_ns: int) -> None:
        """A scene has come; tell of a swap at it."""
        if begins_anew(stamp_ns, self._seen_ns):
            self._answered = False
        self._seen_ns = stamp_ns
        if (slot.running.sha256, slot.swaps) != (self._told, self._swaps):
            self._tell_model(slot)

    def _load(self, model: str) -> LoadedNetwork[Network]:
        manifest, bundle = self._manifest, self._settings.bundle
        if not model:
            entry = manifest.networks.get(self._network)
            if entry is None:
                skills = ", ".join(manifest.skills)
                raise RomanError(f"{bundle}: has no expert for {self._network!r}: its skills are {skills}")
            model = entry.file
        return load_model(str(Path(bundle, model)), self._network, manifest)

    def _tell_model(self, slot: NetworkSlot[Network]) -> None:
        running = slot.running
        self._told, self._swaps = running.sha256, slot.swaps
        self.diagnostics.fact({MODEL: running.model, SHA256: running.sha256, SWAPS: str(self._swaps)})

    def _check(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        for wanted in parameters:
            if wanted.name == MODEL:
                with self._lock:
                    reason = self._refuses(wanted.value)
                if reason:
                    self.diagnostics.count(REFUSED, reason)
                    return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _refuses(self, model: str) -> str:
        if self._slot is None:  # `configure` will see
            return ""
        try:
            self._requested = model, self._load(model)
        except RomanError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 (whoever asks gets an answer, whatever is wrong with the file)
            return f"{model}: {type(error).__name__}: {error}"
        return ""

    def _take(self, parameters: list[Parameter[Any]]) -> None:
        (requested, self._requested), slot = (self._requested, None), self._slot
        if requested and slot and any(p.name == MODEL and p.value == requested[0] for p in parameters):
            slot.replace(requested[1])
