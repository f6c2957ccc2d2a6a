"""Which controller an evaluation means: a bundle, one of its experts alone, or the oracle; all behind one interface."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roman_moe.control.bundle import load_bundle
from roman_moe.control.controller import Controller, ControlStep
from roman_moe.control.expert import Expert
from roman_moe.control.identity import identify
from roman_moe.control.network import Network
from roman_moe.control.rates import Rates
from roman_moe.core.action import to_command
from roman_moe.core.errors import BundleError
from roman_moe.core.paths import find_shipped
from roman_moe.core.roman import ROMAN
from roman_moe.core.spec import TaskSpec
from roman_moe.core.state import SceneState
from roman_moe.sim.motions import leading_skill
from roman_moe.sim.registry import load_sim_task
from roman_moe.sim.task import SimTask

ORACLE = "oracle"


class _OnlyGate:
    """A gate with nothing to choose."""

    def answer(self, features: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(1,), whatever the features."""
        return np.ones(1)


class SingleNetwork:
    """One network in place of a bundle, so that it runs alone through the usual controller.

    Args:
        network: of an expert, or of any network that answers actions.
        spec: of the task; its actions mean what the network says.
    """

    def __init__(self, spec: TaskSpec, network: Network) -> None:
        metadata = network.metadata
        self.skills = (metadata.name,)
        self.rates = Rates(metadata.rate, metadata.rate)
        self.spec = replace(spec, action=replace(spec.action, top_speed=metadata.top_speed))
        self.gate = _OnlyGate()
        self.experts = (Expert(network),)

    def controller(self) -> Controller:
        """The usual controller around it."""
        bundle: Any = self
        return Controller(bundle)


class OracleController:
    """The oracle behind the controller's interface: of a whole task, or of one skill alone."""

    reads_truth = True

    def __init__(self, task: SimTask, skill: str | None = None, rates: Rates | None = None) -> None:
        self._task = task
        self._skill = skill
        self._rates = rates or Rates(task.spec.control_rate, task.spec.gate_rate)
        self.reset()

    @property
    def control_rate(self) -> float:
        """Of its scenes and commands [Hz]."""
        return self._rates.control_rate

    def reset(self) -> None:
        """Forget the episode: the gripper's target and the leading skill."""
        self._gripper_opening = self._task.spec.gripper.open
        self._leading = self._skill

    def step(self, state: SceneState) -> ControlStep:
        """Answer one true state; only the leading skill's oracle is asked, the other actions are zeros."""
        if self._leading is None or (self._skill is None and self._rates.gate_due(state.stamp_ns)):
            self._leading = leading_skill(self._task, state)
        action = self._task.skills[self._leading].demonstrate(state)
        command = to_command(self._task.spec, state.stamp_ns, action, self._gripper_opening)
        self._gripper_opening = command.gripper_opening
        skills = self._task.spec.skill_names
        weights = np.eye(len(skills))[skills.index(self._leading)]
        return ControlStep(action, weights, weights[:, None] * action, command)


def identity_of(name: str) -> dict[str, str]:
    """Which controller `name` is, as reports have it: path and sha256, of the oracle its name alone.

    Raises:
        BundleError: if there is none.
    """
    return {"controller": ORACLE} if name == ORACLE else identify(name).to_dict()


def make_controller(name: str, skill: str | None = None) -> Any:
    """The controller `name`: "oracle", a bundle's folder, shipped ones too, or the .onnx file of one network.

    Args:
        skill: only the expert of this skill, if given.

    Raises:
        BundleError: if the bundle or file cannot be used or has no such expert.
    """
    if name == ORACLE:
        return OracleController(load_sim_task("roman"), skill)
    folder = find_shipped(name)
    if folder.suffix == ".onnx" and folder.is_file():
        return SingleNetwork(ROMAN, Network(ROMAN, folder.read_bytes(), name)).controller()
    if not folder.is_dir():
        raise BundleError(f"{name}: no such bundle folder: expected one, such as models/roman, or {ORACLE!r}")
    bundle = load_bundle(folder)
    if skill is None:
        return Controller(bundle)
    if skill not in bundle.skills:
        raise BundleError(f"{bundle.path}: no expert for {skill!r}: it has {', '.join(bundle.skills)}")
    return SingleNetwork(bundle.spec, bundle.experts[bundle.skills.index(skill)].network).controller()
